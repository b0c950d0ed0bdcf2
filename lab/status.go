package lab

import (
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// A Status says where a run stands, for a person who waits.
type Status struct {
	Step  string        // what is being done or waited for
	Since time.Duration // how long, already
	Wait  *Wait         // for the kernel's timers, nil for anything else
}

// A Wait is a wait for the timers of the client's connection: what the kernel
// says of them now, and what its rules say will come. Whatever of it is not
// known is zero.
type Wait struct {
	// Timer is the one that runs, as record.SocketRow has it, and Next how
	// long until it fires. State is the connection's.
	Timer, State string
	Next         time.Duration
	// Sent is how often the kernel has sent again, or has probed, without an
	// answer, and Of how often it will until it gives up.
	Sent, Of int
	// Decider is the setting that decides when that is.
	Decider string
	// Errors are those that the client may then be told; Earliest and Latest
	// bound when, from now on. Latest is negative if it should have been, and
	// both are 0 if it is not known.
	Errors           []string
	Earliest, Latest time.Duration
}

// status is what the run's goroutine says of where it is.
type status struct {
	step    string
	started time.Time
	waiting bool  // for the kernel's timers
	from    int64 // what the prediction counts from,
	known   bool  // which was told of: until then it is the script's last act
}

func (e *Experiment) setStatus(step string) { e.putStatus(status{step: step}) }

// waitStatus is setStatus where the kernel's timers may decide how long it is.
func (e *Experiment) waitStatus(step string) {
	e.putStatus(status{step: step, waiting: true, from: e.acted})
}

func (e *Experiment) putStatus(s status) {
	s.started = time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status = s
}

// Status says where the run stands; it may be called while Run runs.
func (e *Experiment) Status() Status {
	e.mu.Lock()
	s, k := e.status, e.known
	e.mu.Unlock() // what follows asks the kernel
	r := Status{Step: s.step, Since: time.Since(s.started)}
	if !s.waiting { // else the network is there
		return r
	}
	if !s.known {
		if s.from, s.known = e.countedFrom(k, s.from); s.known {
			e.mu.Lock()
			if e.status.started.Equal(s.started) {
				e.status = s
			}
			e.mu.Unlock()
		}
	}
	r.Wait = e.wait(k, s.from)
	return r
}

// wait is what is known of the wait, nil if no timer is waited for. The client
// of somebody's own may have had nothing to send, or have timers of its own:
// then only what the kernel's timers say counts.
func (e *Experiment) wait(k *known, from int64) *Wait {
	p := &k.record.Prediction
	if p.Max <= int64(time.Second) {
		return nil
	}
	w := &Wait{}
	if !e.options.without(ObserveSockets) {
		if row, err := e.connection(e.net.Client); err == nil && row.Timer != "" {
			w.Timer, w.State, w.Next, w.Sent = row.Timer, row.State, time.Duration(row.Expires), row.Retransmits
			w.Of = sendsBy(p, w)
		}
	}
	if e.scenario.Own != nil && w.Of == 0 {
		return w
	}
	w.Decider = p.Decider
	w.Errors = p.Errors
	if len(w.Errors) == 0 && p.Error != "" {
		w.Errors = []string{p.Error}
	}
	if p.Error != "" {
		since := k.clock.Now() - from
		w.Earliest, w.Latest = time.Duration(p.Min-since), time.Duration(p.Max-since)
	}
	return w
}

// sendsBy is how often a prediction says that a timer will send before it gives
// up, 0 if it says nothing of that timer.
func sendsBy(p *record.Prediction, w *Wait) int {
	kind := w.Timer
	if w.State == "SYN_SENT" {
		kind = "syn"
	}
	n := 0
	for _, s := range p.Sends {
		if s.Kind == kind {
			n++
		}
	}
	return n
}

// countedFrom is the time that the prediction counts from, found if it was
// told. Where it was not, or is that of a call that has not returned, it is
// taken to be that of the script's last act, which such a call follows at once.
func (e *Experiment) countedFrom(k *known, acted int64) (at int64, found bool) {
	fault := k.record.Fault.Time
	switch k.record.Prediction.From {
	case fromFault:
		return fault, true
	case fromHeard:
		e.timeline.each(func(ev *record.Event) {
			if ev.Packet != nil && ev.Packet.Proto == "tcp" && ev.Kind == record.KindIn && ev.Host == "client" && ev.Time < fault {
				at, found = max(at, ev.Time), true
			}
		})
	case fromWrite:
		v := newView(&record.Record{Fault: k.record.Fault, Connections: k.record.Connections}, e.serverAddr)
		e.timeline.each(func(ev *record.Event) {
			c := ev.Syscall
			if c != nil && ev.Kind == record.KindCall && ev.Host == "client" && ev.Time >= fault && (!found || ev.Time < at) &&
				c.Socket && isWrite(c) && v.noted(c.Local, c.Remote) {
				at, found = ev.Time, true
			}
		})
	}
	if !found {
		at = acted
	}
	return at, found
}
