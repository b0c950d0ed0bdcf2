package programs

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// catch makes signals show in s.notes. SIGTERM is blocked in this thread, and
// so in every child until that has a handler of its own; the runtime's other
// threads take it.
func (s *server) catch() (err error) {
	s.children = map[int]bool{}
	signals := make(chan os.Signal, 64)
	catchSIGTERM(signals)
	signal.Notify(signals, unix.SIGCHLD)
	if s.notes, err = noteSignals(signals); err != nil {
		return err
	}
	return maskSignal(unix.SIG_BLOCK, unix.SIGTERM)
}

// serveGracefully serves until SIGTERM, then closes the listening socket and
// waits for its children.
func (s *server) serveGracefully() int {
	// What poll saw may be gone when accept looks (UNP 16.6).
	if err := unix.SetNonblock(s.listening, true); err != nil {
		complain("fcntl", err)
		return 1
	}
	for stopping := false; !stopping || len(s.children) > 0; {
		fds := []unix.PollFd{watched(s.notes, true), watched(s.listening, !stopping)}
		if _, err := retry(func() (int, error) { return unix.Poll(fds, -1) }); err != nil {
			complain("poll", err)
			return 1
		}
		if fds[0].Revents != 0 {
			switch noted(s.notes) {
			case unix.SIGCHLD:
				s.reap()
			case unix.SIGTERM:
				if stopping {
					continue
				}
				stopping, s.waitOnce = true, false
				unix.Close(s.listening)
				// None was waited for, so each number is still its own.
				for pid := range s.children {
					_ = unix.Kill(pid, unix.SIGTERM)
				}
				s.reap() // what -wait-once left
			}
			continue
		}
		conn, ok := s.accept()
		if !ok {
			return 1
		}
		if conn >= 0 {
			s.fork(conn)
		}
	}
	return 0
}

// noted reads one signal's note.
func noted(fd int) unix.Signal {
	var note [1]byte
	if _, err := retry(func() (int, error) { return unix.Read(fd, note[:]) }); err != nil {
		complain("read", err)
	}
	return unix.Signal(note[0])
}

func (s *server) reap() { reap(s.waitOnce, func(pid int) { delete(s.children, pid) }) }

// finishAtSIGTERM echoes until end of file, or until SIGTERM: then it sends a
// FIN and throws away what still comes, so that its end is no RST.
func finishAtSIGTERM() int {
	signals := make(chan os.Signal, 1)
	catchSIGTERM(signals)
	notes, err := noteSignals(signals)
	if err == nil {
		err = maskSignal(unix.SIG_UNBLOCK, unix.SIGTERM)
	}
	if err != nil {
		complain("catch SIGTERM", err)
		return 1
	}
	buf := make([]byte, 4096)
	for {
		fds := []unix.PollFd{watched(notes, true), watched(childConn, true)}
		if _, err := retry(func() (int, error) { return unix.Poll(fds, -1) }); err != nil {
			complain("poll", err)
			return 1
		}
		if fds[0].Revents != 0 {
			break
		}
		if n, status := echoOnce(buf); n <= 0 {
			return status
		}
	}
	if err := unix.Shutdown(childConn, unix.SHUT_WR); err != nil {
		complain("shutdown", err)
		return 1
	}
	for {
		n, err := retry(func() (int, error) { return unix.Read(childConn, buf) })
		if err != nil {
			complain("read", err)
			return 1
		}
		if n == 0 {
			return 0
		}
	}
}
