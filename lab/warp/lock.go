package warp

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// lock opens a file, which is made if it is not there, and locks it as flock
// does. Closing it gives the lock up.
func lock(name string, how int) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err := errors.Join(err, giveToCaller(name)); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return f, nil
}

// lockWhenFree takes a lock, as flock does, as soon as the others allow it. ctx
// ends the wait; as nothing ends flock's but a signal, the lock comes to its
// goroutine some time after that, which gives it up at once.
func lockWhenFree(ctx context.Context, name string, how int) (*os.File, error) {
	type got struct {
		lock *os.File
		err  error
	}
	free := make(chan got)
	go func() {
		l, err := lock(name, how)
		select {
		case free <- got{l, err}:
		case <-ctx.Done():
			if l != nil {
				l.Close()
			}
		}
	}()
	select {
	case g := <-free:
		return g.lock, g.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
