package observe

import (
	"bytes"
	_ "embed"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// wireObject is bpf/wire.bpf.c, compiled by scripts/bpf: the same for every
// architecture that keeps the low octet first.
//
//go:embed bpf/wire.o
var wireObject []byte

// A wireFilter decides which frames of a tap are kept. It is the tap's own:
// what it counts is in its maps.
type wireFilter struct {
	collection *ebpf.Collection
}

// wireState is struct state of bpf/wire.bpf.c.
type wireState struct {
	All, Unused      uint32
	Until, At, Level uint64
	First, Last      uint64
}

// newWireFilter takes how much it is to let through of plain TCP over IPv4.
func newWireFilter(snapTCP uint32) (*wireFilter, error) {
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(wireObject))
	if err != nil {
		return nil, fmt.Errorf("parse eBPF filter: %w", err)
	}
	if err := spec.Variables["snap_tcp"].Set(snapTCP); err != nil {
		return nil, fmt.Errorf("set length of segments: %w", err)
	}
	c, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, fmt.Errorf("load eBPF filter: %w", err)
	}
	if err := c.Maps["state"].Put(uint32(0), wireState{Level: fullBudget}); err != nil {
		c.Close()
		return nil, fmt.Errorf("give eBPF filter its budget: %w", err)
	}
	return &wireFilter{c}, nil
}

// maxJiffy is the longest that a kernel has, in nanoseconds: HZ is 100 or more.
const maxJiffy = int64(10 * time.Millisecond)

// attachFilter limits what the tap keeps. Without CAP_BPF that is the
// beginning of every frame.
func (w *WireTap) attachFilter() error {
	if f, err := newWireFilter(w.snapTCP()); err == nil {
		if err := f.attach(w.fd); err != nil {
			f.close()
			return err
		}
		w.filter = f
		return nil
	}
	all := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: snapLen}
	return unix.SetsockoptSockFprog(w.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &all})
}

// attach makes a packet socket keep what the filter says.
func (f *wireFilter) attach(fd int) error {
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, f.collection.Programs["wire"].FD())
}

func (f *wireFilter) state() (s wireState, err error) {
	err = f.collection.Maps["state"].Lookup(uint32(0), &s)
	return s, err
}

// everything makes it keep all. The filter may write to its state at the same
// time, and does not write the switch.
func (f *wireFilter) everything() error {
	s, err := f.state()
	if err != nil {
		return err
	}
	s.All = 1
	return f.collection.Maps["state"].Put(uint32(0), s)
}

// economize makes it keep a part again.
func (f *wireFilter) economize() error {
	s, err := f.state()
	if err != nil {
		return err
	}
	s.All, s.Level, s.Until = 0, fullBudget, 0
	return f.collection.Maps["state"].Put(uint32(0), s)
}

// spared is how many segments were not kept.
func (f *wireFilter) spared() (uint64, error) {
	var counts []uint64 // by CPU
	if err := f.collection.Maps["spared"].Lookup(uint32(0), &counts); err != nil {
		return 0, err
	}
	sum := uint64(0)
	for _, n := range counts {
		sum += n
	}
	return sum, nil
}

func (f *wireFilter) close() { f.collection.Close() }
