package observe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// readEvery is how long an event may lie in the ring before it is read: the
// programs do not wake the reader for each.
const readEvery = 3 * time.Millisecond

// A Tracer watches the sockets, system calls and processes of hosts with eBPF
// programs at the kernel's tracepoints. It sees the hosts that were added and
// nothing of the rest of the machine. It reports
//
//   - state changes of TCP sockets, retransmissions, resets, errors, drops;
//   - the system calls that matter to a TCP program, when they return, except
//     those of the host's init (its process 1), and reads and writes of files
//     other than TCP sockets and descriptors 0 to 2. InFlight tells those
//     that have not returned;
//   - fork, exec, exit and signals.
//
// A socket belongs to the host whose network namespace it is in, a process to
// the one whose PID namespace it is in. Nothing that was going on when the
// host was added is told: a call that had begun has no return.
type Tracer struct {
	clock  Clock
	object *bpfObject
	reader *ringbuf.Reader
	done   chan struct{} // closed when read has returned

	readErr error // why read ended early; set before done is closed

	hosts atomic.Pointer[[]tracedHost] // by the number in the maps, from 1

	mu      sync.Mutex // guards what follows, and changes of hosts
	marks   map[uint32]chan struct{}
	nmarks  uint32
	closed  bool
	dropped uint64
	err     error
}

// A tracedHost was removed at a time of its own, in CLOCK_MONOTONIC; 0 is not
// yet.
type tracedHost struct {
	Host
	removed int64
}

// OpenTracer loads and attaches the programs; it takes some 50 ms. Where the
// kernel lacks a tracepoint or refuses a program the rest works, and what is
// lost is in the list; an error means that nothing can be observed. sink is
// called from one goroutine, at most about 5 ms after the event.
func OpenTracer(clock Clock, sink Sink) (*Tracer, []record.Missing, error) {
	object, missing, err := loadBPF()
	if err != nil {
		return nil, nil, err
	}
	reader, err := ringbuf.NewReader(object.maps["ring"])
	if err != nil {
		object.close()
		return nil, nil, fmt.Errorf("map eBPF ring: %w", err)
	}
	t := &Tracer{
		clock: clock, object: object, reader: reader,
		done: make(chan struct{}), marks: map[uint32]chan struct{}{},
	}
	t.hosts.Store(&[]tracedHost{{}})
	d := newBPFDecoder(clock, time.Second/time.Duration(HZ()))
	d.rstReasons, d.dropReasons = object.rstReasons, object.dropReasons
	go t.read(d, sink)
	return t, missing, nil
}

// Add starts reporting a host: its sockets if it has Net, its processes if it
// has PIDNS.
func (t *Tracer) Add(h Host) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return fmt.Errorf("trace host %s: %w", h.Name, os.ErrClosed)
	}
	hosts := append(slices.Clone(*t.hosts.Load()), tracedHost{Host: h})
	t.hosts.Store(&hosts)
	id := uint32(len(hosts) - 1)
	if h.Net != nil {
		if err := t.object.maps["nets"].Put(h.Net.Inode(), id); err != nil {
			return fmt.Errorf("trace sockets of host %s: %w", h.Name, err)
		}
	}
	if h.PIDNS != 0 {
		if err := t.object.maps["pids"].Put(h.PIDNS, id); err != nil {
			return fmt.Errorf("trace processes of host %s: %w", h.Name, err)
		}
	}
	return nil
}

// Remove stops reporting a host. What happened before is still told.
func (t *Tracer) Remove(h Host) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	// The programs know a thread for as long as it lives: what it does from
	// now on is left out here.
	hosts := slices.Clone(*t.hosts.Load())
	for i := range hosts {
		if was := &hosts[i]; was.Name == h.Name && was.Boot == h.Boot && was.removed == 0 {
			was.removed = t.clock.origin + t.clock.Now()
		}
	}
	t.hosts.Store(&hosts)
	var errs []error
	if h.Net != nil {
		errs = append(errs, t.object.maps["nets"].Delete(h.Net.Inode()))
	}
	if h.PIDNS != 0 {
		errs = append(errs, t.object.maps["pids"].Delete(h.PIDNS))
	}
	for _, err := range errs {
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("stop tracing host %s: %w", h.Name, err)
		}
	}
	return nil
}

// InFlight tells the system calls that have begun and not returned, of those
// that are reported when they return: events of KindEnter, whose time is that
// of the beginning. The sink never gets one.
func (t *Tracer) InFlight() ([]record.Event, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, fmt.Errorf("list system calls in progress: %w", os.ErrClosed)
	}
	var events []record.Event
	hosts := *t.hosts.Load()
	d := newBPFDecoder(t.clock, 0)
	err := t.object.eachCall(func(raw []byte) {
		head, ok := decodeHead(raw)
		if !ok || head.kind != bpfEnter {
			return
		}
		host := &hosts[head.host]
		if host.removed != 0 {
			return
		}
		if e, ok := d.decode(head, raw); ok {
			e.Host, e.Boot = host.Name, host.Boot
			events = append(events, e)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list system calls in progress: %w", err)
	}
	record.Sort(events)
	return events, nil
}

// Flush returns when the sink has had every event that the kernel produced
// before the call. It puts a marker into the ring, which keeps the order, and
// waits until the marker has been read. Not to be called from the sink.
func (t *Tracer) Flush(ctx context.Context) error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil
	}
	t.nmarks++
	id, seen := t.nmarks, make(chan struct{})
	t.marks[id] = seen
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		delete(t.marks, id)
		t.mu.Unlock()
	}()

	for {
		full, err := t.object.mark.Run(&ebpf.RunOptions{Context: [1]uint64{uint64(id)}})
		if err != nil {
			return fmt.Errorf("put a marker into the eBPF ring: %w", err)
		}
		if full == 0 {
			break
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("put a marker into the eBPF ring: %w", ctx.Err())
		}
	}
	select {
	case <-seen:
		return nil
	case <-t.done:
		return t.readErr
	case <-ctx.Done():
		return fmt.Errorf("wait for the marker in the eBPF ring: %w", ctx.Err())
	}
}

// Close detaches the programs, gives the sink what is left, and releases
// everything. dropped is how many events were lost because the ring was full.
func (t *Tracer) Close() (dropped uint64, err error) {
	t.mu.Lock()
	if t.closed {
		defer t.mu.Unlock()
		return t.dropped, t.err
	}
	t.mu.Unlock()

	errs := []error{t.object.detach()}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	errs = append(errs, t.Flush(ctx))
	cancel()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	errs = append(errs, t.reader.Close())
	t.mu.Unlock()
	<-t.done // read takes mu for a marker
	t.mu.Lock()
	t.dropped, err = t.Dropped()
	errs = append(errs, err, t.object.close())
	t.err = errors.Join(errs...)
	return t.dropped, t.err
}

// Dropped is how many events were lost so far because the ring was full. The
// tracer must be open.
func (t *Tracer) Dropped() (uint64, error) {
	var lost []uint64 // by CPU
	if err := t.object.maps["dropped"].Lookup(uint32(0), &lost); err != nil {
		return 0, fmt.Errorf("read count of dropped events: %w", err)
	}
	sum := uint64(0)
	for _, n := range lost {
		sum += n
	}
	return sum, nil
}

// Missed is how often the kernel left a program out so far, because the same
// program was already at work on the processor (recursion_misses): an
// interrupt's event within another. Most are about nothing that is watched.
// The tracer must be open.
func (t *Tracer) Missed() (uint64, error) {
	sum := uint64(0)
	for _, p := range t.object.programs {
		stats, err := p.Stats()
		if err != nil {
			return sum, fmt.Errorf("read count of missed events: %w", err)
		}
		sum += stats.RecursionMisses
	}
	return sum, nil
}

// read empties the ring, now and again, until the reader is closed.
func (t *Tracer) read(d *bpfDecoder, sink Sink) {
	defer close(t.done)
	var rec ringbuf.Record
	// The deadline is set nowhere but here: the reader holds a lock while it
	// waits.
	t.reader.SetDeadline(time.Now().Add(readEvery))
	for {
		err := t.reader.ReadInto(&rec)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.reader.SetDeadline(time.Now().Add(readEvery))
			continue
		}
		if err != nil {
			if !errors.Is(err, os.ErrClosed) {
				t.readErr = fmt.Errorf("read eBPF ring: %w", err)
			}
			return
		}
		head, ok := decodeHead(rec.RawSample)
		if !ok {
			continue
		}
		if head.kind == bpfMark {
			t.mu.Lock()
			if seen := t.marks[head.pid]; seen != nil {
				close(seen)
				delete(t.marks, head.pid)
			}
			t.mu.Unlock()
			continue
		}
		if e, ok := d.decode(head, rec.RawSample); ok {
			host := &(*t.hosts.Load())[head.host]
			if host.removed != 0 && head.time > host.removed {
				continue
			}
			e.Host, e.Boot = host.Name, host.Boot
			sink(e)
		}
	}
}
