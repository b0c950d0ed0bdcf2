package byhand

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/topology"
)

// SupervisorVerb is the command of the program's that a supervisor is executed
// by: it calls Supervise.
const SupervisorVerb = "supervise"

// supervisorFD is where a supervisor finds its end of the socket to who made it.
const supervisorFD = 3

// KeepFiles keeps what descriptors this process was given, beside its standard
// streams, from the programs that it executes: a lock that a shell holds for the
// time of a command is not to be held for as long as a lab is up.
func KeepFiles() error {
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("keep files: %w", err)
	}
	return nil
}

// Detach builds a lab that stays up after this process: it executes this program
// once more, by the name of argv0 and with SupervisorVerb, in a session of its
// own. It returns when the lab is up; an *Error says why it is not. If ctx ends
// before, the lab is taken down again.
func Detach(ctx context.Context, argv0 string, d Dir, c Config) (*Status, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make control socket: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "supervisor"), os.NewFile(uintptr(pair[1]), "control")
	defer ours.Close()
	defer theirs.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	_, err = syscall.ForkExec(topology.Self, []string{argv0, SupervisorVerb, c.Name}, &syscall.ProcAttr{
		Dir: "/", Env: os.Environ(),
		Files: []uintptr{null.Fd(), null.Fd(), os.Stderr.Fd(), theirs.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	theirs.Close() // so that the supervisor's end is the only one, and its death is heard
	if err != nil {
		return nil, fmt.Errorf("execute supervisor: %w", err)
	}
	control, err := control(ours)
	if err != nil {
		return nil, err
	}
	defer control.close()
	defer context.AfterFunc(ctx, func() { control.c.Close() })()
	if err := control.send(c); err != nil {
		return nil, fmt.Errorf("tell supervisor: %w", err)
	}
	s, l := &Status{}, &Lab{Name: c.Name, dir: d}
	if err := l.hear(control, s); ctx.Err() != nil {
		return nil, context.Cause(ctx)
	} else if err != nil {
		return nil, err
	}
	return s, nil
}

// control makes a conversation of a socket, which stays the caller's.
func control(f *os.File) (*conn, error) {
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("open control socket: %w", err)
	}
	return newConn(c.(*net.UnixConn))
}

// Supervise is what a supervisor does that Detach executed: it builds the lab,
// tells who made it, and keeps it up. The error was told already.
func Supervise(ctx context.Context, d Dir) error {
	f := os.NewFile(supervisorFD, "control")
	control, err := control(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	defer control.close()
	var c Config
	if err := control.receive(&c); err != nil {
		return fmt.Errorf("hear what lab to build: %w", err)
	}
	err = keep(ctx, d, c, func() error { return d.complainTo(c.Name) }, func(s *Status) error {
		if err := control.say(s); err != nil {
			return fmt.Errorf("tell that the lab is up: %w", err)
		}
		return control.close()
	})
	if err != nil && control.send(answer{Error: errorOf(err)}) != nil { // the lab was up
		fmt.Fprintln(os.Stderr, err) // its log
	}
	return err
}

// complainTo lets what this process and the hosts' inits have to complain of go to
// the lab's log, and holds no terminal or pipe any more.
func (d Dir) complainTo(name string) error {
	log, err := os.OpenFile(d.log(name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("make log: %w", err)
	}
	defer log.Close()
	if err := unix.Dup3(int(log.Fd()), int(os.Stderr.Fd()), 0); err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	return nil
}
