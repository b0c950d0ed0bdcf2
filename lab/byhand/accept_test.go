package byhand

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// limitFiles lets this process open so many files more, until release.
func limitFiles(t *testing.T, more uint64) (release func()) {
	t.Helper()
	free, err := unix.FcntlInt(os.Stdin.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(free)
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	set := func(to unix.Rlimit) {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &to); err != nil {
			t.Error(err)
		}
	}
	set(unix.Rlimit{Cur: uint64(free) + more, Max: before.Max})
	return func() { set(before) }
}

// A supervisor that has no descriptor for who calls answers when it has one.
func TestAcceptWithoutRoom(t *testing.T) {
	l := up(t, Config{})
	release := limitFiles(t, 1) // that of who calls
	answered := make(chan error, 1)
	go func() {
		_, err := l.Status()
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Errorf("without a descriptor it answered: %v", err)
	case <-time.After(3 * acceptPause):
	}
	release()
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

// What does not pass ends the lab, with its cause.
func TestDeaf(t *testing.T) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	ctx, down := context.WithCancelCause(t.Context())
	s := &supervisor{down: down}
	s.accept(ctx, l)
	if cause := context.Cause(ctx); !errors.Is(cause, errDeaf) || !errors.Is(cause, net.ErrClosed) {
		t.Errorf("it ended by %v", cause)
	}
}
