// Package tutorial leads a person through the book's cases by hand, in terminals
// of their own. What is to be done, what must then be seen, and what it means is
// text, in parts; this package reads it, walks through it beside a lab that
// is up, and makes a page of it.
package tutorial

import (
	"embed"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

//go:embed parts/*.txt
var files embed.FS

// A Part is a case, or what is said before and after them.
type Part struct {
	ID     string // such as "A"; "" of what can only come at the end
	Title  string
	Source string
	Intro  []string // paragraphs
	Steps  []Step
}

// A Step is something to do, to be seen, and to be understood.
type Step struct {
	Title  string   // "": it goes on with the one before
	Before []string // paragraphs
	Tasks  []Task
	// Ends are the conditions that it is to end, of those that hold since they
	// were wanted.
	Ends   []Condition
	Awaits []Await
	Have   Condition // "": none is wanted
	Enter  bool      // the reader says when to go on
	After  []string  // paragraphs, with figures
}

// A Task is done in a terminal: a command, a line for the program there, or
// a key. One of them is set.
type Task struct {
	Terminal           int // from 1
	Command, Line, Key string
}

// An Await is an event that must be seen, as lab.Session.Await has it.
type Await struct {
	Name  string // for figures, "" for none
	After string // an event of the step before it, "" for the first of them: it comes later
	Event string
}

// Parts are all of them, in their order. An error lies in the text.
func Parts() ([]Part, error) {
	entries, err := files.ReadDir("parts")
	if err != nil {
		return nil, err
	}
	var parts []Part
	for _, e := range entries {
		text, err := files.ReadFile("parts/" + e.Name())
		if err != nil {
			return nil, err
		}
		p, err := parse(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// parse reads a part: its head, and its steps, each after a line "---".
func parse(text string) (Part, error) {
	sections := strings.Split(text, "\n---\n")
	head := paragraphs(sections[0])
	title, source, ok := strings.Cut(head[0], "\n")
	title, ok2 := strings.CutPrefix(title, "# ")
	if !ok || !ok2 {
		return Part{}, errors.New("a part begins with its title, # ID. TITLE, and its source")
	}
	p := Part{Title: title, Source: source, Intro: head[1:]}
	if id, rest, found := strings.Cut(title, ". "); found {
		p.ID, p.Title = id, rest
	}
	for _, section := range sections[1:] {
		s, err := parseStep(section)
		if err != nil {
			return Part{}, fmt.Errorf("%.40q: %w", section, err)
		}
		p.Steps = append(p.Steps, s)
	}
	return p, nil
}

// parseStep reads a step: its title, paragraphs, what is to be done and
// seen, and paragraphs.
func parseStep(text string) (s Step, err error) {
	for _, block := range paragraphs(text) {
		title, isTitle := strings.CutPrefix(block, "## ")
		switch {
		case isTitle:
			s.Title = title
		case strings.HasPrefix(block, "@"):
			for line := range strings.Lines(block) {
				if err := s.directive(strings.TrimSpace(line)); err != nil {
					return s, fmt.Errorf("%s: %w", line, err)
				}
			}
		case s.acts():
			s.After = append(s.After, block)
		default:
			s.Before = append(s.Before, block)
		}
	}
	if !s.acts() {
		return s, errors.New("nothing is to be done or seen")
	}
	return s, nil
}

// acts tells whether there is something to do or to be seen.
func (s *Step) acts() bool {
	return len(s.Tasks)+len(s.Awaits) > 0 || s.Have != "" || s.Enter
}

// taskForm is a terminal and what is done there.
var taskForm = regexp.MustCompile(`^@([1-3]) ([$>^])(.+)$`)

func (s *Step) directive(line string) error {
	if m := taskForm.FindStringSubmatch(line); m != nil {
		t := Task{}
		t.Terminal, _ = strconv.Atoi(m[1])
		switch text := strings.TrimSpace(m[3]); m[2] {
		case "$":
			t.Command = text
		case ">":
			t.Line = text
		case "^":
			t.Key = "Ctrl-" + text
		}
		s.Tasks = append(s.Tasks, t)
		return nil
	}
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "@have":
		s.Have = Condition(rest)
		return s.Have.check()
	case "@ends":
		for _, name := range strings.Fields(rest) {
			c := Condition(name)
			if err := c.check(); err != nil {
				return err
			}
			s.Ends = append(s.Ends, c)
		}
	case "@await":
		name, event, named := strings.Cut(rest, ": ")
		if !named {
			name, event = "", rest
		}
		name, after, _ := strings.Cut(name, " after ")
		s.Awaits = append(s.Awaits, Await{name, after, event})
	case "@enter":
		s.Enter = true
	default:
		return errors.New("no such directive")
	}
	return nil
}

// paragraphs are separated by empty lines. There is at least one.
func paragraphs(text string) []string {
	return strings.Split(strings.TrimSpace(text), "\n\n")
}
