package topology_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/topology"
)

func addrPort(a net.Addr) netip.AddrPort { return a.(*net.TCPAddr).AddrPort() }

func TestDestroyConnection(t *testing.T) {
	for _, family := range families {
		t.Run(family.String(), func(t *testing.T) {
			n := newNetwork(t, topology.Config{Path: topology.Switch, Family: family})
			client, server := dial(t, n)
			other, _ := dial(t, n)
			local, remote := addrPort(server.LocalAddr()), addrPort(server.RemoteAddr())
			if err := n.Server.DestroyConnection(local, remote); err != nil {
				t.Fatal(err)
			}
			if _, err := server.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNABORTED) {
				t.Errorf("its own read: %v, want %v", err, unix.ECONNABORTED)
			}
			if _, err := client.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
				t.Errorf("the peer's read: %v, want %v", err, unix.ECONNRESET)
			}
			if err := n.Server.DestroyConnection(local, remote); !errors.Is(err, unix.ENOENT) {
				t.Errorf("again: %v, want %v", err, unix.ENOENT)
			}
			// The other one, between the same hosts, lives.
			if err := other.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			if _, err := other.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the other connection's read: %v, want a timeout", err)
			}
		})
	}
}

// A server that listens on both families holds IPv4 connections with IPv6
// sockets.
func TestDestroyMappedConnection(t *testing.T) {
	n := newNetwork(t, topology.Config{Path: topology.Direct})
	if err := n.Client.Namespace().Do(func() error {
		l, err := net.Listen("tcp", ":0")
		if err != nil {
			return err
		}
		defer l.Close()
		if !addrPort(l.Addr()).Addr().Is6() {
			return fmt.Errorf("listens on %s, not on both families", l.Addr())
		}
		port := addrPort(l.Addr()).Port()
		c, err := net.Dial("tcp", fmt.Sprintf("10.0.0.1:%d", port))
		if err != nil {
			return err
		}
		defer c.Close()
		s, err := l.Accept()
		if err != nil {
			return err
		}
		defer s.Close()
		return n.Client.DestroyConnection(netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), port), addrPort(c.LocalAddr()))
	}); err != nil {
		t.Error(err)
	}
}

// A connection that is not there is not its listener.
func TestDestroyConnectionSparesListener(t *testing.T) {
	n := newNetwork(t, topology.Config{Path: topology.Direct})
	var l net.Listener
	if err := n.Server.Namespace().Do(func() (err error) {
		l, err = net.Listen("tcp", "10.0.0.2:9998")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, remote := range []string{"10.0.0.1:40000", "0.0.0.0:0"} {
		err := n.Server.DestroyConnection(addrPort(l.Addr()), netip.MustParseAddrPort(remote))
		if !errors.Is(err, unix.ENOENT) {
			t.Errorf("%s: %v, want %v", remote, err, unix.ENOENT)
		}
	}
	c, err := connect(n, "10.0.0.2:9998")
	if err != nil {
		t.Fatal("the listener is gone:", err)
	}
	c.Close()
}

// borrowedName is this program's argv[0] where it holds a socket.
const borrowedName = "topology-test-socket"

// holdSocket makes a TCP socket with options, prints its inode, waits for a
// line, prints whether the socket is still non-blocking, and ends with its
// standard input.
func holdSocket() {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err == nil {
		err = errors.Join(
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1),
			unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 12345),
		)
	}
	var st unix.Stat_t
	if err == nil {
		err = unix.Fstat(fd, &st)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(st.Ino)
	in := bufio.NewReader(os.Stdin)
	_, _ = in.ReadString('\n')
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	fmt.Println(flags&unix.O_NONBLOCK != 0, err)
	_, _ = io.Copy(io.Discard, in)
	os.Exit(0)
}

func TestBorrowSocket(t *testing.T) {
	n := newNetwork(t, topology.Config{Path: topology.Direct})
	in, stdin, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	out, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	p, err := n.Server.Start(topology.Command{Path: topology.Self, Argv: []string{borrowedName}, Stdin: in, Stdout: stdout, Stderr: os.Stderr})
	in.Close()
	stdout.Close()
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var inode uint32
	if _, err := fmt.Sscan(line, &inode); err != nil {
		t.Fatal(err)
	}
	f, err := n.Server.BorrowSocket(p.PID, inode)
	if err != nil {
		t.Fatal(err)
	}
	for _, option := range []struct {
		name              string
		level, opt, value int
	}{
		{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{"TCP_USER_TIMEOUT", unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 12345},
	} {
		if got, err := unix.GetsockoptInt(int(f.Fd()), option.level, option.opt); err != nil || got != option.value {
			t.Errorf("%s is %d, %v; want %d", option.name, got, err, option.value)
		}
	}
	if flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("flags %#x, %v: the next program would inherit it", flags, err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(stdin)
	if line, err := lines.ReadString('\n'); line != "true <nil>\n" {
		t.Errorf("the program's socket is non-blocking: %q, %v; want true", line, err)
	}
	for _, missing := range []struct {
		pid   int
		inode uint32
		says  string
	}{{p.PID, 1, "no such socket"}, {p.PID + 1000, inode, "no such process"}} {
		f, err := n.Server.BorrowSocket(missing.pid, missing.inode)
		if err == nil {
			f.Close()
		}
		if err == nil || !strings.Contains(err.Error(), missing.says) {
			t.Errorf("process %d, inode %d: %v, want %q", missing.pid, missing.inode, err, missing.says)
		}
	}
	stdin.Close()
	<-p.Done()
}

func TestFreezeAndThaw(t *testing.T) {
	n := newNetwork(t, topology.Config{Path: topology.Direct})
	p, err := n.Server.Start(topology.Command{Path: "/bin/sleep", Argv: []string{"sleep", "100"}})
	if err != nil {
		t.Fatal(err)
	}
	state := func() byte {
		all, err := n.Server.Processes()
		if err != nil || len(all) != 1 {
			t.Fatalf("processes %+v, %v; want one", all, err)
		}
		return all[0].State
	}
	if err := n.Server.Freeze(p.PID); err != nil {
		t.Fatal(err)
	}
	if s := state(); s != 'T' {
		t.Errorf("frozen: state %c, want T", s)
	}
	if err := n.Server.Thaw(p.PID); err != nil {
		t.Fatal(err)
	}
	if s := state(); s == 'T' {
		t.Errorf("thawed: state %c", s)
	}
	if err := n.Server.Thaw(p.PID + 1000); err == nil {
		t.Error("thawed a process that is not there")
	}
}

func TestProcessesListsZombies(t *testing.T) {
	n := newNetwork(t, topology.Config{Path: topology.Direct})
	// The shell's child is left to sleep, which does not wait for it.
	p, err := n.Server.Start(topology.Command{Path: "/bin/sh", Argv: []string{"sh", "-c", "/bin/true & exec /bin/sleep 100"}})
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		all, err := n.Server.Processes()
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(all, func(i topology.ProcessInfo) bool { return i.State == 'Z' && i.Parent == p.PID }) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no zombie of process %d in %+v", p.PID, all)
		}
		time.Sleep(time.Millisecond)
	}
}
