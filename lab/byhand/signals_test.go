package byhand

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab"
)

// raise sends this process signals, one after the other, and returns when whoever
// catches them has them.
func raise(t *testing.T, all ...unix.Signal) {
	t.Helper()
	came := make(chan os.Signal, 1)
	for _, s := range all {
		signal.Notify(came, s)
		if err := unix.Kill(os.Getpid(), s); err != nil {
			t.Fatal(err)
		}
		<-came
	}
	signal.Stop(came) // which waits until all others are told
}

// However many signals come before there is a program, none of another kind is
// lost; and later ones are passed on if the program was not told of them.
func TestCaught(t *testing.T) {
	c := catch()
	defer c.release()
	raise(t, append(slices.Repeat([]unix.Signal{unix.SIGUSR1}, 2*len(deadly)), unix.SIGTERM)...)
	sent, asked := make(chan unix.Signal, 4*len(deadly)), make(chan unix.Signal)
	c.pass(c.waiting(), func(s unix.Signal) { sent <- s }, func(s unix.Signal) bool { asked <- s; return s == unix.SIGUSR1 })
	if early := []unix.Signal{<-sent, <-sent}; !slices.Contains(early, unix.SIGUSR1) || !slices.Contains(early, unix.SIGTERM) {
		t.Errorf("of those that came early %v are passed on", early)
	}
	for range 2 { // when it asks of the second it has done what it does with the first
		raise(t, unix.SIGUSR1)
		<-asked
	}
	raise(t, unix.SIGTERM)
	<-asked
	if s := <-sent; s != unix.SIGTERM {
		t.Errorf("%v is passed on, of which the program was told", s)
	}
}

// A signal that comes while the signals change hands is the program's.
func TestExecHandOver(t *testing.T) {
	l := up(t, Config{})
	end, err := l.Exec(t.Context(), func() { raise(t, unix.SIGUSR1) }, "client", lab.Execution{}, []string{"sleep", "1000"})
	if err != nil || end.Signal != "SIGUSR1" {
		t.Errorf("it ended with %+v, %v", end, err)
	}
}

// Who waits to be let in is not held up when that is not wanted any more.
func TestExecCancelled(t *testing.T) {
	l := up(t, Config{Grace: time.Minute})
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	ended := run(t, l, "server", "sh", "-c", `trap "" TERM; read line <`+fifo)
	release, err := os.OpenFile(fifo, os.O_WRONLY, 0) // it has set its trap
	if err != nil {
		t.Fatal(err)
	}
	defer release.Close()
	shutDown := make(chan error, 1)
	go func() { shutDown <- do(l, "fault shutdown server") }()
	if _, err := l.Await(t.Context(), "fault shutdown", lab.LastAct); err != nil {
		t.Fatal(err)
	}
	unwanted := errors.New("not wanted any more")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, unwanted)
	defer cancel()
	if _, err := l.Exec(ctx, nil, "client", lab.Execution{}, []string{"true"}); err != unwanted {
		t.Errorf("it ended with %v", err)
	}
	select {
	case err := <-shutDown:
		t.Errorf("it waited for the shutdown, which ended with %v", err)
	default:
		release.Close()
		if err := <-shutDown; err != nil {
			t.Error(err)
		}
	}
	<-ended
}
