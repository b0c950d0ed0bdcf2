package observe

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// queueRoom is what may wait in a packet socket's queue, as the kernel counts
// it: some 5 000 packets.
const queueRoom = 4 << 20

// A packetQueue reads a packet socket frame by frame. The reader is woken for
// each and by nothing else: it is for kernels whose time is virtual.
type packetQueue struct {
	fd    int
	frame [snapLen]byte
	oob   []byte
}

// newPacketQueue makes the socket fd, which stays the caller's, stamp its
// frames and say how long they were.
func newPacketQueue(fd int) (*packetQueue, error) {
	for _, o := range []struct {
		name               string
		level, what, value int
	}{
		{"stamp packets", unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1},
		{"ask for packets' lengths", unix.SOL_PACKET, unix.PACKET_AUXDATA, 1},
		{"make room for packets", unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, queueRoom},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.what, o.value); err != nil {
			return nil, fmt.Errorf("%s: %w", o.name, err)
		}
	}
	return &packetQueue{fd: fd, oob: make([]byte, 128)}, nil
}

// drain reads the queue until it is empty: that is one portion.
func (q *packetQueue) drain(tell func(passing)) (portions uint64, err error) {
	for {
		n, noob, _, from, err := unix.Recvmsg(q.fd, q.frame[:], q.oob, unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return 1, nil
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ENETDOWN):
			continue // the interface went down, which is said once: it may come up again
		case err != nil:
			return 0, err
		}
		p := passing{frame: q.frame[:n], kind: from.(*unix.SockaddrLinklayer).Pkttype}
		if err := p.described(q.oob[:noob]); err != nil {
			return 0, err
		}
		tell(p)
	}
}

// described reads a frame's time and length from what the kernel says beside it.
func (p *passing) described(oob []byte) error {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return fmt.Errorf("parse control message: %w", err)
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= 16:
			sec, nsec := binary.NativeEndian.Uint64(m.Data), binary.NativeEndian.Uint64(m.Data[8:])
			p.stamp = int64(sec)*1e9 + int64(nsec)
		case m.Header.Level == unix.SOL_PACKET && m.Header.Type == unix.PACKET_AUXDATA && len(m.Data) >= 8:
			p.length = int(binary.NativeEndian.Uint32(m.Data[4:])) // tp_len
		}
	}
	if p.stamp == 0 || p.length == 0 {
		return errors.New("a packet came without its time or length")
	}
	return nil
}

// pending tells whether a frame waits in the queue.
func (q *packetQueue) pending() bool {
	n, err := unix.IoctlGetInt(q.fd, unix.SIOCINQ)
	return err == nil && n > 0
}

func (q *packetQueue) release() {}
