package labtest

import (
	"context"
	"net"
	"syscall"
)

// A Dialer makes connections from a host. Its DialContext is what http.Transport
// and drivers of databases take.
type Dialer struct {
	host   *Host
	dialer net.Dialer
}

// Dialer dials from the host as d does, with its timeouts and its keepalive.
// What d.Resolver says is not asked for.
func (h *Host) Dialer(d *net.Dialer) *Dialer { return &Dialer{h, *d} }

// DialContext dials from the host as the zero net.Dialer does, as Dialer tells.
func (h *Host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return h.Dialer(new(net.Dialer)).DialContext(ctx, network, address)
}

// DialContext connects to an address: of TCP or UDP, an IP address or the name
// of a host of the network, and a port. What it returns is a *net.TCPConn or
// *net.UDPConn, which is closed with the network at the latest.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	n := d.host.network
	to, err := d.host.address(network, address, "localhost")
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(n.ctx, cancel)()
	var conn net.Conn
	err = n.session.Inside(d.host.host, func(release func()) error {
		boot := d.host.host.Boot()
		own := d.dialer
		own.FallbackDelay = -1 // a second goroutine would not be on the host
		before, beforeContext := own.Control, own.ControlContext
		own.ControlContext = func(ctx context.Context, network, address string, c syscall.RawConn) error {
			release() // the socket is there; to connect may take minutes, and a fault
			switch {
			case beforeContext != nil:
				return beforeContext(ctx, network, address, c)
			case before != nil:
				return before(network, address, c)
			}
			return nil
		}
		conn, err = own.DialContext(ctx, network, to)
		if err != nil {
			return err
		}
		return n.given(d.host, boot, conn)
	})
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// given notes a connection that was made on a host.
func (n *Network) given(h *Host, boot int, conn any) error {
	one := socket{host: h, boot: boot}
	switch c := conn.(type) {
	case *net.TCPConn:
		one.conn = c
	case *net.UDPConn:
		one.conn, one.udp = c, true
	case *net.TCPListener:
		one.conn = c
	}
	return n.sockets.add(one)
}
