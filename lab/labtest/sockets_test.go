package labtest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab/labtest"
)

// within fails a test if f does not return in time.
func within(t *testing.T, what string, limit time.Duration, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(limit):
		t.Errorf("%s: still not, after %v", what, limit)
	}
}

// patient is longer than anything takes that no timer delays.
const patient = 20 * time.Second

func TestNames(t *testing.T) {
	t.Parallel()
	for _, o := range []labtest.Options{{}, {Family: 6, Standby: true}} {
		n := labtest.New(t, o)
		for _, host := range []*labtest.Host{n.Client, n.Server} {
			l, err := host.Listen("tcp", ":7")
			if err != nil {
				t.Fatal(err)
			}
			go echo(l)
		}
		addr := n.Server.Addr().String()
		for _, c := range []struct{ network, address, remote string }{
			{"tcp", "server:7", net.JoinHostPort(addr, "7")},
			{"tcp", "server.:echo", net.JoinHostPort(addr, "7")},
			{"tcp", net.JoinHostPort(addr, "7"), net.JoinHostPort(addr, "7")},
			{"tcp", "client:7", net.JoinHostPort(n.Client.Addr().String(), "7")},
			{"tcp", "localhost:7", map[bool]string{false: "127.0.0.1:7", true: "[::1]:7"}[n.Client.Addr().Is6()]},
			{"tcp", ":7", map[bool]string{false: "127.0.0.1:7", true: "[::1]:7"}[n.Client.Addr().Is6()]},
		} {
			conn, err := n.Client.DialContext(t.Context(), c.network, c.address)
			if err != nil {
				t.Errorf("%s: %v", c.address, err)
				continue
			}
			if _, ok := conn.(*net.TCPConn); !ok || conn.RemoteAddr().String() != c.remote {
				t.Errorf("%s: a %T to %s, want %s", c.address, conn, conn.RemoteAddr(), c.remote)
			}
		}
		if _, err := n.Client.DialContext(t.Context(), "tcp", "example.com:80"); err == nil {
			t.Error("example.com was found")
		} else if dns, ok := errors.AsType[*net.DNSError](err); !ok || !dns.IsNotFound || strings.Contains(err.Error(), "standby") != o.Standby || strings.Contains(err.Error(), "router") {
			t.Errorf("of a name that there is not: %v", err)
		}
		for _, wrong := range [][2]string{{"unix", "/x"}, {"tcp", "server"}, {"", "server:7"}} {
			if _, err := n.Client.DialContext(t.Context(), wrong[0], wrong[1]); err == nil {
				t.Errorf("dialled %q", wrong)
			}
			if _, err := n.Client.Listen(wrong[0], wrong[1]); err == nil {
				t.Errorf("listens on %q", wrong)
			}
		}
		if _, err := n.Client.DialContext(t.Context(), "tcp", "server:8"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("where nobody listens: %v", err)
		}
	}
}

// What the caller's own dialer says holds on the host.
func TestDialerIsTheCallers(t *testing.T) {
	t.Parallel()
	n := labtest.New(t, labtest.Options{})
	go echo(listen(n))
	called := 0
	for _, d := range []*net.Dialer{
		{Control: func(_, address string, _ syscall.RawConn) error { called++; return nil }},
		{ControlContext: func(context.Context, string, string, syscall.RawConn) error { called++; return nil }},
		{LocalAddr: &net.TCPAddr{IP: n.Client.Addr().AsSlice(), Port: 4711}},
	} {
		c, err := n.Client.Dialer(d).DialContext(t.Context(), "tcp", "server:80")
		if err != nil {
			t.Fatal(err)
		}
		if d.LocalAddr != nil && c.LocalAddr().String() != d.LocalAddr.String() {
			t.Errorf("from %v, want %v", c.LocalAddr(), d.LocalAddr)
		}
	}
	refuse := errors.New("no")
	d := &net.Dialer{Control: func(string, string, syscall.RawConn) error { called++; return refuse }}
	if _, err := n.Client.Dialer(d).DialContext(t.Context(), "tcp", "server:80"); !errors.Is(err, refuse) || called != 3 {
		t.Errorf("a Control that fails: %v; %d calls", err, called)
	}
}

// A connection that is being made keeps no fault from coming, and ends with its
// context, or with the network.
func TestDialIntoSilence(t *testing.T) {
	testenv.NeedRoot(t)
	t.Parallel()
	pending := make(chan error)
	f := fake(t, func(f *fakeT) {
		n := labtest.New(f, labtest.Options{})
		n.Fault("crash", n.Server)
		go func() {
			_, err := n.Client.DialContext(context.Background(), "tcp", "server:80")
			pending <- err
		}()
		n.Expect("client sends SYN")
		within(t, "the fault", patient, func() { n.Fault("reboot", n.Client) })
		within(t, "the end of the dial", patient, func() {
			if err := <-pending; !errors.Is(err, syscall.ECONNABORTED) {
				t.Errorf("of what was being dialled when the client rebooted: %v", err)
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := n.Client.DialContext(ctx, "tcp", "server:80"); !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err) {
			t.Errorf("with a deadline: %v", err)
		}
		go func() { // this one ends with the network
			_, err := n.Client.DialContext(context.Background(), "tcp", "server:80")
			pending <- err
		}()
		n.Expect("client sends SYN")
		if _, err := n.Server.DialContext(t.Context(), "tcp", "client:80"); !errors.Is(err, labtest.ErrDown) {
			t.Errorf("from a dead host: %v", err)
		}
		if _, err := n.Server.Listen("tcp", ":80"); !errors.Is(err, labtest.ErrDown) {
			t.Errorf("on a dead host: %v", err)
		}
	})
	within(t, "the end of what was being dialled", patient, func() {
		if err := <-pending; !errors.Is(err, context.Canceled) {
			t.Errorf("of what was being dialled when the network ended: %v", err)
		}
	})
	if errs, _ := f.failed(); errs != "" {
		t.Error(errs)
	}
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

// A host that reboots takes the sockets of the test's own code with it, and
// can be listened on again.
func TestSocketsOfARebootedHost(t *testing.T) {
	t.Parallel()
	n := labtest.New(t, labtest.Options{})
	l := listen(n)
	packets, err := n.Server.ListenPacket("udp", ":53")
	if err != nil {
		t.Fatal(err)
	}
	out, err := n.Client.DialContext(t.Context(), "tcp", "server:80")
	if err != nil {
		t.Fatal(err)
	}
	in, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	udp, err := n.Client.DialContext(t.Context(), "udp", "server:53")
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 10)
	io.WriteString(udp, "hello")
	if k, _, err := packets.ReadFrom(b); k != 5 || err != nil {
		t.Errorf("%d octets over UDP, %v", k, err)
	}
	for boot := range 2 {
		n.Fault("reboot", n.Server)
		if boot > 0 {
			continue
		}
		within(t, "the old sockets", patient, func() {
			if _, err := l.Accept(); err == nil || errors.Is(err, net.ErrClosed) {
				t.Errorf("accept: %v", err)
			}
			if _, err := in.Read(b); !errors.Is(err, syscall.ECONNABORTED) {
				t.Errorf("read: %v", err)
			}
			if _, _, err := packets.ReadFrom(b); !errors.Is(err, net.ErrClosed) {
				t.Errorf("read of UDP: %v", err)
			}
		})
	}
	go echo(listen(n))
	io.WriteString(out, "x")
	if _, err := out.Read(b); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read of the client: %v", err)
	}
	if _, err := n.Client.DialContext(t.Context(), "tcp", "server:80"); err != nil {
		t.Errorf("a new connection: %v", err)
	}
}

// What a test leaves open is closed: the proof that nothing is left is
// TestMain's. A function on a host that goes on fails the test.
func TestLeftOpen(t *testing.T) {
	testenv.NeedRoot(t)
	stop := make(chan struct{})
	var c net.Conn
	var n *labtest.Network
	accepted := make(chan net.Conn, 1)
	f := fake(t, func(f *fakeT) {
		n = labtest.New(f, labtest.Options{})
		l := listen(n)
		n.Server.Go(func() {
			in, _ := l.Accept()
			accepted <- in
			echo(l)
		})
		c, _ = n.Client.DialContext(t.Context(), "tcp", "server:80")
		io.WriteString(c, "x")
		if err := n.Client.Do(func() error {
			l, err := net.Listen("tcp", "localhost:0")
			if err == nil {
				l.Close()
			}
			return err
		}); err != nil {
			t.Error(err)
		}
		n.Client.Go(func() { <-stop })
	})
	if errs, _ := f.failed(); errs != "a function that Host.Go runs has not returned 5s after all connections were closed" {
		t.Error(errs)
	}
	close(stop)
	for _, c := range []net.Conn{c, <-accepted} {
		if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("write on a connection of a network that is gone: %v", err)
		}
	}
	if _, err := n.Client.DialContext(t.Context(), "tcp", "server:80"); err == nil {
		t.Error("dialled in a network that is gone")
	}
}

// A partition of the test's own connection, and its end.
func TestHeal(t *testing.T) {
	t.Parallel()
	n := labtest.New(t, labtest.Options{Delay: time.Millisecond})
	go echo(listen(n))
	c, err := n.Client.DialContext(t.Context(), "tcp", "server:80")
	if err != nil {
		t.Fatal(err)
	}
	n.Fault("partition", n.Server)
	io.WriteString(c, "hello")
	seen := n.Expect("-times 2 client retransmits")
	if seen.AfterFault < 200*time.Millisecond || seen.AfterFault > patient {
		t.Errorf("retransmitted %v after the fault", seen.AfterFault)
	}
	n.NotSeen(100*time.Millisecond, "client receives data")
	n.Heal()
	if k, err := c.Read(make([]byte, 10)); k != 5 || err != nil {
		t.Errorf("%d octets, %v", k, err)
	}
	n.Expect("client receives data")
}

// The same fault can come again: each is one of its own, with its own end.
func TestTwice(t *testing.T) {
	t.Parallel()
	n := labtest.New(t, labtest.Options{})
	for range 2 {
		go echo(listen(n))
		c, err := n.Client.DialContext(t.Context(), "tcp", "server:80")
		if err != nil {
			t.Fatal(err)
		}
		n.Fault("reboot", n.Server)
		io.WriteString(c, "x")
		n.Expect("client receives RST")
	}
	r := n.Record()
	if len(r.Later) != 1 || r.Fault.Back == 0 || r.Later[0].Back <= r.Later[0].Time || len(r.Signature.Checks) != 4 {
		t.Errorf("faults %+v %+v, %d checks", r.Fault, r.Later, len(r.Signature.Checks))
	}
}
