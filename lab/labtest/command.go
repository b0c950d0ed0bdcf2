package labtest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/record"
)

// A Cmd is a program that runs on a host, unmodified, in all of the host's
// namespaces: its process ids, its network, its /proc. Its system calls are
// observed, and what it writes is part of the timeline. It ends with its host,
// at the end of the test at the latest.
type Cmd struct {
	// Args are the program and its arguments. {server}, {client}, {any},
	// {port}, {server:port} and {any:port} in them are filled in, as in a
	// scenario; echo-server and echo-client are lab's own.
	Args []string
	// Env is its environment, nil for the test's; Dir its working directory,
	// "" for the test's.
	Env []string
	Dir string
	// As is its name in expectations, "" for that of its host if no other
	// command that runs there has it, or else the program's.
	As string

	host    *Host
	typed   bool
	program *lab.Program
	out     output
	err     output
}

// Command prepares a command; Start or Run run it.
func (h *Host) Command(name string, args ...string) *Cmd {
	return &Cmd{Args: append([]string{name}, args...), host: h}
}

// Start runs it. It returns when the program was executed.
func (c *Cmd) Start() error {
	if c.program != nil {
		return fmt.Errorf("start %s: it was started before", c.Args[0])
	}
	p, err := c.host.network.session.Start(lab.Command{
		Host: c.host.Name(), Name: c.As, Argv: c.Args, Env: c.Env, Dir: c.Dir, Stdin: c.typed,
		Tee: func(kind string, line []byte) {
			if kind == record.KindStderr {
				c.err.write(line)
				return
			}
			c.out.write(line)
		},
	})
	if err != nil {
		return fmt.Errorf("start %s on %s: %w", c.Args[0], c.host.Name(), err)
	}
	c.program = p
	return nil
}

// StdinPipe gives it a pipe as its standard input, which is /dev/null
// otherwise. It is to be asked for before Start, and written to after. Close
// ends the input.
func (c *Cmd) StdinPipe() io.WriteCloser {
	c.typed = true
	return stdin{c}
}

// stdin is the pipe of a command that may not have been started yet.
type stdin struct{ c *Cmd }

var errNotStarted = errors.New("the command was not started")

func (s stdin) Write(p []byte) (int, error) {
	if s.c.program == nil {
		return 0, errNotStarted
	}
	return s.c.program.Stdin().Write(p)
}

func (s stdin) Close() error {
	if s.c.program == nil {
		return errNotStarted
	}
	return s.c.program.Stdin().Close()
}

// Run is Start and Wait.
func (c *Cmd) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Done is closed when it has ended; it is for after Start.
func (c *Cmd) Done() <-chan struct{} { return c.program.Done() }

// Wait waits for its end. The error is an *ExitError if it did not end with
// status 0: its host may have gone, too.
func (c *Cmd) Wait() error {
	if c.program == nil {
		return errNotStarted
	}
	<-c.program.Done()
	c.program.Drained(patience)
	status, signal := c.program.Ended()
	if status == 0 {
		return nil
	}
	return &ExitError{Name: c.Args[0], Status: status, Signal: signal, said: c.err.last()}
}

// An ExitError says how a command ended.
type ExitError struct {
	Name   string
	Status int    // -1 if a signal ended it
	Signal string // "SIGKILL"; "" if none did
	said   string // the last line on its standard error
}

func (e *ExitError) Error() string {
	s := fmt.Sprintf("%s: exit status %d", e.Name, e.Status)
	if e.Signal != "" {
		s = fmt.Sprintf("%s: ended by %s", e.Name, e.Signal)
	}
	if e.said != "" {
		s += ": " + e.said
	}
	return s
}

// Signal sends it a signal.
func (c *Cmd) Signal(s os.Signal) error {
	number, ok := s.(syscall.Signal)
	switch {
	case !ok:
		return fmt.Errorf("signal %v: not one of this system", s)
	case c.program == nil:
		return errNotStarted
	}
	return c.host.network.session.Signal(c.program, unix.Signal(number))
}

// PID is its process id, as its host numbers it.
func (c *Cmd) PID() int { return c.program.PID() }

// Stdout is what it has written to its standard output until now, but for a
// line that has not ended; after Wait it is all, but no more than 16 MiB.
func (c *Cmd) Stdout() string { return c.out.String() }

// Stderr is the same of its standard error.
func (c *Cmd) Stderr() string { return c.err.String() }

// An output is what a program has written.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

// maxOutput bounds what is kept of a stream, in octets.
const maxOutput = 16 << 20

func (o *output) write(line []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.text.Len()+len(line) <= maxOutput {
		o.text.Write(line)
	}
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// last is its last line.
func (o *output) last() string {
	text := strings.TrimRight(o.String(), "\n")
	return text[strings.LastIndexByte(text, '\n')+1:]
}
