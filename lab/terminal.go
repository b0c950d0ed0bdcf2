package lab

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// A terminal is the one that a program has in the place of the user's: the
// other end of a pseudo terminal, through which the user's keys and the
// program's output pass. The user's own signals (Ctrl-C) stay lab's.
type terminal struct {
	master *os.File // ours
	slave  *os.File // the program's
	user   *os.File
	before unix.Termios // how the user's terminal was
	stop   int          // an eventfd: the user's keys are passed on no more
	keys   sync.WaitGroup
	once   sync.Once
	err    error
}

// isTerminal tells whether a file is a terminal.
func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// openTerminal makes one of the size of the user's, and passes the user's keys
// on. Close restores the user's terminal.
func openTerminal(user *os.File) (*terminal, error) {
	t := &terminal{user: user, stop: -1}
	if err := t.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("make terminal: %w", err), t.Close())
	}
	master := t.master
	t.keys.Go(func() { t.pass(master) })
	return t, nil
}

func (t *terminal) open() error {
	before, err := unix.IoctlGetTermios(int(t.user.Fd()), unix.TCGETS)
	if err != nil {
		return err
	}
	t.before = *before
	if t.stop, err = unix.Eventfd(0, unix.EFD_CLOEXEC); err != nil {
		return err
	}
	if t.master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		return err
	}
	n := 0
	// Not by Fd, which would let reads block for good.
	conn, err := t.master.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = conn.Control(func(fd uintptr) {
		if failed = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); failed == nil {
			n, failed = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	})
	if err := errors.Join(err, failed); err != nil {
		return fmt.Errorf("unlock: %w", err)
	}
	if t.slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		return err
	}
	if size, err := unix.IoctlGetWinsize(int(t.user.Fd()), unix.TIOCGWINSZ); err == nil {
		_ = unix.IoctlSetWinsize(int(t.slave.Fd()), unix.TIOCSWINSZ, size) // a matter of looks
	}
	// Each key is passed on as it is; the program's terminal does the rest.
	raw := t.before
	raw.Lflag &^= unix.ICANON | unix.ECHO
	raw.Iflag &^= unix.ICRNL | unix.IXON
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(int(t.user.Fd()), unix.TCSETS, &raw)
}

// pass copies the user's keys until Close.
func (t *terminal) pass(master *os.File) {
	buf := make([]byte, 256)
	for {
		fds := []unix.PollFd{{Fd: int32(t.user.Fd()), Events: unix.POLLIN}, {Fd: int32(t.stop), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); errors.Is(err, unix.EINTR) {
			continue
		} else if err != nil || fds[1].Revents != 0 {
			return
		}
		n, err := unix.Read(int(t.user.Fd()), buf)
		if err != nil || n == 0 {
			return
		}
		if _, err := master.Write(buf[:n]); err != nil {
			return // the program's end is closed
		}
	}
}

// output reads what the program writes; tee gets it as it comes.
func (t *terminal) output(tee io.Writer) io.Reader {
	if tee == nil {
		return t.master
	}
	return io.TeeReader(t.master, tee)
}

// Close gives the user's terminal back as it was. It may be called again.
func (t *terminal) Close() error {
	t.once.Do(func() {
		var errs []error
		if t.stop >= 0 {
			_, err := unix.Write(t.stop, []byte{1, 0, 0, 0, 0, 0, 0, 0})
			errs = append(errs, err)
			if t.master != nil { // what the program does not read would hold the keys up
				errs = append(errs, t.master.Close())
				t.master = nil
			}
			t.keys.Wait()
			errs = append(errs, unix.Close(t.stop))
			errs = append(errs, unix.IoctlSetTermios(int(t.user.Fd()), unix.TCSETS, &t.before))
		}
		for _, f := range []*os.File{t.master, t.slave} {
			if f != nil {
				errs = append(errs, f.Close())
			}
		}
		t.err = errors.Join(errs...)
	})
	return t.err
}
