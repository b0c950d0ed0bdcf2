package topology

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// destroySockets ends every TCP socket of the namespace in silence or with a
// RST, as its state and its link allow (tcp_abort). A crashed host's orphans
// must go this way: they would hold the deleted namespace and its interface
// for minutes, and speak up again if the link came back.
//
// The library's SocketDestroy knows IPv4 only; this hands the identification
// that the kernel gave in its dump back to it, whatever the family.
func (n *Namespace) destroySockets() error { return n.Do(destroySockets) }

// destroySockets does so in the calling thread's namespace.
func destroySockets() error {
	var errs []error
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		ids, err := socketIDs(family, allStates)
		if family == unix.AF_INET6 && errors.Is(err, unix.ENOENT) {
			continue // a kernel without IPv6
		}
		if err != nil {
			errs = append(errs, err)
		}
		for _, id := range ids {
			// ENOENT: it went by itself meanwhile. EINVAL: it is a listener
			// of Multipath TCP, which only its process can close.
			if err := destroySocket(family, id); err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINVAL) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// DestroyConnection ends exactly that TCP connection of the host (SOCK_DESTROY,
// tcp_abort): its program gets ECONNABORTED, the peer a RST. local and remote
// are as the host sees them. The error wraps unix.ENOENT if it has none such.
func (h *Host) DestroyConnection(local, remote netip.AddrPort) error {
	err := h.Namespace().Do(func() error { return destroyConnection(local, remote) })
	if err != nil {
		return fmt.Errorf("destroy connection %s-%s of %s: %w", local, remote, h.Name, err)
	}
	return nil
}

// destroyConnection does so in the calling thread's namespace. It takes the
// cookie of a dump: asked by addresses alone the kernel falls back to a
// listener, and destroys that (inet_diag_find_one_icsk). An IPv4 connection
// may belong to an IPv6 socket.
func destroyConnection(local, remote netip.AddrPort) error {
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		ids, err := socketIDs(family, allStates&^(1<<tcpListen))
		if family == unix.AF_INET6 && errors.Is(err, unix.ENOENT) {
			continue // a kernel without IPv6
		}
		if err != nil {
			return err
		}
		for _, id := range ids {
			if id.local(family) == local && id.remote(family) == remote {
				return destroySocket(family, id)
			}
		}
	}
	return unix.ENOENT
}

// Of the states of sockets (TCP_LISTEN in net/tcp_states.h), as bits.
const (
	allStates = 0xffffffff
	tcpListen = 10
)

// A diagID is the kernel's struct inet_diag_sockid: ports, addresses,
// interface and cookie.
type diagID [48]byte

func (id diagID) local(family byte) netip.AddrPort  { return id.addrPort(family, 0, 4) }
func (id diagID) remote(family byte) netip.AddrPort { return id.addrPort(family, 2, 20) }

func (id diagID) addrPort(family byte, port, addr int) netip.AddrPort {
	a := netip.AddrFrom16([16]byte(id[addr : addr+16])).Unmap()
	if family == unix.AF_INET {
		a = netip.AddrFrom4([4]byte(id[addr : addr+4]))
	}
	return netip.AddrPortFrom(a, binary.BigEndian.Uint16(id[port:]))
}

// diagRequest is the kernel's struct inet_diag_req_v2.
type diagRequest struct {
	family byte
	states uint32
	id     diagID
}

// Len and Serialize make it a netlink request's data.
func (r *diagRequest) Len() int { return 8 + len(r.id) }

func (r *diagRequest) Serialize() []byte {
	b := make([]byte, 0, r.Len())
	b = append(b, r.family, unix.IPPROTO_TCP, 0, 0)
	b = binary.NativeEndian.AppendUint32(b, r.states)
	return append(b, r.id[:]...)
}

// socketIDs lists the TCP sockets of the calling thread's namespace that are
// in one of the states.
func socketIDs(family byte, states uint32) ([]diagID, error) {
	var msgs [][]byte
	err := RetryDump(func() (err error) {
		req := nl.NewNetlinkRequest(nl.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP)
		req.AddData(&diagRequest{family: family, states: states})
		msgs, err = req.Execute(unix.NETLINK_INET_DIAG, nl.SOCK_DIAG_BY_FAMILY)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list TCP sockets: %w", err)
	}
	ids := make([]diagID, 0, len(msgs))
	for _, m := range msgs {
		if len(m) < 4+len(diagID{}) {
			return nil, fmt.Errorf("list TCP sockets: message of %d octets", len(m))
		}
		ids = append(ids, diagID(m[4:])) // after family, state, timer, retransmissions
	}
	return ids, nil
}

func destroySocket(family byte, id diagID) error {
	req := nl.NewNetlinkRequest(nl.SOCK_DESTROY, unix.NLM_F_ACK)
	req.AddData(&diagRequest{family: family, id: id})
	if _, err := req.Execute(unix.NETLINK_INET_DIAG, 0); err != nil {
		return fmt.Errorf("destroy TCP socket: %w", err)
	}
	return nil
}

// RetryDump repeats a netlink dump that the kernel's tables changed under.
func RetryDump(dump func() error) error {
	var err error
	for range 5 {
		if err = dump(); !errors.Is(err, nl.ErrDumpInterrupted) {
			return err
		}
	}
	return err
}
