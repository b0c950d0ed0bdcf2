package observe

import (
	"bytes"
	"encoding/binary"
	"net/netip"
)

// The types of what the eBPF programs put into the ring: enum event_type of
// bpf/event.h.
const (
	bpfMark = 1 + iota
	bpfState
	bpfError
	bpfRetransmit
	bpfRSTReceived
	bpfRSTSent
	bpfDrop
	bpfEnter // in the map of calls only
	bpfCall
	bpfFork
	bpfExit
	bpfSignal
	bpfUnseen
	bpfExec
	bpfTextKind
)

// Sizes of the structures of bpf/event.h.
const (
	bpfHeadSize   = 40
	bpfEndsSize   = 40
	bpfAddrsSize  = bpfEndsSize - 2 // without the state
	bpfSockSize   = bpfHeadSize + 8 + bpfEndsSize + 24
	bpfCallSize   = bpfHeadSize + 8 + bpfEndsSize + 32  // and the data, and mostly the arguments
	bpfThreadSize = bpfCallSize + bpfDataSize + 24 + 48 // struct thread of bpf/maps.h
	bpfDataSize   = 96
	bpfProcSize   = bpfHeadSize + 8
	bpfExecSize   = bpfHeadSize + 8 // and the strings
)

// A bpfHead is struct head.
type bpfHead struct {
	time                 int64 // CLOCK_MONOTONIC
	kind, host, pid, tid uint32
	comm                 []byte
}

// A bpfEnds is struct ends: the addresses as the kernel has them, which
// bpfDecoder.addrs reads, and the state.
type bpfEnds struct {
	raw   [bpfAddrsSize]byte
	state uint16
}

// A bpfSock is struct sock_event.
type bpfSock struct {
	sk                                uint64
	ends                              bpfEnds
	from, to                          uint16
	cwnd                              uint32 // segments, 0: not told
	rto                               uint32 // jiffies
	err                               int32
	reason                            uint32
	retransmits, backoff, pending, ca uint8
}

// A bpfSyscall is struct call_event.
type bpfSyscall struct {
	sk    uint64
	ends  bpfEnds
	start int64 // CLOCK_MONOTONIC
	ret   int64
	arg   [3]uint64
	call  uint32
	flags uint16
	fd    int32
	data  []byte
}

// The flags of a struct call_event.
const (
	bpfCallEmpty = 1 << iota
	bpfCallInput
)

// The decoders take a whole record and are false where it is too short. What
// they return refers to the record's bytes.

func decodeHead(b []byte) (h bpfHead, ok bool) {
	if len(b) < bpfHeadSize {
		return h, false
	}
	ne := binary.NativeEndian
	h.time = int64(ne.Uint64(b))
	h.kind = ne.Uint32(b[8:])
	h.host = ne.Uint32(b[12:])
	h.pid = ne.Uint32(b[16:])
	h.tid = ne.Uint32(b[20:])
	h.comm = b[24:40]
	if i := bytes.IndexByte(h.comm, 0); i >= 0 {
		h.comm = h.comm[:i]
	}
	return h, true
}

func decodeEnds(b []byte) bpfEnds {
	return bpfEnds{raw: [bpfAddrsSize]byte(b), state: binary.NativeEndian.Uint16(b[bpfAddrsSize:])}
}

// addrs gives the texts of the addresses, empty where there is none.
func (e *bpfEnds) addrs() (local, remote string) {
	ne, b := binary.NativeEndian, &e.raw
	text := func(b []byte, port uint16) string {
		if a := decodeAddr(ne.Uint16(e.raw[36:]), b, port); a.IsValid() {
			return a.String()
		}
		return ""
	}
	return text(b[:16], ne.Uint16(b[32:])), text(b[16:32], ne.Uint16(b[34:]))
}

// decodeAddr makes an address of the kernel's bytes. An IPv4 address that an
// IPv6 socket uses is an IPv4 address. Without a port there is no address.
func decodeAddr(family uint16, b []byte, port uint16) netip.AddrPort {
	const inet, inet6 = 2, 10
	switch {
	case port == 0:
		return netip.AddrPort{}
	case family == inet:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), port)
	case family == inet6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b)).Unmap(), port)
	}
	return netip.AddrPort{}
}

func decodeSock(b []byte) (s bpfSock, ok bool) {
	if len(b) < bpfSockSize {
		return s, false
	}
	ne := binary.NativeEndian
	b = b[bpfHeadSize:]
	s.sk = ne.Uint64(b)
	s.ends = decodeEnds(b[8:48])
	s.from = ne.Uint16(b[48:])
	s.to = ne.Uint16(b[50:])
	s.cwnd = ne.Uint32(b[52:])
	s.rto = ne.Uint32(b[56:])
	s.err = int32(ne.Uint32(b[60:]))
	s.reason = ne.Uint32(b[64:])
	s.retransmits, s.backoff, s.pending, s.ca = b[68], b[69], b[70], b[71]
	return s, true
}

func decodeSyscall(b []byte) (c bpfSyscall, ok bool) {
	if len(b) < bpfCallSize {
		return c, false
	}
	ne := binary.NativeEndian
	b = b[bpfHeadSize:]
	c.sk = ne.Uint64(b)
	c.ends = decodeEnds(b[8:48])
	c.start = int64(ne.Uint64(b[48:]))
	c.ret = int64(ne.Uint64(b[56:]))
	c.call = uint32(ne.Uint16(b[64:]))
	c.flags = ne.Uint16(b[66:])
	c.fd = int32(ne.Uint32(b[68:]))
	n := int(ne.Uint32(b[72:]))
	b = b[80:]
	c.data = b[:min(n, len(b), bpfDataSize)]
	if c.call <= callSplice {
		return c, true // it ends here
	}
	if len(b) < bpfDataSize+8*len(c.arg) {
		return c, false
	}
	for i := range c.arg {
		c.arg[i] = ne.Uint64(b[bpfDataSize+8*i:])
	}
	return c, true
}

// decodeProc is struct proc_event: the parent or the sender, and the wait
// status or the signal.
func decodeProc(b []byte) (peer uint32, number int32, ok bool) {
	if len(b) < bpfProcSize {
		return 0, 0, false
	}
	ne := binary.NativeEndian
	return ne.Uint32(b[bpfHeadSize:]), int32(ne.Uint32(b[bpfHeadSize+4:])), true
}

// decodeExec is struct exec_event: the arguments, the last perhaps cut.
func decodeExec(b []byte) (argv []string, ok bool) {
	if len(b) < bpfExecSize {
		return nil, false
	}
	n := binary.NativeEndian.Uint32(b[bpfHeadSize:])
	b = b[bpfExecSize:]
	b = b[:min(int(n), len(b))]
	b = bytes.TrimSuffix(b, []byte{0})
	if len(b) == 0 {
		return nil, true
	}
	for _, arg := range bytes.Split(b, []byte{0}) {
		argv = append(argv, string(arg))
	}
	return argv, true
}
