package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/internal/testtmux"
	"github.com/seed-6fefc909/tcplab/lab/tutorial"
)

// The page in docs is what the tutorial says.
func TestTutorialPage(t *testing.T) {
	const page = "../../docs/tutorial.md"
	parts, err := tutorial.Parts()
	if err != nil {
		t.Fatal(err)
	}
	want, err := tutorial.Page(parts)
	if err != nil {
		t.Fatal(err)
	}
	wantPage(t, page, want)
	if commands := commandsIn(t, page); !slices.Equal(unique(commands), tutorial.Commands(parts)) {
		t.Errorf("the page has the commands %q", commands)
	}
}

func unique(all []string) (once []string) {
	for _, one := range all {
		if !slices.Contains(once, one) {
			once = append(once, one)
		}
	}
	return once
}

// A reader does what a tutorial says, in terminals.
type reader struct {
	t        *testing.T
	guide    *testtmux.Pane
	started  *testtmux.Started // the tutorial
	panes    map[string]*testtmux.Pane
	read     int      // lines of the tutorial's
	commands []string // that were typed
	// task does something else, if it returns true.
	task func(terminal, text string) bool
}

// withSudo is a PATH with a new lab, and with a sudo for who is root: there may
// be no other.
func withSudo(t *testing.T) string {
	t.Helper()
	bin := filepath.Dir(newLab(t))
	if err := os.WriteFile(filepath.Join(bin, "sudo"), []byte("#!/bin/sh\nexec \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return "PATH=" + bin + ":" + os.Getenv("PATH")
}

// newReader begins a tutorial.
func newReader(t *testing.T, name, arguments string) *reader {
	t.Helper()
	s := testtmux.New(t, withSudo(t), "NO_COLOR=1")
	t.Cleanup(func() { // before the panes go
		s.Pane(80, 24).Run("lab down --name " + name)
	})
	r := &reader{t: t, guide: s.Pane(100, 50), panes: map[string]*testtmux.Pane{}, task: func(_, _ string) bool { return false }}
	for _, terminal := range []string{"1", "2", "3"} {
		r.panes[terminal] = s.Pane(100, 50)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the tutorial:\n%s", strings.Join(r.guide.Lines(), "\n"))
		}
	})
	r.started = r.guide.Start("sudo lab tutorial --name " + name + arguments)
	return r
}

// deedLine is one that says what to do, and where.
var deedLine = regexp.MustCompile(`^  (?:terminal ([123])|(here)) +(.*)$`)

// obey does what the tutorial says until it has said a text.
func (r *reader) obey(until string) {
	r.t.Helper()
	last := " "
	deadline := time.Now().Add(10 * time.Minute)
	for time.Now().Before(deadline) {
		lines := r.guide.Await("more of the tutorial", func(lines []string) bool { return len(lines) > r.read })
		line := lines[r.read]
		if line != last { // it may not be whole
			last = line
			time.Sleep(20 * time.Millisecond)
			continue
		}
		r.read, last = r.read+1, " "
		if m := deedLine.FindStringSubmatch(line); m != nil {
			r.do(m[1]+m[2], m[3])
		}
		if strings.Contains(line, until) {
			return
		}
	}
	r.t.Fatalf("never said: %s:\n%s", until, strings.Join(r.guide.Lines(), "\n"))
}

// do does it.
func (r *reader) do(terminal, text string) {
	r.t.Helper()
	if r.task(terminal, text) {
		return
	}
	p := r.panes[terminal]
	command, isCommand := strings.CutPrefix(text, "$ ")
	line, isLine := strings.CutPrefix(text, "> ")
	switch {
	case terminal == "here":
		r.guide.Press("Enter")
	case isCommand:
		r.commands = append(r.commands, command)
		p.Start(command)
		if strings.HasSuffix(command, "&") { // it writes behind the next prompt
			p.AwaitText("ready")
			p.Press("Enter")
		}
	case isLine:
		p.Type(line)
	case text == "Ctrl-D":
		p.Press("C-d")
	default:
		r.t.Fatalf("do what in terminal %s: %q", terminal, text)
	}
}

// The whole tutorial, from its beginning to its end, by typing what it says.
func TestTutorial(t *testing.T) {
	testenv.NeedRoot(t)
	const name = "tutorial"
	r := newReader(t, name, "")
	r.obey("Nothing of it is left.")
	output, status := r.started.Wait()
	said := strings.Join(output, "\n")
	if status != 0 {
		t.Errorf("status %d", status)
	}
	for _, wrong := range []string{"(not seen)", "(Waiting", "\n! "} {
		if strings.Contains(said, wrong) {
			t.Errorf("it said %q", wrong)
		}
	}
	parts, err := tutorial.Parts()
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range tutorial.Commands(parts) {
		words := strings.Fields(command)
		words = slices.Insert(words, 3, "--name", name)
		if command := strings.Join(words, " "); !slices.Contains(r.commands, command) {
			t.Errorf("was not to be typed: %s", command)
		}
	}
	for terminal, wants := range map[string][]string{
		"1": {"exit", "echo-server was ended: server went down"},
		"2": {
			"hello\nhello", "server terminated prematurely", "read: connection timed out (ETIMEDOUT)", "read: no route to host (EHOSTUNREACH)",
			"read: connection reset by peer (ECONNRESET)", "(EAGAIN)",
		},
		"3": {"ESTABLISHED", "CLOSE_WAIT", "FIN_WAIT2", "retransmit in", "is down"},
	} {
		text := strings.Join(r.panes[terminal].Lines(), "\n")
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("terminal %s does not say %q:\n%s", terminal, want, text)
			}
		}
	}
}

// Who does something else than the tutorial says is told so, and led back.
func TestTutorialAstray(t *testing.T) {
	testenv.NeedRoot(t)
	t.Parallel()
	const name = "astray"
	r := newReader(t, name, " --case a")
	wrong := []string{"Ctrl-D", "lab fault --name " + name + " crash", "lab fault --name " + name + " hang", "lab down --name " + name}
	r.task = func(_, text string) bool {
		if len(wrong) == 0 || !strings.HasSuffix(text, " kill") {
			return false
		}
		if wrong[0] == "Ctrl-D" {
			r.panes["2"].Press("C-d")
		} else {
			r.panes["3"].Start(wrong[0])
		}
		wrong = wrong[1:]
		return true
	}
	r.obey("Nobody had to type anything.")
	output, status := r.started.Wait()
	said := strings.Join(output, "\n")
	if status != 0 || !strings.Contains(said, "lab astray is still up: sudo lab down --name astray takes it down.") {
		t.Errorf("status %d, at the end:\n%s", status, said)
	}
	for _, want := range []string{"! No client runs.", "! Server is down", "is stopped", "! The lab is not up."} {
		if n := strings.Count(said, want); n != 1 {
			t.Errorf("it said %d times %q", n, want)
		}
	}
}

// The reader may leave at any time, and need not be there.
func TestTutorialQuit(t *testing.T) {
	testenv.NeedRoot(t)
	t.Parallel()
	r := newReader(t, "quit", "")
	r.task = func(_, _ string) bool { return true } // nothing
	r.obey("terminal 3")
	r.guide.Press("s") // of a line that is not entered before the next step
	r.panes["3"].Run("lab up --name quit")
	r.guide.AwaitText("Start the server")
	r.guide.Type("")
	r.guide.AwaitText("(Waiting: server listen().")
	r.guide.Type("s")
	r.guide.AwaitText("Connect the client")
	r.guide.Type("q")
	if _, status := r.started.Wait(); status != 0 {
		t.Errorf("status %d after q", status)
	}
	for command, want := range map[string]int{"lab tutorial --case E": 2, "lab tutorial --name a/b": 2} {
		if output, status := r.panes["1"].Run(command); status != want {
			t.Errorf("%s: status %d, want %d: %q", command, status, want, output)
		}
	}
	again := r.guide.Start("lab tutorial --name quit < /dev/null")
	r.guide.AwaitText("Nobody can type here")
	r.guide.Press("C-c")
	if _, status := again.Wait(); status != 130 {
		t.Errorf("status %d after Ctrl-C", status)
	}
}
