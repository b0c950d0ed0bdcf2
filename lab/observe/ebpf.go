package observe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/seed-6fefc909/tcplab/internal/virtualtime"
	"github.com/seed-6fefc909/tcplab/lab/record"
)

// readEvery is how long an event may lie in the ring before it is read: the
// programs do not wake the reader for each, unless time is virtual.
const readEvery = 3 * time.Millisecond

// quietLooks is after how many looks that found nothing the reader sleeps until
// it is woken.
const quietLooks = 8

// A Tracer watches the sockets, system calls and processes of hosts with eBPF
// programs at the kernel's tracepoints. One serves any number of runs: each
// calls Watch and adds its hosts to the Tracing. It sees these hosts and
// nothing of the rest of the machine. It reports
//
//   - state changes of TCP sockets, retransmissions, resets, errors, drops;
//   - the system calls that matter to a TCP program, when they return, except
//     those of the host's init (its process 1), and reads and writes of files
//     other than TCP sockets and descriptors 0 to 2. InFlight tells those
//     that have not returned;
//   - fork, exec, exit and signals, and that a process makes calls that are
//     not seen;
//   - of hosts with Text, the lines that processes write to descriptors 1 and 2,
//     sockets and pipes that they made themselves excepted, and those that a
//     terminal on 0 gives them: see MaxLines. Of what it does not see it tells how much it was;
//     of a line that the terminal does not show, such as a password, that it is typed.
//
// Of the calls of a steady exchange it reports some thousands, then some
// hundreds a second, and counts the others: see Tracing.Everything.
//
// A socket belongs to the host whose network namespace it is in, a process to
// the one whose PID namespace it is in. Nothing that was going on when the
// host was added is told: a call that had begun has no return.
type Tracer struct {
	object *bpfObject
	reader *ringbuf.Reader
	tick   time.Duration // one jiffy
	woken  bool          // for each event: it needs not look by itself
	done   chan struct{} // closed when read has returned

	readErr error // why read ended early; set before done is closed

	// hosts are those of all tracings by their number in the kernel's maps. No
	// number is used twice: the programs remember whose a thread is for as
	// long as it lives, and what an old number comes with is left out.
	hosts atomic.Pointer[map[uint32]*tracedHost]

	use    sync.RWMutex // held for reading while the maps and programs are used
	closed bool         // they are gone; guarded by use

	mu     sync.Mutex // guards what follows, changes of hosts, and the maps nets and pids
	nhosts uint32
	// generation is counted up with what the programs remember of hosts.
	generation uint32
	marks      map[uint32]marker // by their number in the ring
	nmarks     uint32
	tracings   map[*Tracing]struct{}
}

// A tracedHost is a host of a tracing.
type tracedHost struct {
	Host
	id      uint32
	tracing *Tracing
	removed atomic.Int64 // when, in CLOCK_MONOTONIC; 0 is not yet
}

// A marker in the ring says that its tracing has been given all before it, or
// that nothing of a host which was removed comes any more.
type marker struct {
	tracing *Tracing
	seen    chan struct{}
	gone    *tracedHost
}

// OpenTracer loads and attaches the programs; it takes some 50 ms. Where the
// kernel lacks a tracepoint or refuses a program the rest works, and what is
// lost is in the list; an error means that nothing can be observed. With text
// hosts can have their Text told, which takes 5 ms more.
func OpenTracer(text bool) (*Tracer, []record.Missing, error) {
	return openTracer(text, virtualtime.On())
}

func openTracer(text, virtual bool) (*Tracer, []record.Missing, error) {
	object, missing, err := loadBPF(text, virtual)
	if err != nil {
		return nil, nil, err
	}
	reader, err := ringbuf.NewReader(object.maps["ring"])
	if err != nil {
		object.close()
		return nil, nil, fmt.Errorf("map eBPF ring: %w", err)
	}
	t := &Tracer{
		object: object, reader: reader, tick: time.Second / time.Duration(HZ()), woken: virtual,
		done: make(chan struct{}), marks: map[uint32]marker{}, tracings: map[*Tracing]struct{}{},
	}
	t.hosts.Store(&map[uint32]*tracedHost{})
	go t.read()
	return t, missing, nil
}

// Close detaches the programs and releases everything. Tracings that are open
// are closed first.
func (t *Tracer) Close() error {
	t.mu.Lock()
	open := maps.Clone(t.tracings)
	t.mu.Unlock()
	var errs []error
	for r := range open {
		_, err := r.Close()
		errs = append(errs, err)
	}
	t.use.Lock()
	defer t.use.Unlock()
	if t.closed {
		return nil
	}
	t.closed = true
	errs = append(errs, t.object.detach(), t.reader.Close())
	<-t.done
	errs = append(errs, t.readErr, t.object.close())
	return errors.Join(errs...)
}

// using keeps the maps and programs from going away until release is called.
func (t *Tracer) using() (release func(), err error) {
	t.use.RLock()
	if t.closed {
		t.use.RUnlock()
		return nil, os.ErrClosed
	}
	return t.use.RUnlock, nil
}

// add gives a host a number and the kernel the namespaces that go with it.
func (t *Tracer) add(r *Tracing, h Host) (*tracedHost, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.nhosts++
	id, th := t.nhosts, &tracedHost{Host: h, id: t.nhosts, tracing: r}
	hosts := maps.Clone(*t.hosts.Load())
	hosts[id] = th
	t.hosts.Store(&hosts)
	if h.Net != nil {
		if err := t.object.maps["nets"].Put(h.Net.Inode(), id); err != nil {
			return nil, fmt.Errorf("trace sockets of host %s: %w", h.Name, err)
		}
	}
	if h.PIDNS != 0 {
		if err := t.object.maps["pids"].Put(h.PIDNS, id); err != nil {
			return nil, fmt.Errorf("trace processes of host %s: %w", h.Name, err)
		}
		if !r.all {
			if err := t.object.economize(id); err != nil {
				return nil, fmt.Errorf("give host %s a budget: %w", h.Name, err)
			}
		}
		if h.Text {
			if err := t.object.tellText(id); err != nil {
				return nil, fmt.Errorf("trace what programs of host %s print: %w", h.Name, err)
			}
		}
		if err := t.changed(); err != nil {
			return nil, fmt.Errorf("trace processes of host %s: %w", h.Name, err)
		}
	}
	return th, nil
}

// remove tells the kernel that a host is watched no more, unless it was told
// already. What it put into the ring before is still read, and then the host
// forgotten.
func (t *Tracer) remove(th *tracedHost, now int64) error {
	err := t.unwatch(th, now)
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_, _, marked := t.mark(ctx, marker{gone: th})
	if err := errors.Join(err, marked); err != nil {
		return fmt.Errorf("stop tracing host %s: %w", th.Name, err)
	}
	return nil
}

// unwatch takes a host out of the kernel's maps.
func (t *Tracer) unwatch(th *tracedHost, now int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	// The programs know a thread for as long as it lives: what it does from
	// now on is left out when it is read.
	if !th.removed.CompareAndSwap(0, now) {
		return nil
	}
	var errs []error
	if th.Net != nil {
		errs = append(errs, t.unmap("nets", th.Net.Inode(), th))
	}
	if th.PIDNS != 0 {
		errs = append(errs, t.unmap("pids", th.PIDNS, th))
	}
	if th.Text {
		errs = append(errs, t.object.leaveText(th.id))
	}
	n, err := t.object.sparedOf(th.id)
	th.tracing.spared += n
	return errors.Join(append(errs, err, t.object.report(th.id), t.object.uncount(th.id))...)
}

// drop forgets a host of which nothing comes any more.
func (t *Tracer) drop(th *tracedHost) {
	t.mu.Lock()
	hosts := maps.Clone(*t.hosts.Load())
	delete(hosts, th.id)
	t.hosts.Store(&hosts)
	t.mu.Unlock()
	th.tracing.decoder.drop(th.id)
}

// unmap takes a namespace out of a map, if it is still there for this host:
// the kernel gives a dead namespace's inode to a new one, which may be that of
// another run's host by now.
func (t *Tracer) unmap(name string, inode uint32, th *tracedHost) error {
	var id uint32
	err := t.object.maps[name].Lookup(inode, &id)
	if err == nil && (*t.hosts.Load())[id] == th {
		err = t.object.maps[name].Delete(inode)
	}
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	return err
}

// forget gives up what is known of a tracing and of its hosts.
func (t *Tracer) forget(r *Tracing) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.tracings, r)
	hosts := maps.Clone(*t.hosts.Load())
	maps.DeleteFunc(hosts, func(id uint32, h *tracedHost) bool {
		if h.tracing != r {
			return false
		}
		_, _ = t.object.report(id), t.object.uncount(id)
		return true
	})
	t.hosts.Store(&hosts)
}

// mark puts a marker into the ring. seen is closed when the sink of its tracing
// has had all that was there before it.
func (t *Tracer) mark(ctx context.Context, m marker) (seen chan struct{}, forget func(), err error) {
	m.seen = make(chan struct{})
	t.mu.Lock()
	t.nmarks++
	id := t.nmarks
	t.marks[id] = m
	t.mu.Unlock()
	forget = func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.marks, id)
	}
	for {
		full, err := t.object.mark.Run(&ebpf.RunOptions{Context: [1]uint64{uint64(id)}})
		if err == nil && full == 0 {
			return m.seen, forget, nil
		}
		if err == nil {
			select {
			case <-time.After(time.Millisecond):
				continue
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		forget()
		return nil, nil, fmt.Errorf("put a marker into the eBPF ring: %w", err)
	}
}

// dropped is how many events were lost so far because the ring was full.
func (t *Tracer) dropped() (uint64, error) {
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

// missed is how often the kernel left a program out so far.
func (t *Tracer) missed() (uint64, error) {
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

// sleep lets the reader wait for the next event without a deadline, unless there
// is one now.
func (t *Tracer) sleep() (asleep bool) {
	m := t.object.maps["asleep"]
	if err := m.Put(uint32(0), uint32(1)); err != nil {
		return false
	}
	// Between the programs' reading of asleep and what they put into the ring
	// there is a barrier, and one here: rouse in bpf/maps.h says what for.
	var barrier atomic.Uint32
	barrier.Add(1)
	if t.reader.AvailableBytes() > 0 {
		t.wakeUp()
		return false
	}
	t.reader.SetDeadline(time.Time{})
	return true
}

// wakeUp lets it look by itself again.
func (t *Tracer) wakeUp() {
	_ = t.object.maps["asleep"].Put(uint32(0), uint32(0)) // it cannot fail, and else costs a little
	t.reader.SetDeadline(time.Now().Add(readEvery))
}

// read empties the ring, now and again or when it is woken, until the reader is
// closed.
func (t *Tracer) read() {
	defer close(t.done)
	var (
		rec    ringbuf.Record
		given  []*Tracing // those that got something and have not been roused
		quiet  int        // looks that found nothing
		asleep bool
	)
	rouse := func() {
		for _, r := range given {
			r.rouse()
		}
		clear(given)
		given = given[:0]
	}
	defer rouse()
	// The deadline is set nowhere but here: the reader holds a lock while it
	// waits.
	if !t.woken {
		t.reader.SetDeadline(time.Now().Add(readEvery))
	}
	for {
		err := t.reader.ReadInto(&rec)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			rouse()
			if quiet++; quiet >= quietLooks {
				asleep = t.sleep()
			} else {
				t.reader.SetDeadline(time.Now().Add(readEvery))
			}
			continue
		}
		if err != nil {
			if !errors.Is(err, os.ErrClosed) {
				t.readErr = fmt.Errorf("read eBPF ring: %w", err)
			}
			return
		}
		if quiet = 0; asleep {
			asleep = false
			t.wakeUp()
		}
		head, ok := decodeHead(rec.RawSample)
		if !ok {
			continue
		}
		if head.kind == bpfMark {
			t.mu.Lock()
			m := t.marks[head.pid]
			delete(t.marks, head.pid)
			t.mu.Unlock()
			switch {
			case m.gone != nil:
				t.drop(m.gone)
			case m.tracing != nil:
				m.tracing.marked(m.seen)
			}
			continue
		}
		host := (*t.hosts.Load())[head.host]
		if host == nil {
			continue
		}
		if removed := host.removed.Load(); removed != 0 && head.time > removed {
			continue
		}
		if host.tracing.give(host, head, rec.RawSample) {
			if given = append(given, host.tracing); t.woken {
				rouse()
			}
		}
	}
}
