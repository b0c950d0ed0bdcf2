package byhand

import (
	"errors"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// A terminal is this process's, as it was when a program was begun in it.
type terminal struct {
	f     *os.File // nil: there is none
	modes *unix.Termios
	group int // in the foreground
}

// takeTerminal notes how the terminal is. It is to be closed.
func takeTerminal() terminal {
	f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return terminal{}
	}
	t := terminal{f: f}
	t.group, _ = unix.IoctlGetInt(int(f.Fd()), unix.TIOCGPGRP)
	t.modes, _ = unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return t
}

func (t terminal) close() {
	if t.f != nil {
		t.f.Close()
	}
}

// takeBack makes this process's group the foreground's again, in which it was: a
// shell that ended made one of its own, and could not name this one, which is in
// no PID namespace of its host's. One that was killed, or whose host is gone, left
// the terminal in its own modes, too. What else is in the foreground by now stays
// there.
func (t terminal) takeBack(killed bool) {
	if t.f == nil || t.group != unix.Getpgrp() {
		return
	}
	signal.Ignore(unix.SIGTTOU) // or whoever is not in the foreground is stopped
	fd := int(t.f.Fd())
	now, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	if err != nil {
		return
	}
	if now != t.group {
		if !errors.Is(unix.Kill(-now, 0), unix.ESRCH) {
			return
		}
		if unix.IoctlSetPointerInt(fd, unix.TIOCSPGRP, t.group) != nil {
			return
		}
	}
	if killed && t.modes != nil {
		_ = unix.IoctlSetTermios(fd, unix.TCSETSW, t.modes)
	}
}

// tells tells whether a signal that came now is the terminal's, for the whole of this
// process's group.
func (t terminal) tells(s unix.Signal) bool {
	switch s {
	case unix.SIGINT, unix.SIGQUIT:
		return t.foreground()
	case unix.SIGHUP:
		return t.hungUp()
	}
	return false
}

// foreground tells whether this process is in the foreground, where the keys'
// signals come to all of its process group.
func (t terminal) foreground() bool {
	if t.f == nil {
		return false
	}
	group, err := unix.IoctlGetInt(int(t.f.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// hungUp tells whether the terminal is gone: who was in its foreground has been
// told by the kernel, and its other jobs by the shell, each a process group.
func (t terminal) hungUp() bool {
	if t.f == nil {
		return false
	}
	_, err := unix.IoctlGetInt(int(t.f.Fd()), unix.TIOCGPGRP)
	return errors.Is(err, unix.EIO)
}
