package scenarios_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

// variants are all that the conditions of a script can look at.
func variants() []scenarios.Variant {
	var all []scenarios.Variant
	for _, family := range []int{4, 6} {
		for _, real := range []bool{false, true} {
			for _, path := range []string{"", "direct", "switch", "router"} {
				all = append(all, scenarios.Variant{Real: real, Family: family, Path: path})
			}
		}
	}
	return all
}

// Every built-in scenario is right, whatever it is asked to be.
func TestBuiltInCompiles(t *testing.T) {
	for _, s := range scenarios.All() {
		if _, err := scenarios.Read(s.File, s.Text); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
		for _, v := range variants() {
			sc, err := s.Compile(v)
			if err != nil {
				t.Errorf("%s: %+v: %v", s.Name, v, err)
				continue
			}
			if len(sc.Steps) < 3 {
				t.Errorf("%s: %+v: only %d steps", s.Name, v, len(sc.Steps))
			}
			if v.Path == "" && sc.Only && !slices.Contains(sc.Paths, sc.Path) {
				t.Errorf("%s: its own path %s is none of %v", s.Name, sc.Path, sc.Paths)
			}
		}
	}
}

// Every built-in scenario is in one chapter, and every chapter says what it is
// about.
func TestChapters(t *testing.T) {
	var listed []string
	for _, c := range scenarios.Chapters() {
		if c.Title == "" || len(strings.Fields(c.Text)) < 20 || len(c.Names) == 0 {
			t.Errorf("chapter %q tells %q of %q", c.Title, c.Text, c.Names)
		}
		listed = append(listed, c.Names...)
	}
	files, err := filepath.Glob("*" + scenarios.Extension)
	if err != nil {
		t.Fatal(err)
	}
	var there []string
	for _, f := range files {
		there = append(there, strings.TrimSuffix(f, scenarios.Extension))
	}
	slices.Sort(listed)
	slices.Sort(there)
	if diff := cmp.Diff(there, listed); diff != "" {
		t.Errorf("chapters (-files +listed):\n%s", diff)
	}
}

// Every built-in scenario has all the texts, and leads to others that there are.
func TestBuiltInTells(t *testing.T) {
	names := scenarios.Names()
	titles := map[string]string{}
	for _, s := range scenarios.All() {
		for what, missing := range map[string]bool{
			"title": s.Title == "" || s.Title == s.Name, "dies": s.Dies == "", "sees": s.Sees == "",
			"story": len(s.Story) == 0, "why": len(s.Why) == 0, "sources": len(s.Sources) == 0, "next": len(s.Next) == 0,
		} {
			if missing {
				t.Errorf("%s has no %s", s.Name, what)
			}
		}
		for _, next := range s.Next {
			if !slices.Contains(names, next) || next == s.Name {
				t.Errorf("%s leads to %q", s.Name, next)
			}
		}
		if other := titles[s.Title]; other != "" {
			t.Errorf("%s has the title of %s", s.Name, other)
		}
		titles[s.Title] = s.Name
	}
}

// What is listed is what is there.
func TestBuiltInFiles(t *testing.T) {
	files, err := filepath.Glob("*" + scenarios.Extension)
	if err != nil {
		t.Fatal(err)
	}
	var there []string
	for _, f := range files {
		there = append(there, strings.TrimSuffix(f, scenarios.Extension))
	}
	slices.Sort(there)
	if diff := cmp.Diff(there, scenarios.Names()); diff != "" {
		t.Errorf("-files +listed\n%s", diff)
	}
	for _, s := range scenarios.All() {
		text, err := os.ReadFile(s.File)
		if err != nil || string(text) != s.Text {
			t.Errorf("%s is not what its file says: %v", s.Name, err)
		}
		if s.Argument() != s.Name {
			t.Errorf("%s is run as %q", s.Name, s.Argument())
		}
		if s.Script() == "\n" || strings.Contains(s.Script(), "-- title --") {
			t.Errorf("%s has the script %q", s.Name, s.Script())
		}
	}
}

func TestFind(t *testing.T) {
	for _, c := range []struct{ name, found, nearest string }{
		{"crash", "crash", ""},
		{"zombies-reaped", "zombies-reaped", ""},
		{"crsh", "", "crash"},
		{"shutdwon", "", "shutdown"},          // two exchanged
		{"reboots", "", "reboot"},             // one too many
		{"graceful", "", "shutdown-graceful"}, // a part of one
		{"xyzzy", "", ""},
		{"", "", ""},
		{"k", "", ""},
		{"KILL", "", ""},
	} {
		found, nearest := scenarios.Find(c.name)
		name := ""
		if found != nil {
			name = found.Name
		}
		if name != c.found || nearest != c.nearest {
			t.Errorf("%q: found %q, nearest %q; want %q and %q", c.name, name, nearest, c.found, c.nearest)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	s, err := scenarios.Load(write("mine.lab", "# Mine?\nzero here\n-- sees --\nnothing\n at all\n-- next --\ncrash\nkill\n-- why --\nOne\nparagraph.\n\nAnother.\n"))
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "mine" || s.Title != "Mine?" || s.Sees != "nothing at all" || s.Argument() != filepath.Join(dir, "mine.lab") {
		t.Errorf("name %q, title %q, sees %q, argument %q", s.Name, s.Title, s.Sees, s.Argument())
	}
	if diff := cmp.Diff([]string{"crash", "kill"}, s.Next); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"One paragraph.", "Another."}, s.Why); diff != "" {
		t.Error(diff)
	}
	// The name is for files and command lines.
	for file, want := range map[string]string{
		"two words.lab": "two-words", "größe.lab": "gr--e", "..lab": "scenario", "-x.lab": "x", "plain": "plain", "a.b.lab": "a.b",
	} {
		s, err := scenarios.Load(write(file, "zero here\n"))
		if err != nil {
			t.Error(err)
		} else if s.Name != want {
			t.Errorf("%s: name %q, want %q", file, s.Name, want)
		}
	}
	bad := write("bad.lab", "zero here\nnonsense\n")
	if _, err := scenarios.Load(bad); !scenarios.IsSyntax(err) || !strings.HasPrefix(err.Error(), bad+":2: unknown command") {
		t.Errorf("a bad one: %v", err)
	}
	if _, err := scenarios.Load(filepath.Join(dir, "none.lab")); err == nil || scenarios.IsSyntax(err) {
		t.Errorf("none at all: %v", err)
	}
	if _, err := scenarios.Load(dir); err == nil || scenarios.IsSyntax(err) {
		t.Errorf("a directory: %v", err)
	}
}
