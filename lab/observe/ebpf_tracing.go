package observe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

const (
	// maxWaiting is how many events may wait for a sink. There are not as many
	// unless it is blocked: what comes then is dropped.
	maxWaiting = 1 << 17
	// rouseAt is at how many events that wait a sink is called at once, and
	// not when the ring has been emptied.
	rouseAt = 512
	// closeTimeout bounds the wait for the last events.
	closeTimeout = 10 * time.Second
)

// A Tracing is a Tracer's work for one run, or several of the same hosts one
// after the other: the run's hosts, on the run's clock. Sockets are numbered
// from 1 in each.
type Tracing struct {
	tracer  *Tracer
	clock   Clock       // the first run's
	decoder *bpfDecoder // belongs to the tracer's reading goroutine

	before struct{ dropped, missed uint64 } // the tracer's counters at the beginning

	all     bool   // Everything was called; guarded by tracer.mu
	resting bool   // Rest was called, and not Everything since; likewise
	spared  uint64 // calls of hosts that were removed; likewise

	mu       sync.Mutex // guards what follows
	course   course
	former   course // what happened before the course is its; no sink: there was none
	hosts    []*tracedHost
	waiting  []record.Event // for the sink
	marks    []chan struct{}
	more     sync.Cond // there may be something for deliver to do
	lost     uint64    // found no room in waiting
	stopping bool
	done     chan struct{} // closed when deliver has returned

	close    sync.Once
	dropped  uint64
	closeErr error
}

// Watch begins to report to a sink, of no host yet. The sink is called from
// one goroutine of the Tracing's own, at most about 5 ms after the event. One
// that blocks holds up only its own events; when 131072 of them wait, what
// comes is dropped, and counted in Dropped.
func (t *Tracer) Watch(clock Clock, sink Sink) (*Tracing, error) {
	release, err := t.using()
	if err != nil {
		return nil, fmt.Errorf("trace a run: %w", err)
	}
	defer release()
	r := &Tracing{
		tracer: t, clock: clock, course: course{sink: sink}, decoder: newBPFDecoder(clock, t.tick), done: make(chan struct{}),
	}
	r.decoder.printers.mute = func(id processID) { _ = t.object.maps["muted"].Put(processKey(id), uint32(1)) } // full: it is heard, and not told
	r.decoder.printers.unmute = func(id processID) { _ = t.object.maps["muted"].Delete(processKey(id)) }
	r.decoder.printers.unseen = t.object.unseenText
	r.decoder.rstReasons, r.decoder.dropReasons = t.object.rstReasons, t.object.dropReasons
	r.more.L = &r.mu
	if r.before.dropped, err = t.dropped(); err != nil {
		return nil, err
	}
	if r.before.missed, err = t.missed(); err != nil {
		return nil, err
	}
	t.mu.Lock()
	t.tracings[r] = struct{}{}
	err = t.object.wake() // others may have been at rest
	t.mu.Unlock()
	go r.deliver()
	if err != nil {
		_, closed := r.Close()
		return nil, errors.Join(fmt.Errorf("trace a run: %w", err), closed)
	}
	return r, nil
}

// Add starts reporting a host: its sockets if it has Net, its processes if it
// has PIDNS. A namespace belongs to the one host that was added with it last.
func (r *Tracing) Add(h Host) error {
	release, err := r.using()
	if err != nil {
		return fmt.Errorf("trace host %s: %w", h.Name, err)
	}
	defer release()
	th, err := r.tracer.add(r, h)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hosts = append(r.hosts, th)
	return nil
}

// Remove stops reporting a host that was added with the same Name and Boot.
// What happened before is still told.
func (r *Tracing) Remove(h Host) error {
	release, err := r.using()
	if err != nil {
		return nil // it was closed: nothing is reported
	}
	defer release()
	var gone []*tracedHost
	r.mu.Lock()
	r.hosts = slices.DeleteFunc(slices.Clone(r.hosts), func(th *tracedHost) bool {
		yes := th.Name == h.Name && th.Boot == h.Boot
		if yes {
			gone = append(gone, th)
		}
		return yes
	})
	r.mu.Unlock()
	var errs []error
	for _, th := range gone {
		errs = append(errs, r.tracer.remove(th, r.clock.origin+r.clock.Now()))
	}
	return errors.Join(errs...)
}

// InFlight tells the system calls of the run's hosts that have begun and not
// returned, of those that are reported when they return: events of KindEnter,
// whose time is that of the beginning. The sink never gets one.
func (r *Tracing) InFlight() ([]record.Event, error) {
	release, err := r.using()
	if err != nil {
		return nil, fmt.Errorf("list system calls in progress: %w", err)
	}
	defer release()
	var events []record.Event
	hosts := *r.tracer.hosts.Load()
	d := newBPFDecoder(r.clock, 0)
	ours := func(id uint32) bool {
		host := hosts[id]
		return host != nil && host.tracing == r && host.removed.Load() == 0
	}
	err = r.tracer.object.eachCall(ours, func(head bpfHead, raw []byte) {
		if e, ok := d.decode(head, raw); ok {
			host := hosts[head.host]
			e.Host, e.Boot = host.Name, host.Boot
			events = append(events, e)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list system calls in progress: %w", err)
	}
	more, err := r.lightCalls(ours, hosts)
	if err != nil {
		return nil, fmt.Errorf("list system calls in progress: %w", err)
	}
	events = append(events, more...)
	r.mu.Lock()
	begun := r.course.begun
	r.mu.Unlock()
	for i := range events {
		events[i].Time -= begun
	}
	record.Sort(events)
	return events, nil
}

// Flush returns when the sink has had every event that the kernel produced
// before the call. It puts a marker into the ring, which keeps the order, and
// waits until what came before the marker has been told. Not to be called from
// the sink.
func (r *Tracing) Flush(ctx context.Context) error {
	release, err := r.using()
	if err != nil {
		return nil // Close has flushed
	}
	seen, forget, err := r.tracer.mark(ctx, marker{tracing: r})
	release()
	if err != nil {
		return err
	}
	defer forget()
	select {
	case <-seen:
		return nil
	case <-r.done:
		return nil // likewise
	case <-r.tracer.done:
		return r.tracer.readErr
	case <-ctx.Done():
		return fmt.Errorf("wait for the marker in the eBPF ring: %w", ctx.Err())
	}
}

// Dropped is how many events were lost so far, since the beginning of the
// Tracing: those that the ring had no room for, of whichever run they were,
// and those that waited too long for the sink.
func (r *Tracing) Dropped() (uint64, error) {
	release, err := r.using()
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.dropped, nil
	}
	defer release()
	n, err := r.tracer.dropped()
	r.mu.Lock()
	defer r.mu.Unlock()
	return n - min(n, r.before.dropped) + r.lost, err
}

// Missed is how often the kernel left a program out so far, since the
// beginning of the Tracing, because the same program was already at work on
// the processor (recursion_misses): an interrupt's event within another. Most
// are about nothing that is watched. The Tracing must be open.
func (r *Tracing) Missed() (uint64, error) {
	release, err := r.using()
	if err != nil {
		return 0, fmt.Errorf("read count of missed events: %w", err)
	}
	defer release()
	n, err := r.tracer.missed()
	return n - min(n, r.before.missed), err
}

// Close stops reporting, gives the sink what is left, and returns Dropped. It
// waits for a call of the sink to return; after it there is none.
func (r *Tracing) Close() (dropped uint64, err error) {
	r.close.Do(func() {
		var errs []error
		r.mu.Lock()
		hosts := r.hosts
		r.mu.Unlock()
		for _, h := range hosts {
			errs = append(errs, r.Remove(h.Host))
		}
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		errs = append(errs, r.Flush(ctx))
		cancel()
		r.tracer.forget(r)
		n, err := r.Dropped()
		errs = append(errs, err)
		r.mu.Lock()
		r.dropped, r.closeErr = n, errors.Join(errs...)
		r.stopping = true
		r.more.Signal()
		r.mu.Unlock()
		<-r.done
	})
	return r.dropped, r.closeErr
}

// using is Tracer.using, for a Tracing that is open.
func (r *Tracing) using() (release func(), err error) {
	r.mu.Lock()
	closed := r.stopping
	r.mu.Unlock() // the reader may need it before tracer.use is free
	if closed {
		return nil, os.ErrClosed
	}
	return r.tracer.using()
}

// give takes a record out of the ring. It tells whether nothing was waiting
// before: then the reader is to rouse it some time.
func (r *Tracing) give(h *tracedHost, head bpfHead, raw []byte) (first bool) {
	if head.kind == bpfTextKind || head.kind == bpfExit && h.Text {
		r.decoder.printed(head, raw, func(e record.Event) { first = r.put(h, e) || first })
	}
	if e, ok := r.decoder.decode(head, raw); ok {
		first = r.put(h, e) || first
	}
	return first
}

// put lets an event wait for the sink, and tells whether it is the first.
func (r *Tracing) put(h *tracedHost, e record.Event) (first bool) {
	e.Host, e.Boot = h.Name, h.Boot
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.waiting)
	if n >= maxWaiting {
		r.lost++
		return false
	}
	if r.waiting = append(r.waiting, e); n == rouseAt {
		r.more.Signal()
	}
	return n == 0
}

func (r *Tracing) rouse() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.more.Signal()
}

// marked promises to close seen when all that waits has been told.
func (r *Tracing) marked(seen chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.marks = append(r.marks, seen)
	r.more.Signal()
}

// deliver calls the sink.
func (r *Tracing) deliver() {
	defer close(r.done)
	var spare []record.Event
	for {
		r.mu.Lock()
		for len(r.waiting)+len(r.marks) == 0 && !r.stopping {
			r.more.Wait()
		}
		if len(r.waiting)+len(r.marks) == 0 {
			r.mu.Unlock()
			return
		}
		events, marks, now, former := r.waiting, r.marks, r.course, r.former
		r.waiting, r.marks = spare[:0], nil
		r.mu.Unlock()
		for i := range events {
			if e := &events[i]; e.Time < now.begun && former.sink != nil {
				former.tell(e)
			} else {
				now.tell(e)
			}
		}
		for _, seen := range marks {
			close(seen)
		}
		clear(events)
		if spare = events; cap(spare) > 8*rouseAt {
			spare = nil
		}
	}
}
