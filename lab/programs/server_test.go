package programs_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// endTogether stops the server, ends its five children, and lets it go on: the
// kernel has then one SIGCHLD for it.
func endTogether(t *testing.T, server *process, address string) {
	t.Helper()
	left := server.zombies()
	var conns []net.Conn
	for range 5 {
		conn := dial(t, address)
		echoes(t, conn)
		conns = append(conns, conn)
	}
	server.signal(unix.SIGSTOP)
	if _, err := unix.Wait4(server.pid, nil, unix.WUNTRACED, nil); err != nil {
		t.Fatal(err)
	}
	for _, conn := range conns {
		conn.Close()
	}
	eventually(t, "five children have ended", func() bool { return server.zombies() == left+5 })
	server.signal(unix.SIGCONT)
}

func TestReapsAll(t *testing.T) {
	server, address := serve(t, "127.0.0.1")
	for range 3 {
		endTogether(t, server, address)
		seen := map[string]bool{}
		for range 5 {
			line, err := server.out.ReadString('\n')
			var pid int
			if _, bad := fmt.Sscanf(line, "child %d exit\n", &pid); bad != nil || err != nil || seen[line] {
				t.Fatalf("printed %q, %v", line, err)
			}
			seen[line] = true
		}
		if n := server.zombies(); n != 0 {
			t.Errorf("%d zombies", n)
		}
	}
}

func TestWaitOnce(t *testing.T) {
	for range 10 {
		server, address := serve(t, "127.0.0.1", "-wait-once")
		reaped := func() {
			t.Helper()
			if line, err := server.out.ReadString('\n'); err != nil || !strings.HasPrefix(line, "child ") {
				t.Fatalf("printed %q, %v", line, err)
			}
		}
		endTogether(t, server, address)
		reaped()
		if n := server.zombies(); n != 4 {
			t.Errorf("%d zombies, want 4", n)
		}
		// The next child's end waits for one more, and no more.
		conn := dial(t, address)
		echoes(t, conn)
		conn.Close()
		reaped()
		if n := server.zombies(); n != 4 {
			t.Errorf("%d zombies after one more child, want 4", n)
		}
		server.signal(unix.SIGTERM)
		if status := server.ends(); status.Signal() != unix.SIGTERM {
			t.Errorf("ended with %v, want SIGTERM", status)
		}
	}
}

func TestGraceful(t *testing.T) {
	for _, flags := range [][]string{{"-graceful"}, {"-graceful", "-wait-once"}} {
		for _, host := range []string{"127.0.0.1", "::1"} {
			server, address := serve(t, host, flags...)
			one, two := dial(t, address), dial(t, address)
			echoes(t, one)
			echoes(t, two)
			server.signal(unix.SIGTERM)
			for _, conn := range []*net.TCPConn{one, two} {
				// A FIN and no RST, whatever is still sent.
				if b, err := io.ReadAll(conn); err != nil || len(b) > 0 {
					t.Fatalf("read %q, %v, want the end of file", b, err)
				}
				if _, err := conn.Write([]byte("thrown away\n")); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := net.DialTimeout("tcp", address, patience); err == nil {
				t.Error("it still listens")
			}
			one.Close()
			if _, err := two.Write([]byte("thrown away\n")); err != nil {
				t.Error("the server did not wait for its second child:", err)
			}
			two.Close()
			for range 2 {
				if line, err := server.out.ReadString('\n'); err != nil || !strings.HasSuffix(line, " exit\n") {
					t.Fatalf("printed %q, %v", line, err)
				}
			}
			server.exits(0)
		}
	}
}

// A child that alone gets SIGTERM finishes its connection; its server goes on.
func TestGracefulChild(t *testing.T) {
	server, address := serve(t, "127.0.0.1", "-graceful")
	p := start(t, client("-poll", address)...)
	p.typed("hello")
	p.says(p.out, "hello")
	for child := range server.children() {
		if err := unix.Kill(child, unix.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	p.says(p.out, terminated)
	p.exits(1)
	if line, err := server.out.ReadString('\n'); err != nil || !strings.HasSuffix(line, " exit\n") {
		t.Fatalf("printed %q, %v", line, err)
	}
	conn := dial(t, address)
	echoes(t, conn)
	conn.Close()
	server.signal(unix.SIGTERM)
	_, _ = server.out.ReadString('\n')
	server.exits(0)
}

// Ctrl-\ ends a program as it does any other: without a word.
func TestServerDiesOfSIGQUIT(t *testing.T) {
	server, _ := serve(t, "127.0.0.1")
	if err := unix.Prlimit(server.pid, unix.RLIMIT_CORE, &unix.Rlimit{}, nil); err != nil {
		t.Fatal(err)
	}
	server.signal(unix.SIGQUIT)
	if status := server.ends(); status.Signal() != unix.SIGQUIT {
		t.Errorf("ended with %v, want SIGQUIT", status)
	}
	if rest, _ := server.err.ReadString(0); strings.Contains(rest, "goroutine") {
		t.Errorf("it said: %s", rest)
	}
}

func TestServerDiesOfSIGTERM(t *testing.T) {
	server, address := serve(t, "127.0.0.1")
	conn := dial(t, address)
	echoes(t, conn)
	server.signal(unix.SIGTERM)
	conn.Close()
	if status := server.ends(); status.Signal() != unix.SIGTERM {
		t.Errorf("ended with %v, want SIGTERM", status)
	}
}

func TestAddressInUse(t *testing.T) {
	p := start(t, "echo-server", listen(t).Addr().String())
	p.says(p.err, "listen: address already in use (EADDRINUSE)")
	p.exits(1)
}

func TestStubborn(t *testing.T) {
	p := start(t, "stubborn")
	p.says(p.out, "ready")
	p.signal(unix.SIGTERM)
	p.signal(unix.SIGKILL)
	if status := p.ends(); status.Signal() != unix.SIGKILL {
		t.Errorf("ended with %v, want SIGKILL", status)
	}
}
