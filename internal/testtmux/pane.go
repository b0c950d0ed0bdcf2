package testtmux

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// patience is how long something may take to be on a screen.
const patience = time.Minute

// A Pane is a terminal with a shell, bash, that runs in it. Each is of a size of
// its own.
type Pane struct {
	s   *Server
	id  string
	PID int // the shell's
}

// Pane opens one.
func (s *Server) Pane(width, height int) *Pane {
	s.t.Helper()
	out, err := s.tmux("start-server", ";", "set", "-g", "history-limit", "100000", ";", "new-session", "-d",
		"-x", strconv.Itoa(width), "-y", strconv.Itoa(height), "-P", "-F", "#{pane_id} #{pane_pid}",
		"exec bash --noprofile --rcfile "+s.path("bashrc"))
	p := &Pane{s: s}
	if err == nil {
		_, err = fmt.Sscan(out, &p.id, &p.PID)
	}
	if err != nil {
		s.t.Fatalf("open a pane: %v: %s", err, out)
	}
	p.atPrompt(0)
	return p
}

func (p *Pane) tmux(args ...string) string {
	p.s.t.Helper()
	out, err := p.s.tmux(args...)
	if err != nil {
		p.s.t.Fatalf("tmux %v: %v: %s", args, err, out)
	}
	return out
}

// Type types a line, and Enter.
func (p *Pane) Type(line string) {
	p.s.t.Helper()
	p.tmux("send-keys", "-t", p.id, "-l", line, ";", "send-keys", "-t", p.id, "Enter")
}

// Press presses keys, by the names that tmux has for them: C-c, Enter, Up.
func (p *Pane) Press(keys ...string) {
	p.s.t.Helper()
	p.tmux(append([]string{"send-keys", "-t", p.id}, keys...)...)
}

// Resize changes the pane's size.
func (p *Pane) Resize(width, height int) {
	p.s.t.Helper()
	p.tmux("resize-window", "-t", p.id, "-x", strconv.Itoa(width), "-y", strconv.Itoa(height))
}

// Kill closes the pane, as a connection that is lost or a window that is
// closed: its terminal is hung up.
func (p *Pane) Kill() {
	p.s.t.Helper()
	p.tmux("kill-pane", "-t", p.id)
}

// Screen is what is to be seen now, a line each, without the spaces at their ends
// and the empty lines below.
func (p *Pane) Screen() []string {
	p.s.t.Helper()
	return rows(p.tmux("capture-pane", "-p", "-t", p.id))
}

// Lines are what was ever written and is there still, above the screen and on
// it. Those that the pane was too narrow for are whole.
func (p *Pane) Lines() []string {
	p.s.t.Helper()
	return rows(p.tmux("capture-pane", "-p", "-J", "-S", "-", "-t", p.id))
}

func rows(text string) []string {
	all := strings.Split(text, "\n")
	for i := range all {
		all[i] = strings.TrimRight(all[i], " ")
	}
	for len(all) > 0 && all[len(all)-1] == "" {
		all = all[:len(all)-1]
	}
	return all
}

// Await waits until ok is satisfied with Lines, and returns these. The test fails
// if that takes more than a minute.
func (p *Pane) Await(what string, ok func(lines []string) bool) []string {
	p.s.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		lines := p.Lines()
		if ok(lines) {
			return lines
		}
		if time.Now().After(deadline) {
			p.s.t.Fatalf("not there after %v: %s:\n%s", patience, what, strings.Join(lines, "\n"))
		}
		time.Sleep(20 * time.Millisecond) // tmux tells nobody that a screen changed
	}
}

// AwaitText waits until a text is in Lines, which what is typed is, too, and
// returns these.
func (p *Pane) AwaitText(text string) []string {
	p.s.t.Helper()
	return p.Await(text, Contains(text))
}

// Contains is satisfied with lines that have a text in them.
func Contains(text string) func([]string) bool {
	return func(lines []string) bool { return strings.Contains(strings.Join(lines, "\n"), text) }
}

// prompt is the shell's, at the end of what there is: the number of the command
// that would come next, and the exit status of the last one.
var prompt = regexp.MustCompile(`\[(\d+):(\d+)\]$`)

// lastPrompt tells the prompt's numbers; ok is false while a program runs.
func lastPrompt(lines []string) (number, status int, ok bool) {
	if len(lines) == 0 {
		return 0, 0, false
	}
	m := prompt.FindStringSubmatch(lines[len(lines)-1])
	if m == nil {
		return 0, 0, false
	}
	number, _ = strconv.Atoi(m[1])
	status, _ = strconv.Atoi(m[2])
	return number, status, true
}

// atPrompt waits until the shell has come to a command after that of a number.
func (p *Pane) atPrompt(after int) (number, status int, lines []string) {
	p.s.t.Helper()
	lines = p.Await("the prompt", func(lines []string) bool {
		var ok bool
		number, status, ok = lastPrompt(lines)
		return ok && number > after
	})
	return number, status, lines
}

// A Started is a command that the shell was given.
type Started struct {
	p      *Pane
	number int
}

// Start types a command when the shell has its prompt.
func (p *Pane) Start(command string) *Started {
	p.s.t.Helper()
	number, _, _ := p.atPrompt(0)
	p.Type(command)
	return &Started{p, number}
}

// Wait waits until the shell goes on after the command, and tells what was
// written meanwhile, a line each, and its exit status: 148 if it was stopped.
func (c *Started) Wait() (output []string, status int) {
	c.p.s.t.Helper()
	next, status, lines := c.p.atPrompt(c.number)
	output = lines[c.line(lines)+1:]
	last := len(output) - 1
	if last < 0 { // a terminal that got smaller below a program that filled it
		return output, status
	}
	rest, _ := strings.CutSuffix(output[last], fmt.Sprintf("[%d:%d]", next, status))
	if output[last] = rest; rest == "" {
		output = output[:last]
	}
	return output, status
}

// line is where the command was typed.
func (c *Started) line(lines []string) int {
	typed := regexp.MustCompile(fmt.Sprintf(`\[%d:\d+\] `, c.number))
	for i := len(lines) - 1; i >= 0; i-- {
		if typed.MatchString(lines[i]) {
			return i
		}
	}
	c.p.s.t.Fatalf("command %d is no longer among the lines:\n%s", c.number, strings.Join(lines, "\n"))
	return 0
}

// Run types a command and waits for its end.
func (p *Pane) Run(command string) (output []string, status int) {
	p.s.t.Helper()
	return p.Start(command).Wait()
}
