package byhand

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/topology"
)

// An End is how a program that Exec ran ended.
type End struct {
	Status int    // its exit status, or 128 and the number of the signal that ended it
	Signal string // "SIGINT"; "" if none did
	Gone   string // why it ended with its host; "" if it did not
}

// Exec runs a program on a host, with this process's streams, terminal and
// process group, and waits for its end: keys, sizes, job control and hangups are
// the terminal's own. What this process alone is sent (SIGTERM and the like) is
// passed on. x says as whom and in which environment it runs. The error says why
// it could not be run, and wraps what topology.Host.Start says. If ctx ends before
// it runs, it does not. Exec calls handOver, if that is not nil, when it catches
// the signals itself: no later one is anybody else's to end ctx for, and every
// earlier one has ended it when handOver returns.
func (l *Lab) Exec(ctx context.Context, handOver func(), host string, x lab.Execution, argv []string) (End, error) {
	c, err := l.ask(request{Op: opExec, Exec: &exec{host, x.Who(), argv}})
	if err != nil {
		return End{}, err
	}
	defer c.close()
	admitted := context.AfterFunc(ctx, func() { c.c.Close() })
	defer admitted()
	var a admission
	if err := l.hear(c, &a); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return End{}, err
	}
	door := c.file()
	if door == nil {
		return End{}, errors.New("the supervisor opened no door")
	}
	defer door.Close()
	command, err := x.Command(a.Argv)
	if err != nil {
		return End{}, err
	}
	if c := command.Credential; c != nil && c.UID != 0 { // who has no right to this process's files
		if err := KeepFiles(); err != nil {
			return End{}, err
		}
	}
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	t := takeTerminal()
	defer t.close()
	signals := catch()
	defer signals.release()
	if handOver != nil {
		handOver()
	}
	if !admitted() { // for a signal that came before
		return End{}, context.Cause(ctx)
	}
	entrant, err := topology.Enter(door, command)
	if came, ok := errors.AsType[topology.Interrupted](err); ok {
		return endOf(came.Signal), nil
	}
	switch {
	case errors.Is(err, lab.ErrDown): // meanwhile
		return End{}, hostDown(err, l.Name, host)
	case errors.Is(err, topology.ErrUsherKilled):
		return End{}, &Error{err.Error(), "try again", Refused}
	}
	if err != nil {
		return End{}, err
	}
	early := signals.waiting()
	if err = c.send(note{PID: entrant.PID}); err == nil {
		signals.pass(early, func(s unix.Signal) { _ = c.send(note{Signal: int(s)}) }, t.tells) // a supervisor that is gone is heard of
		err = l.hear(c, &done{})
	}
	if err != nil {
		return End{}, errors.Join(err, entrant.Abandon())
	}
	if err := entrant.Leave(); err != nil {
		return End{}, err
	}
	var e ended
	err = l.hear(c, &e)
	end := End(e)
	if errors.Is(err, errGone) {
		end, err = endOf(unix.SIGKILL), nil
		end.Gone = errGone.Error()
	}
	t.takeBack(end.Signal != "")
	return end, err
}

// endOf is of what a signal ended.
func endOf(s unix.Signal) End { return End{Status: 128 + int(s), Signal: unix.SignalName(s)} }
