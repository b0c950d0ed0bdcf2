package labtest_test

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/labtest"
)

// echo sends back what comes, on each connection, until the listener ends.
func echo(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go io.Copy(c, c)
	}
}

// The server's machine crashes. A client that waits for an answer is told by
// its own TCP, which gives up after tcp_retries2 retransmissions.
func TestCrash(t *testing.T) {
	t.Parallel()
	n := labtest.New(t, labtest.Options{Sysctls: []string{"client:net.ipv4.tcp_retries2=3"}})

	l, err := n.Server.Listen("tcp", ":7")
	if err != nil {
		t.Fatal(err)
	}
	go echo(l)
	c, err := n.Client.DialContext(t.Context(), "tcp", "server:7")
	if err != nil {
		t.Fatal(err)
	}
	n.Expect("server socket ESTABLISHED")

	n.Fault("crash", n.Server)
	if _, err := c.Write([]byte("anyone there?\n")); err != nil {
		t.Errorf("write: %v, though it only means that the octets are in the send buffer", err)
	}
	n.Expect("client retransmits")
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Read(make([]byte, 100)); !errors.Is(err, syscall.ETIMEDOUT) {
		t.Fatalf("read: %v, want ETIMEDOUT within 10s", err)
	}
	n.Expect("client error ETIMEDOUT")
}
