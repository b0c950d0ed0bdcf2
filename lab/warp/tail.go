package warp

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A tail hands on what a machine appends to a file, as soon as it does, and
// gives the room back that it took.
type tail struct {
	file    *os.File
	to      io.Writer
	changed *os.File // inotify's
	done    chan error
	at      int64
	brake   *brake
	lost    func(error) // is told once why no more can be handed on
}

// newTail follows a file of the directory; to may be nil for nobody. The brake
// holds the machine while the writer takes its time.
func newTail(w *workDir, name string, to io.Writer, b *brake, lost func(error)) (*tail, error) {
	if to == nil {
		to = io.Discard
	}
	path := filepath.Join(w.path, name)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err == nil {
		_, err = unix.InotifyAddWatch(fd, path, unix.IN_MODIFY)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("watch %s: %w", path, err), f.Close())
	}
	t := &tail{file: f, to: to, changed: os.NewFile(uintptr(fd), "inotify"), done: make(chan error, 1), brake: b, lost: lost}
	go func() { t.done <- t.follow() }()
	return t, nil
}

// follow reads until the inotify descriptor is closed.
func (t *tail) follow() error {
	var events [4096]byte
	for {
		if err := t.hand(); err != nil {
			return err
		}
		if _, err := t.changed.Read(events[:]); err != nil {
			return t.hand()
		}
	}
}

func (t *tail) hand() error {
	for {
		buf := make([]byte, 64<<10)
		n, err := t.file.ReadAt(buf, t.at)
		if n > 0 {
			if err := t.brake.during(func() error { _, err := t.to.Write(buf[:n]); return err }); err != nil {
				err = fmt.Errorf("hand on the command's output: %w", err)
				t.lost(err)
				return err
			}
			// Not every file system can; then it takes room until the end.
			_ = unix.Fallocate(int(t.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, t.at, int64(n))
			t.at += int64(n)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// close hands on the rest. The machine must have ended. The error is that of
// who takes it.
func (t *tail) close() error {
	t.changed.Close()
	err := <-t.done
	t.file.Close()
	return err
}
