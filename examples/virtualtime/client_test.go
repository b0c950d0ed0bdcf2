package virtualtime

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/labtest"
)

// crashed is a client that has had an answer, and whose server's host then
// crashed.
func crashed(t *testing.T, keepalive net.KeepAliveConfig, patience time.Duration) *Client {
	n := labtest.New(t, labtest.Options{})
	l, err := n.Server.Listen("tcp", ":7")
	if err != nil {
		t.Fatal(err)
	}
	go func() { // an echo server
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go io.Copy(c, c)
		}
	}()
	dialer := n.Client.Dialer(&net.Dialer{KeepAlive: -1, KeepAliveConfig: keepalive})
	c, err := Dial(t.Context(), dialer, "server:7", patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if answer, err := c.Ask("hello"); answer != "hello\n" || err != nil {
		t.Fatalf("answer %q, %v", answer, err)
	}
	n.Fault("crash", n.Server)
	return c
}

// after checks an error, and that it came after a time: a timer of the kernel
// may be late by an eighth.
func after(t *testing.T, wait time.Duration, began time.Time, err error) {
	t.Helper()
	if took := time.Since(began); !errors.Is(err, syscall.ETIMEDOUT) || took < wait || took > wait*9/8 {
		t.Errorf("%v after %v, want ETIMEDOUT after %v", err, took, wait)
	}
}

// Nothing is set: TCP gives up when tcp_retries2 is over, and that is 924.6 s.
func TestServerIsDead(t *testing.T) {
	t.Parallel()
	labtest.Warp(t, func(t *testing.T) {
		c := crashed(t, net.KeepAliveConfig{}, 0)
		began := time.Now()
		_, err := c.Ask("anyone there?")
		after(t, 15*time.Minute+24*time.Second, began, err)
	})
}

// With patience for five minutes it is told then.
func TestPatience(t *testing.T) {
	t.Parallel()
	labtest.Warp(t, func(t *testing.T) {
		c := crashed(t, net.KeepAliveConfig{}, 5*time.Minute)
		began := time.Now()
		_, err := c.Ask("anyone there?")
		after(t, 5*time.Minute, began, err)
	})
}

// Who only waits is told by keepalive; with the kernel's own settings, after
// two hours and nine probes.
func TestKeepalive(t *testing.T) {
	t.Parallel()
	labtest.Warp(t, func(t *testing.T) {
		c := crashed(t, net.KeepAliveConfig{Enable: true, Idle: -1, Interval: -1, Count: -1}, 0)
		began := time.Now()
		_, err := c.Next()
		after(t, 2*time.Hour+9*75*time.Second, began, err)
	})
}
