package labtest_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/labtest"
)

// What other packages take to dial with.
type (
	// grpc.WithContextDialer's, and that of mysql.RegisterDialContext.
	addressDialer func(ctx context.Context, address string) (net.Conn, error)
	// http.Transport's DialContext, and pgx's DialFunc.
	networkDialer func(ctx context.Context, network, address string) (net.Conn, error)
)

// Over a router, and IPv6.
func TestDialers(t *testing.T) {
	t.Parallel()
	n := labtest.New(t, labtest.Options{Path: "router", Family: 6})
	l, err := n.Server.Listen("tcp", ":7")
	if err != nil {
		t.Fatal(err)
	}
	go echo(l)

	// For grpc.WithContextDialer.
	dial := func(ctx context.Context, address string) (net.Conn, error) {
		return n.Client.DialContext(ctx, "tcp", address)
	}
	// As your program dials, with its timeouts and its keepalive.
	dialer := n.Client.Dialer(&net.Dialer{Timeout: 5 * time.Second, KeepAlive: -1})

	for name, call := range map[string]func(addressDialer, networkDialer) (net.Conn, error){
		"address": func(f addressDialer, _ networkDialer) (net.Conn, error) { return f(t.Context(), "server:7") },
		"network": func(_ addressDialer, f networkDialer) (net.Conn, error) { return f(t.Context(), "tcp", "server:7") },
	} {
		c, err := call(dial, dialer.DialContext)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := io.WriteString(c, "x"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
