package scenarios

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/tools/txtar"
)

// Extension is that of scenario files.
const Extension = ".lab"

// maxSource bounds a scenario's text, in octets.
const maxSource = 1 << 20

// sections are the texts that follow a script, in a txtar archive's form.
var sections = []Word{
	{"dies", "what goes away, in a few words"},
	{"sees", "what the client sees of it, in a few words"},
	{"story", "what happens and why; paragraphs with an empty line between"},
	{"why", "what the verdict is explained with, if all is as expected; paragraphs"},
	{"sources", "where it is described; one a line"},
	{"next", "the names of scenarios to look at next"},
}

// Read makes a Source of a scenario's text. file is what errors call it. The
// script is compiled for every variant, so that no error is left to be found
// by a run.
func Read(file, text string) (*Source, error) {
	s, err := read(file, text)
	if err != nil {
		return nil, err
	}
	_, err = s.Every()
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Every compiles the script for every variant that may be asked for, and
// checks it. On a path that the script does not name it need not be a
// scenario: that is told to who asks for it.
func (s *Source) Every() ([]*Scenario, error) {
	var all []*Scenario
	for _, v := range s.variants() {
		own, err := s.Compile(v)
		if err == nil {
			err = own.Check()
		}
		if err != nil {
			return nil, err
		}
		all = append(all, own)
		for _, v.Path = range paths {
			named := slices.Contains(own.Paths, v.Path)
			if !named && (own.Only || !strings.Contains(s.script, "path:")) {
				continue
			}
			sc, err := s.Compile(v)
			switch {
			case err == nil && named:
				err = sc.Check()
			case !named && errors.Is(err, errNothing):
				continue
			}
			if err != nil {
				return nil, err
			}
			all = append(all, sc)
		}
	}
	return all, nil
}

// read makes a Source without a look at its script.
func read(file, text string) (*Source, error) {
	s := &Source{Name: nameOf(file), File: file, Text: text}
	if len(text) > maxSource {
		return nil, &SyntaxError{file + ":1", fmt.Errorf("longer than %d octets", maxSource)}
	}
	if !utf8.ValidString(text) {
		return nil, &SyntaxError{file + ":1", errors.New("not UTF-8")}
	}
	archive := txtar.Parse([]byte(text))
	s.script = string(archive.Comment)
	line := 1 + strings.Count(s.script, "\n")
	seen := map[string]bool{}
	for _, f := range archive.Files {
		if !known(sections, f.Name) || seen[f.Name] {
			return nil, &SyntaxError{
				fmt.Sprintf("%s:%d", file, line), fmt.Errorf("section %q: there are %s, each once", f.Name, names(sections)),
			}
		}
		seen[f.Name] = true
		s.section(f.Name, string(f.Data))
		line += 1 + strings.Count(string(f.Data), "\n")
	}
	first, _, _ := strings.Cut(s.script, "\n")
	if title, ok := strings.CutPrefix(first, "#"); ok {
		s.Title = oneLine(title)
	}
	return s, nil
}

// variants are all that the script may look at, but for the path.
func (s *Source) variants() []Variant {
	all := []Variant{{Family: 4}}
	if strings.Contains(s.script, "ipv") {
		all = append(all, Variant{Family: 6})
	}
	if strings.Contains(s.script, "real") || strings.Contains(s.script, "quick") {
		for _, v := range slices.Clone(all) {
			v.Real = true
			all = append(all, v)
		}
	}
	return all
}

// BuiltIn tells whether the scenario is one of All.
func (s *Source) BuiltIn() bool { return s.builtin }

// nameOf is what a file's scenario is called: letters, digits and hyphens, for
// it names files and stands in command lines.
func nameOf(file string) string {
	base := strings.TrimSuffix(filepath.Base(file), Extension)
	name := strings.Map(func(r rune) rune {
		if r == '.' || r == '_' || r == '-' || r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return r
		}
		return '-'
	}, base)
	if name = strings.TrimLeft(name, ".-"); name == "" {
		return "scenario"
	}
	return name
}

func (s *Source) section(name, text string) {
	switch name {
	case "dies":
		s.Dies = oneLine(text)
	case "sees":
		s.Sees = oneLine(text)
	case "story":
		s.Story = paragraphs(text)
	case "why":
		s.Why = paragraphs(text)
	case "sources":
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" {
				s.Sources = append(s.Sources, line)
			}
		}
	case "next":
		s.Next = strings.Fields(text)
	}
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func paragraphs(text string) []string {
	var list []string
	for _, p := range strings.Split(text, "\n\n") {
		if p = oneLine(p); p != "" {
			list = append(list, p)
		}
	}
	return list
}

func names(list []Word) string {
	var all []string
	for _, w := range list {
		all = append(all, w.Name)
	}
	return strings.Join(all, ", ")
}

// Load reads a scenario file.
func Load(file string) (*Source, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSource+1))
	if err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	return Read(file, string(text))
}

// A SyntaxError says what is wrong with a script, and where.
type SyntaxError struct {
	Place string // FILE:LINE
	Err   error
}

func (e *SyntaxError) Error() string { return e.Place + ": " + e.Err.Error() }
func (e *SyntaxError) Unwrap() error { return e.Err }

// IsSyntax tells whether an error is about a scenario's text.
func IsSyntax(err error) bool {
	_, ok := errors.AsType[*SyntaxError](err)
	return ok
}

// Compile makes the scenario of a variant.
func (s *Source) Compile(v Variant) (*Scenario, error) {
	if v.Family == 0 {
		v.Family = 4
	}
	c := newCompiler(&Scenario{Source: s, Variant: v, Path: v.Path, Sysctls: map[string]map[string]string{}})
	if err := c.compile(); err != nil {
		return nil, err
	}
	sc := c.scenario
	if sc.Path == "" {
		sc.Path = "direct"
	}
	if sc.Only && !slices.Contains(sc.Paths, sc.Path) {
		return sc, nil // Options.Check refuses it, and says why
	}
	return sc, nil
}

// Argument is what lab run takes for the scenario: its name, or its file if it
// is not built in.
func (s *Source) Argument() string {
	if s.builtin {
		return s.Name
	}
	return s.File
}

// Script is the part of the text that is run.
func (s *Source) Script() string { return strings.TrimSpace(s.script) + "\n" }
