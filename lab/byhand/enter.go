package byhand

import (
	"context"
	"errors"
	"os"
	"os/signal"

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
// it runs, it does not.
func (l *Lab) Exec(ctx context.Context, host string, x lab.Execution, argv []string) (End, error) {
	c, err := l.ask(request{Op: opExec, Exec: &exec{host, x.Who(), argv}})
	if err != nil {
		return End{}, err
	}
	defer c.close()
	var a admission
	if err := l.hear(c, &a); err != nil {
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
	signals, release := catch()
	defer release()
	if ctx.Err() != nil { // by a signal that came before
		return End{}, context.Cause(ctx)
	}
	entrant, err := topology.Enter(door, command)
	if came, ok := errors.AsType[topology.Interrupted](err); ok {
		return endOf(came.Signal), nil
	}
	if errors.Is(err, lab.ErrDown) { // meanwhile
		return End{}, errorOf(err)
	}
	if err != nil {
		return End{}, err
	}
	early := len(signals)                     // which came before there was a program
	if err = context.Cause(ctx); err == nil { // it tells of such a signal a little later
		err = c.send(note{PID: entrant.PID})
	}
	if err == nil {
		err = l.hear(c, &done{})
	}
	if err != nil {
		return End{}, errors.Join(err, entrant.Abandon())
	}
	if err := entrant.Leave(); err != nil {
		return End{}, err
	}
	go func() {
		for s := range signals {
			number := s.(unix.Signal)
			if early--; early < 0 && t.tells(number) {
				continue // the program got it, too
			}
			_ = c.send(note{Signal: int(number)}) // a supervisor that is gone is heard of
		}
	}()
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

// catch takes the signals that would end this process, but for those that it was
// started to ignore, so that the program ignores them too, until release.
func catch() (signals chan os.Signal, release func()) {
	all := []os.Signal{unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM}
	signals = make(chan os.Signal, len(all))
	for _, s := range all {
		if !signal.Ignored(s) {
			signal.Reset(s) // what comes between the two is lost: nothing else may
			signal.Notify(signals, s)
		}
	}
	return signals, func() { signal.Stop(signals); close(signals) }
}
