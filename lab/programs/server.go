package programs

import (
	"flag"
	"net/netip"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	serverName = "echo-server"
	childName  = "echo-child"

	backlog = 1024 // UNP's LISTENQ
)

// serverMain is the concurrent echo server: it listens on every address and
// gives each connection to a child process. The child has only the connection
// and the parent only the listening socket. (Go cannot fork without executing,
// so the child is this program again, under the name echo-child.)
func serverMain(args []string) int {
	flags := flag.NewFlagSet(serverName, flag.ContinueOnError)
	port := flags.Uint("port", DefaultPort, "TCP `port` to listen on, on every address")
	six := flags.Bool("6", false, "listen on IPv6 addresses")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	reapChildren()
	any := netip.IPv4Unspecified()
	if *six {
		any = netip.IPv6Unspecified()
	}
	fd, err := listen(netip.AddrPortFrom(any, uint16(*port)))
	if err != nil {
		complain("listen", err)
		return 1
	}
	for {
		conn, err := retry(func() (int, error) {
			fd, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
			return fd, err
		})
		if err != nil {
			complain("accept", err)
			return 1
		}
		_, err = syscall.ForkExec("/proc/self/exe", []string{childName}, &syscall.ProcAttr{
			Env:   os.Environ(),
			Files: []uintptr{0, 1, 2, uintptr(conn)},
		})
		if err != nil {
			complain("fork", err)
		}
		unix.Close(conn)
	}
}

// listen makes a listening socket. SO_REUSEADDR: a rebooted or restarted
// server must not wait for the old connections' TIME_WAIT (UNP 7.5).
func listen(a netip.AddrPort) (int, error) {
	fd, err := socket(a.Addr())
	if err != nil {
		return -1, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, sockaddr(a)); err != nil {
		return -1, err
	}
	return fd, unix.Listen(fd, backlog)
}

// reapChildren waits for every child that ended at each SIGCHLD: several may
// stand behind one signal (UNP 5.10). The runtime restarts the system calls
// that it interrupts (SA_RESTART).
func reapChildren() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	go func() {
		for range ended {
			for {
				pid, err := retry(func() (int, error) { return unix.Wait4(-1, nil, unix.WNOHANG, nil) })
				if err != nil || pid <= 0 {
					break
				}
				say("child %d exit", pid)
			}
		}
	}()
}

// childMain echoes what it reads from its descriptor 3 until end of file.
func childMain([]string) int {
	const conn = 3
	unix.CloseOnExec(conn)
	buf := make([]byte, 4096)
	for {
		n, err := retry(func() (int, error) { return unix.Read(conn, buf) })
		if err != nil {
			complain("read", err)
			return 1
		}
		if n == 0 {
			return 0
		}
		if err := writeAll(conn, buf[:n]); err != nil {
			complain("write", err)
			return 1
		}
	}
}
