package labtest

import (
	"net"
)

// Listen listens on the host, as net.Listen does. In the address, "" stands
// for all of the host's own of the network's family. The listener, and what it
// accepts, is closed with the network at the latest.
func (h *Host) Listen(network, address string) (net.Listener, error) {
	var l *listener
	err := h.listen(network, address, func(c net.ListenConfig, to string) error {
		inner, err := c.Listen(h.network.ctx, network, to)
		if err != nil {
			return err
		}
		l = &listener{inner.(*net.TCPListener), h, h.host.Boot()}
		return h.network.given(h, l.boot, l.TCPListener)
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// ListenPacket listens for packets on the host, as net.ListenPacket does, and
// as Listen tells. It is a *net.UDPConn.
func (h *Host) ListenPacket(network, address string) (net.PacketConn, error) {
	var conn net.PacketConn
	err := h.listen(network, address, func(c net.ListenConfig, to string) (err error) {
		if conn, err = c.ListenPacket(h.network.ctx, network, to); err != nil {
			return err
		}
		return h.network.given(h, h.host.Boot(), conn)
	})
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// listen runs f on the host.
func (h *Host) listen(network, address string, f func(c net.ListenConfig, to string) error) error {
	to, err := h.address(network, address, anyone)
	if err != nil {
		return &net.OpError{Op: "listen", Net: network, Err: err}
	}
	return h.network.session.Inside(h.host, func(func()) error {
		var c net.ListenConfig
		c.SetMultipathTCP(false) // Go's default; of such a socket no observer knows
		return f(c, to)
	})
}

// A listener notes what it accepts.
type listener struct {
	*net.TCPListener
	host *Host
	boot int
}

// Accept is net.Listener's.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		return nil, err // not c, which would be a net.Conn that is not nil
	}
	return c, nil
}

// AcceptTCP is net.TCPListener's.
func (l *listener) AcceptTCP() (*net.TCPConn, error) {
	c, err := l.TCPListener.AcceptTCP()
	if err != nil {
		return nil, err
	}
	if err := l.host.network.given(l.host, l.boot, c); err != nil {
		return nil, err
	}
	return c, nil
}
