package programs_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	terminated = "server terminated prematurely"
	brokenPipe = "write: broken pipe (EPIPE)"
)

func client(flags ...string) []string { return append([]string{"echo-client"}, flags...) }

func TestUsage(t *testing.T) {
	for _, name := range []string{"echo-client", "echo-server", "echo-child", "stubborn"} {
		p := start(t, name, "-h")
		if line, _ := p.out.ReadString('\n'); !strings.HasPrefix(line, "usage: "+name) {
			t.Errorf("%s -h prints %q", name, line)
		}
		_, _ = p.out.ReadString(0)
		p.exits(0)
	}
	for want, argv := range map[string][]string{
		"-nonsense":        {"stubborn", "-nonsense"},
		"-port":            {"echo-server", "-port", "1"},
		"not an ip:port":   {"echo-server", "nowhere"},
		"no ADDRESS:PORT":  {"echo-client", "-poll"},
		"too many":         {"echo-client", "127.0.0.1:1", "127.0.0.1:2"},
		"SO_NONSENSE":      {"echo-server", "-set", "SO_NONSENSE=1"},
		"TCP_KEEPCNT=many": {"echo-client", "-set", "TCP_KEEPCNT=many", "127.0.0.1:1"},
		"connections 0":    {"echo-client", "-connections", "0", "127.0.0.1:1"},
		"millisecond":      {"echo-client", "-heartbeat", "-1s", "127.0.0.1:1"},
		"one of them":      {"echo-client", "-heartbeat", "1s", "-poll", "127.0.0.1:1"},
		"itself":           {"echo-client", "-heartbeat", "1s", "-set", "SO_RCVTIMEO=1s", "127.0.0.1:1"},
	} {
		p := start(t, argv...)
		if line, _ := p.err.ReadString('\n'); !strings.Contains(line, want) {
			t.Errorf("%v complains %q, want something with %q", argv, line, want)
		}
		p.exits(2)
	}
}

// Every form of the client gets its echoes, over both families, and the
// server waits for every child.
func TestEcho(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		server, address := serve(t, host, "-set", "SO_RCVTIMEO=10s")
		for _, flags := range []string{"", "-persist", "-poll", "-half-close", "-heartbeat 10s", "-connections 3", "-flood", "-sigpipe", "-set TCP_NODELAY=1"} {
			p := start(t, append(client(strings.Fields(flags)...), address)...)
			p.typed("one")
			p.says(p.out, "one")
			p.typed("two\nthree")
			p.says(p.out, "two")
			p.says(p.out, "three")
			p.in.Close()
			p.exits(0)
			children := 1
			if strings.HasPrefix(flags, "-conn") {
				children = 3
			}
			for range children {
				if line, err := server.out.ReadString('\n'); err != nil || !strings.HasSuffix(line, " exit\n") {
					t.Fatalf("the server printed %q, %v", line, err)
				}
			}
			eventually(t, "the children are gone", func() bool { return len(server.children()) == 0 })
		}
	}
}

func TestConnectRefused(t *testing.T) {
	p := start(t, client(free(t, "127.0.0.1"))...)
	p.says(p.err, "connect: connection refused (ECONNREFUSED)")
	p.exits(1)
}

// killed is a client whose server's child was killed: it has got a FIN.
func killed(t *testing.T, flags ...string) *process {
	t.Helper()
	server, address := serve(t, "127.0.0.1")
	p := start(t, append(client(flags...), address)...)
	p.typed("hello")
	p.says(p.out, "hello")
	for child := range server.children() {
		if err := unix.Kill(child, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	if line, err := server.out.ReadString('\n'); err != nil || !strings.HasPrefix(line, "child ") {
		t.Fatalf("the server printed %q, %v", line, err)
	}
	return p
}

func TestServerTerminated(t *testing.T) {
	t.Run("the client looks when it has written", func(t *testing.T) {
		p := killed(t)
		p.typed("another line")
		p.says(p.out, terminated)
		p.exits(1)
	})
	t.Run("the poll client looks at once", func(t *testing.T) {
		p := killed(t, "-poll")
		p.says(p.out, terminated)
		p.exits(1)
	})
	t.Run("EPIPE", func(t *testing.T) {
		p := killed(t, "-persist")
		p.typed("another line")
		p.says(p.out, terminated)
		p.typed("and one more")
		p.says(p.err, brokenPipe)
		p.in.Close()
		p.exits(1)
	})
	t.Run("SIGPIPE", func(t *testing.T) {
		p := killed(t, "-persist", "-sigpipe")
		p.typed("another line")
		p.says(p.out, terminated)
		p.typed("and one more")
		if status := p.ends(); !status.Signaled() || status.Signal() != unix.SIGPIPE {
			t.Errorf("ended with %v, want SIGPIPE", status)
		}
	})
	t.Run("the heart stops", func(t *testing.T) {
		p := killed(t, "-heartbeat", "300ms")
		p.says(p.out, terminated)
		p.exits(1)
	})
	t.Run("half-close is left out", func(t *testing.T) {
		p := killed(t, "-persist", "-half-close")
		p.typed("another line")
		p.says(p.out, terminated)
		p.in.Close()
		p.exits(1)
		if rest, _ := p.err.ReadString(0); rest != "" {
			t.Errorf("complained: %s", rest)
		}
	})
}

// A client that persists waits for its input and for nothing else.
func TestPersistDoesNotSpin(t *testing.T) {
	for _, flags := range [][]string{{"-persist", "-poll"}, {"-persist", "-heartbeat", "300ms"}} {
		p := killed(t, flags...)
		p.says(p.out, terminated)
		const while = 500 * time.Millisecond
		before := p.cpu()
		time.Sleep(while) // nothing is what happens
		if used := p.cpu() - before; used > while/10 {
			t.Errorf("%v computed %v of %v", flags, used, while)
		}
		// The first may still be sent, where nothing was since the FIN.
		p.typed("another line")
		if flags[1] == "-heartbeat" {
			p.says(p.err, brokenPipe)
		} else {
			conn := sockets(t, p.pid)
			eventually(t, "the RST is there", func() bool {
				for _, fd := range conn {
					info, err := unix.GetsockoptTCPInfo(fd, unix.SOL_TCP, unix.TCP_INFO)
					if err != nil || info.State != unix.BPF_TCP_CLOSE {
						return false
					}
				}
				return true
			})
			p.typed("and one more")
			p.says(p.err, brokenPipe)
		}
		p.in.Close()
		p.exits(1)
	}
}

// reset ends a connection with a RST.
func reset(t *testing.T, conn *net.TCPConn) {
	t.Helper()
	if err := conn.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestReset(t *testing.T) {
	const said = "read: connection reset by peer (ECONNRESET)"
	for _, flags := range [][]string{{"-poll"}, {"-poll", "-persist"}} {
		l := listen(t)
		p := start(t, append(client(flags...), l.Addr().String())...)
		reset(t, accept(t, l))
		p.says(p.err, said)
		if len(flags) > 1 {
			p.typed("hello")
			p.says(p.err, brokenPipe)
			p.in.Close()
		}
		p.exits(1)
	}
}

func TestReceiveTimeout(t *testing.T) {
	const said = "read: resource temporarily unavailable (EAGAIN)"
	l := listen(t)
	p := start(t, client("-persist", "-set", "SO_RCVTIMEO=50ms", l.Addr().String())...)
	conn := accept(t, l)
	p.typed("hello")
	p.says(p.err, said)
	p.typed("again")
	p.says(p.err, said)
	if _, err := conn.Write([]byte("late\n")); err != nil {
		t.Fatal(err)
	}
	p.in.Close()
	p.exits(1)

	p = start(t, client("-set", "SO_RCVTIMEO=50ms", l.Addr().String())...)
	accept(t, l)
	p.typed("hello")
	p.says(p.err, said)
	p.exits(1)
}

func TestHeartbeat(t *testing.T) {
	l := listen(t)
	p := start(t, client("-heartbeat", "300ms", l.Addr().String())...)
	conn := accept(t, l)
	lines := bufio.NewReader(conn)
	echo := func(want string) {
		t.Helper()
		if line, err := lines.ReadString('\n'); err != nil || line != want {
			t.Fatalf("the client sent %q, %v, want %q", line, err, want)
		}
		if _, err := conn.Write([]byte(want)); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		echo("heartbeat\n")
	}
	p.typed("hello")
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
		if line == "hello\n" {
			break
		}
	}
	p.says(p.out, "hello") // and no heartbeat before it
	p.says(p.out, "no heartbeat from the server")
	p.exits(1)
}

func TestHalfClose(t *testing.T) {
	for _, mode := range []string{"-half-close", "-poll"} {
		l := listen(t)
		p := start(t, client(mode, l.Addr().String())...)
		conn := accept(t, l)
		p.in.Close()
		if b, err := io.ReadAll(conn); err != nil || len(b) > 0 {
			t.Fatalf("read %q, %v, want the end of file", b, err)
		}
		if _, err := conn.Write([]byte("late\nthings")); err != nil {
			t.Fatal(err)
		}
		conn.Close()
		p.says(p.out, "late")
		if b, _ := io.ReadAll(p.out); string(b) != "things" {
			t.Errorf("%s printed %q at last", mode, b)
		}
		p.exits(0)
	}
}

func TestConnections(t *testing.T) {
	l := listen(t)
	p := start(t, client("-connections", "5", l.Addr().String())...)
	var conns []*net.TCPConn
	for range 5 {
		conns = append(conns, accept(t, l))
	}
	p.in.Close()
	for _, conn := range conns {
		if b, err := io.ReadAll(conn); err != nil || len(b) > 0 {
			t.Fatalf("read %q, %v, want the end of file", b, err)
		}
	}
	p.exits(0)
}

func TestFlood(t *testing.T) {
	l := listen(t)
	p := start(t, client("-flood", "-set", "SO_SNDTIMEO=100ms", "-set", "SO_SNDBUF=65536", l.Addr().String())...)
	accept(t, l)
	p.typed("flood")
	p.says(p.err, "write: resource temporarily unavailable (EAGAIN)") // the windows are full
	p.exits(1)

	p = start(t, client("-flood", l.Addr().String())...)
	conn := accept(t, l)
	p.typed("flood")
	if _, err := io.ReadFull(conn, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	reset(t, conn)
	p.says(p.err, "write: connection reset by peer (ECONNRESET)")
	p.exits(1)
}
