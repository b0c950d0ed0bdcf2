package lab

import (
	"io"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
)

// A Command is a program for a session to start on a host, unmodified, in all
// of the host's namespaces.
type Command struct {
	Host string
	Name string   // by which expectations call it; "": that of its host, if nothing that runs has it, or else its own
	Argv []string // {server:port} and the like are filled in
	Env  []string // nil: this process's
	Dir  string   // "": this process's
	// Stdin: its standard input is a pipe; otherwise /dev/null.
	Stdin bool
	// Tee gets what it writes beside the record, a line or the part of one at
	// a time, of record.KindStdout or record.KindStderr; nil for nobody.
	Tee func(kind string, line []byte)
}

// A Program is one that a session started.
type Program struct{ p *program }

// Start starts a command. It is a step.
func (s *Session) Start(c Command) (*Program, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Name == "" {
		c.Name = s.unused(c.Host, c.Argv[0])
	}
	if err := s.lines.Program(c.Name, c.Host); err != nil {
		return nil, err
	}
	s.e.mark("start", c.Host, "start "+c.Host+" "+strings.Join(c.Argv, " "))
	p, err := s.e.launch(scenarios.Start{Name: c.Name, Host: c.Host, Argv: c.Argv},
		launch{execution: Execution{Env: c.Env, Dir: c.Dir}, typed: c.Stdin, tee: c.Tee})
	if err != nil {
		return nil, err
	}
	return &Program{p}, nil
}

// PID is its process id on the host.
func (p *Program) PID() int { return p.p.process.PID }

// Host is where it runs, or ran.
func (p *Program) Host() *topology.Host { return p.p.process.Host }

// Stdin is the pipe to its standard input, nil without one. Close ends it.
func (p *Program) Stdin() io.WriteCloser {
	if p.p.stdin == nil {
		return nil
	}
	return p.p.stdin
}

// Done is closed when it has ended, with its host at the latest.
func (p *Program) Done() <-chan struct{} { return p.p.process.Done() }

// Drained waits, after its end, until all that it wrote was read. Its children
// may hold its output open: it waits no longer than the time given.
func (p *Program) Drained(timeout time.Duration) {
	read := make(chan struct{})
	go func() { p.p.outputs.Wait(); close(read) }() // at the latest when the session is closed
	select {
	case <-read:
	case <-time.After(timeout):
	}
}

// Ended is its exit status, -1 and the signal if one ended it. It is for after
// Done.
func (p *Program) Ended() (status int, signal string) {
	d := p.p.describe()
	return d.Exit, d.Signal
}

// ShellStatus is its exit status as shells give it: 128 and the number of the
// signal, if one ended it; and that one's name. It is for after Done.
func (p *Program) ShellStatus() (status int, signal string) {
	w, ok := p.p.process.Status()
	switch {
	case !ok: // its host went away under it
		return 128 + int(unix.SIGKILL), "SIGKILL"
	case w.Signaled():
		return 128 + int(w.Signal()), unix.SignalName(w.Signal())
	}
	return w.ExitStatus(), ""
}

// Boot is the boot of its host that it runs in, or ran.
func (p *Program) Boot() int { return p.p.boot }

// Send sends it a signal that somebody sent to who runs it. One that has ended
// gets none, nor does another that has its id.
func (p *Program) Send(signal unix.Signal) {
	select {
	case <-p.Done():
		return
	default:
	}
	if p.Boot() != p.Host().Boot() {
		return
	}
	_, _ = p.Host().Signal(p.PID(), signal)
}

// Signal sends it a signal. It is a step.
func (s *Session) Signal(p *Program, signal unix.Signal) error {
	s.Mark(p.Host().Name, "signal "+p.p.name+" "+unix.SignalName(signal))
	_, err := p.Host().Signal(p.PID(), signal)
	return err
}
