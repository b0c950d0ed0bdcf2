package observe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// What user space has to do with bpf/economy.h: it gives a host its budget and
// takes it away, and reads what was only counted.

// bpfSlotSize and bpfSlots are those of struct slot.
const (
	bpfSlotSize  = 56 + 128
	bpfSlots     = 4096
	bpfSlotLight = 1
)

// A bpfSlot is the part of a struct slot that is of interest here.
type bpfSlot struct {
	tid, host, state uint32
	spared           uint64
	start            int64
	arg0             uint64
	call             uint32
}

func decodeSlot(b []byte) bpfSlot {
	ne := binary.NativeEndian
	return bpfSlot{
		tid: ne.Uint32(b), host: ne.Uint32(b[4:]), state: ne.Uint32(b[12:]),
		spared: ne.Uint64(b[24:]), start: int64(ne.Uint64(b[32:])), arg0: ne.Uint64(b[40:]), call: ne.Uint32(b[48:]),
	}
}

// fullBudget is more than a budget holds, which the programs cut to what it
// does.
const fullBudget = 1 << 62

// economize makes the programs report a host's plain calls within a budget, and
// count the others from 0.
func (o *bpfObject) economize(host uint32) error {
	return errors.Join(o.maps["spared"].Put(host, uint64(0)), o.limit(host))
}

// limit gives a host a full budget.
func (o *bpfObject) limit(host uint32) error {
	return o.maps["budgets"].Put(host, [2]uint64{0, fullBudget})
}

// report makes them report all.
func (o *bpfObject) report(host uint32) error {
	err := o.maps["budgets"].Delete(host)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	return err
}

// uncount forgets how many calls of a host were only counted.
func (o *bpfObject) uncount(host uint32) error {
	err := o.maps["spared"].Delete(host)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	return err
}

// changed tells the programs that what they remember of hosts is void.
func (t *Tracer) changed() error {
	t.generation++
	return t.object.maps["generation"].Put(uint32(0), t.generation)
}

// slots gives those of some hosts.
func (o *bpfObject) slots(of func(host uint32) bool) ([]bpfSlot, error) {
	m := o.maps["slots"]
	keys, values := make([]uint32, bpfSlots), make([][bpfSlotSize]byte, bpfSlots)
	var cursor ebpf.MapBatchCursor
	n, err := m.BatchLookup(&cursor, keys, values, nil)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil, err
	}
	var slots []bpfSlot
	for i := range n {
		if s := decodeSlot(values[i][:]); s.tid != 0 && s.host != 0 && of(s.host) {
			slots = append(slots, s)
		}
	}
	return slots, nil
}

// Everything ends the economy: from now on every call of the run's hosts is
// reported, those of hosts that are added later too.
func (r *Tracing) Everything() error {
	release, err := r.using()
	if err != nil {
		return nil // it was closed: nothing is reported
	}
	defer release()
	t := r.tracer
	r.decoder.printers.renew()
	t.mu.Lock()
	defer t.mu.Unlock()
	r.all, r.resting = true, false
	errs := []error{t.object.wake()}
	for id, h := range *t.hosts.Load() {
		if h.tracing == r {
			errs = append(errs, t.object.report(id))
		}
	}
	if err := errors.Join(append(errs, t.changed())...); err != nil {
		return fmt.Errorf("report every system call: %w", err)
	}
	return nil
}

// Economize takes Everything back: a part of the calls is reported, and the
// others are counted to those of before.
func (r *Tracing) Economize() error {
	release, err := r.using()
	if err != nil {
		return nil // it was closed: nothing is reported
	}
	defer release()
	t := r.tracer
	t.mu.Lock()
	defer t.mu.Unlock()
	r.all = false
	var errs []error
	for id, h := range *t.hosts.Load() {
		if h.tracing != r || h.removed.Load() != 0 || h.PIDNS == 0 {
			continue
		}
		err := t.object.maps["spared"].Update(id, uint64(0), ebpf.UpdateNoExist) // it was added since
		if errors.Is(err, ebpf.ErrKeyExist) {
			err = nil
		}
		errs = append(errs, err, t.object.limit(id))
	}
	if err := errors.Join(append(errs, t.changed())...); err != nil {
		return fmt.Errorf("report a part of the system calls: %w", err)
	}
	return nil
}

// Spared is how many calls of the run's hosts were counted and not reported.
// The Tracing must be open.
func (r *Tracing) Spared() (uint64, error) {
	release, err := r.using()
	if err != nil {
		return 0, fmt.Errorf("read count of system calls: %w", err)
	}
	defer release()
	r.tracer.mu.Lock()
	defer r.tracer.mu.Unlock()
	var ours []uint32
	for id, h := range *r.tracer.hosts.Load() {
		if h.tracing == r && h.removed.Load() == 0 {
			ours = append(ours, id)
		}
	}
	n, err := r.tracer.object.sparedOf(ours...)
	if err != nil {
		return 0, fmt.Errorf("read count of system calls: %w", err)
	}
	return r.spared + n, nil
}

// sparedOf is how many calls of some hosts were only counted.
func (o *bpfObject) sparedOf(hosts ...uint32) (sum uint64, err error) {
	for _, id := range hosts {
		var n uint64
		if err := o.maps["spared"].Lookup(id, &n); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return 0, err
		}
		sum += n
	}
	slots, err := o.slots(func(id uint32) bool { return slices.Contains(hosts, id) })
	for _, s := range slots {
		sum += s.spared
	}
	return sum, err
}

// lightCalls tells the calls in progress that began while there was nothing to
// spend: the programs know when, and which call on which descriptor, and the
// rest is asked of the process.
func (r *Tracing) lightCalls(ours func(host uint32) bool, hosts map[uint32]*tracedHost) ([]record.Event, error) {
	slots, err := r.tracer.object.slots(ours)
	if err != nil {
		return nil, err
	}
	var events []record.Event
	rows := map[uint32][]record.SocketRow{} // by host
	for _, s := range slots {
		if s.state != bpfSlotLight {
			continue
		}
		thread, err := r.tracer.object.maps["calls"].LookupBytes(s.tid)
		if err != nil {
			return nil, err
		}
		head, ok := decodeHead(thread)
		if !ok || head.host != s.host {
			continue
		}
		h := hosts[s.host]
		e := record.Event{
			Time: r.clock.Monotonic(s.start), Host: h.Name, Boot: h.Boot, PID: int(head.pid), Comm: string(head.comm),
			Source: record.Syscall, Kind: record.KindEnter, Syscall: &record.Call{Name: callName(s.call), FD: int(int32(s.arg0))},
		}
		if head.tid != head.pid {
			e.TID = int(head.tid)
		}
		switch {
		case s.call >= callPoll && s.call <= callPselect6:
			e.Syscall.FD = -1
		case s.call <= callSplice:
			if rows[s.host] == nil && h.Net != nil {
				if rows[s.host], err = Sockets(h.Host); err != nil {
					return nil, err
				}
			}
			nameSocket(e.Syscall, s.tid, rows[s.host])
		}
		events = append(events, e)
	}
	return events, nil
}

// nameSocket fills in what the socket behind a call's descriptor is.
func nameSocket(c *record.Call, tid uint32, rows []record.SocketRow) {
	var inode uint32
	link, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", tid, c.FD))
	if err != nil {
		return // the call, or its thread, has ended meanwhile
	}
	if _, err := fmt.Sscanf(link, "socket:[%d]", &inode); err != nil {
		return
	}
	for _, row := range rows {
		if row.Inode == inode {
			c.Socket, c.Local, c.Remote = true, row.Local, row.Remote
		}
	}
}
