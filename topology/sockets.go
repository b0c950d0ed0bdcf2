package topology

import (
	"encoding/binary"
	"errors"
	"fmt"

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
		ids, err := socketIDs(family)
		if family == unix.AF_INET6 && errors.Is(err, unix.ENOENT) {
			continue // a kernel without IPv6
		}
		if err != nil {
			errs = append(errs, err)
		}
		for _, id := range ids {
			// ENOENT: it went by itself meanwhile.
			if err := destroySocket(family, id); err != nil && !errors.Is(err, unix.ENOENT) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// A diagID is the kernel's struct inet_diag_sockid: ports, addresses,
// interface and cookie.
type diagID [48]byte

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

// socketIDs lists the TCP sockets of the calling thread's namespace.
func socketIDs(family byte) ([]diagID, error) {
	var msgs [][]byte
	err := RetryDump(func() (err error) {
		req := nl.NewNetlinkRequest(nl.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP)
		req.AddData(&diagRequest{family: family, states: 0xffffffff})
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
