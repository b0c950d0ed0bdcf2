package labtest

import (
	"net/netip"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/topology"
)

// A Host is a machine of the network: namespaces of its own, in which commands
// run, and whose sockets the test's own Go code can have.
//
// What the test's own code does is observed on the wire and in the socket
// tables; its system calls, unlike those of commands, are not. And it outlives
// the host: if that crashes or reboots, the code's TCP sockets there fail with
// the error that the kernel gives them, and its UDP sockets are closed.
type Host struct {
	network *Network
	host    *topology.Host
}

// ErrDown is of what was to be made on a host that a fault has ended.
var ErrDown = lab.ErrDown

// Name is client, server or standby: by it the hosts find each other.
func (h *Host) Name() string { return h.host.Name }

// Addr is the host's address. A standby has the server's, once it took over.
func (h *Host) Addr() netip.Addr {
	if h == h.network.Standby {
		return h.network.Server.Addr()
	}
	return h.host.NIC.Address.Addr()
}

// Do runs f in the host's network namespace, on a thread of its own. It is for
// what Dialer and Listen do not give. f starts no goroutines that are to be on
// the host, too; descriptors and processes that it makes belong to the host
// and can be used from anywhere, and f's author closes them before the test
// ends, or else they keep the namespace. The error wraps ErrDown if the host
// is down.
func (h *Host) Do(f func() error) error {
	return h.network.session.Inside(h.host, func(release func()) error {
		release()
		return f()
	})
}

// Go runs f as Do does, in a goroutine. The end of the test waits for it, once
// it has closed what Dialer and Listen gave, and fails if f does not return.
// If the host is down, f is not run.
func (h *Host) Go(f func()) {
	h.network.running.Go(func() {
		_ = h.Do(func() error { f(); return nil })
	})
}

// Mark notes in the timeline that the test does something on the host, for a
// reader. Expectations count from there, as from any step.
func (h *Host) Mark(text string) { h.network.session.Mark(h.Name(), text) }
