package programs

import (
	"errors"
	"flag"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	serverName = "echo-server"
	childName  = "echo-child"

	serverArguments = "[flags] [ADDRESS:PORT]"

	backlog   = 1024 // UNP's LISTENQ
	childConn = 3    // the descriptor of a child's connection
)

// A serverConfig is what the command line asks of the echo server.
type serverConfig struct {
	waitOnce, graceful bool
	settings           settings
	address            netip.AddrPort
}

func parseServer(args []string) (serverConfig, *flag.FlagSet, error) {
	c := serverConfig{address: netip.AddrPortFrom(netip.IPv4Unspecified(), DefaultPort)}
	flags := newFlags(serverName)
	flags.BoolVar(&c.waitOnce, "wait-once", false, "wait for one child only at each SIGCHLD, which leaves zombies")
	flags.BoolVar(&c.graceful, "graceful", false, "at SIGTERM stop listening, finish the connections, and end")
	c.settings.flag(flags)
	err := parseFlags(flags, args, 1)
	if err == nil && flags.NArg() > 0 {
		c.address, err = netip.ParseAddrPort(flags.Arg(0))
	}
	return c, flags, err
}

// serverMain is the concurrent echo server of UNP figure 5.12: it listens and
// gives each connection to a child process. The child has only the connection
// and the parent only the listening socket. (Go cannot fork without executing,
// so the child is this program again, under the name echo-child.)
func serverMain(args []string) int {
	config, flags, err := parseServer(args)
	if err != nil {
		return usage(flags, serverArguments, err)
	}
	s := server{serverConfig: config, family: family(config.address.Addr())}
	if config.graceful {
		if err := s.catch(); err != nil {
			complain("catch signals", err)
			return 1
		}
	} else {
		reapChildren(config.waitOnce)
	}
	if !s.open(config.address) {
		return 1
	}
	if config.graceful {
		return s.serveGracefully()
	}
	for {
		if conn, ok := s.accept(); !ok {
			return 1
		} else if conn >= 0 {
			s.fork(conn)
		}
	}
}

type server struct {
	serverConfig
	family, listening int
	notes             int          // signals, if graceful
	children          map[int]bool // that were not waited for, if graceful
}

// open makes the listening socket. SO_REUSEADDR: a rebooted or restarted
// server must not wait for the old connections' TIME_WAIT (UNP 7.5). It says
// what went wrong.
func (s *server) open(a netip.AddrPort) bool {
	fd, err := socket(a.Addr())
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}
	if err == nil && !s.settings.apply(fd, s.family) {
		return false
	}
	if err == nil {
		err = unix.Bind(fd, sockaddr(a))
	}
	if err == nil {
		err = unix.Listen(fd, backlog)
	}
	if err != nil {
		complain("listen", err)
		return false
	}
	s.listening = fd
	return true
}

// accept returns the next connection, or -1 if there was none after all. It
// says what went wrong.
func (s *server) accept() (conn int, ok bool) {
	conn, err := retry(func() (int, error) {
		fd, _, err := unix.Accept4(s.listening, unix.SOCK_CLOEXEC)
		return fd, err
	})
	switch {
	case errors.Is(err, unix.ECONNABORTED), errors.Is(err, unix.EAGAIN):
		// Reset before it was accepted (UNP 5.11); SO_RCVTIMEO.
		return -1, true
	case err != nil:
		complain("accept", err)
		return -1, false
	}
	return conn, true
}

// fork gives a connection to a child.
func (s *server) fork(conn int) {
	defer unix.Close(conn)
	if !s.settings.apply(conn, s.family) {
		return
	}
	argv := []string{childName}
	if s.graceful {
		argv = append(argv, "-graceful")
	}
	pid, err := syscall.ForkExec("/proc/self/exe", argv, &syscall.ProcAttr{
		Env:   os.Environ(),
		Files: []uintptr{0, 1, 2, uintptr(conn)},
	})
	if err != nil {
		complain("fork", err)
		return
	}
	if s.graceful {
		s.children[pid] = true
	}
}

// childMain is UNP's str_echo (figure 5.3): it echoes what it reads from its
// connection until end of file.
func childMain(args []string) int {
	flags := newFlags(childName)
	graceful := flags.Bool("graceful", false, "at SIGTERM finish the connection, and end")
	if err := parseFlags(flags, args, 0); err != nil {
		return usage(flags, "", err)
	}
	unix.CloseOnExec(childConn)
	if *graceful {
		return finishAtSIGTERM()
	}
	for buf := make([]byte, 4096); ; {
		if n, status := echoOnce(buf); n <= 0 {
			return status
		}
	}
}

// echoOnce echoes what one read gives. It returns n <= 0 at the end, which is
// an error if status is not 0. It says what went wrong.
func echoOnce(buf []byte) (n, status int) {
	n, err := retry(func() (int, error) { return unix.Read(childConn, buf) })
	if err != nil {
		complain("read", err)
		return -1, 1
	}
	if err := writeAll(childConn, buf[:n]); err != nil {
		complain("write", err)
		return -1, 1
	}
	return n, 0
}
