package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/seed-6fefc909/tcplab/internal/virtualtime"
	"github.com/seed-6fefc909/tcplab/lab/observe"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/topology"
)

// pollEvery is how often the socket table is read where the kernel cannot
// tell of changes itself.
const pollEvery = 10 * time.Millisecond

// flushTimeout bounds the wait for an observer's last events.
const flushTimeout = 15 * time.Second

// A watch is the set of observers of a run.
type watch struct {
	clock   observe.Clock
	options Options
	sink    observe.Sink
	virtual bool // the run's time is
	text    bool // what programs print is observed: lab does not start them
	idle    bool // the hosts are so most of the time

	tracer  *Tracer // of which the run is a user, or nil
	tracing *observe.Tracing
	hosts   map[string]*hostWatch // by host name: that of the current boot
	frames  *observe.Frames       // nil if none are kept
	missing []record.Missing
	// untraced are those of missing that the eBPF programs are about.
	untraced []record.Missing
	gone     struct{ dropped, segments uint64 } // of taps that were closed
	missed   uint64
	// all: the observers report everything, no longer only a part of what
	// goes on and on.
	all    bool
	spared record.Spared
	// resting: rest found the programs too busy; counted is what it had counted.
	resting   bool
	allSince  int64
	restSince int64
	counted   uint64
	gaps      map[string][]observe.Gap // by host name
}

// A hostWatch is what observes one boot of a host.
type hostWatch struct {
	host    observe.Host
	tap     *observe.WireTap
	carrier *observe.CarrierWatch
	polling context.CancelFunc
	polled  sync.WaitGroup
	gapped  bool // its gap is the last of the host's
}

func newWatch(clock observe.Clock, o Options, sink observe.Sink) *watch {
	w := &watch{clock: clock, options: o, sink: sink, virtual: virtualtime.On(), hosts: map[string]*hostWatch{}, gaps: map[string][]observe.Gap{}, missing: []record.Missing{}}
	if o.Frames {
		w.frames = observe.NewFrames(maxFrames)
	}
	return w
}

func (w *watch) miss(observer, why, cost string) {
	w.missing = append(w.missing, record.Missing{Observer: observer, Why: why, Cost: cost})
}

const notWanted = "left out by --without"

// openTracer loads the eBPF programs, unless another run has. A kernel that
// cannot is no error.
func (w *watch) openTracer() {
	w.trace()
	w.untraced = slices.Clone(w.missing)
}

func (w *watch) trace() {
	const cost = "system calls, processes, signals and TCP's own doings are not seen; socket states are polled"
	if w.options.without(ObserveEBPF) {
		w.miss(ObserveEBPF, notWanted, cost)
		return
	}
	tracer := w.options.Tracer
	if tracer == nil {
		tracer = NewTracer()
		defer tracer.Close() // for the run alone uses it: while it does, nothing is closed
	}
	tracing, missing, err := tracer.watch(w.clock, w.sink, w.text)
	if err != nil {
		w.miss(ObserveEBPF, err.Error(), cost)
		return
	}
	w.tracer, w.tracing = tracer, tracing
	w.missing = append(w.missing, missing...)
	if w.lacks(ObserveEBPF + ":inet_sock_set_state") {
		w.miss("socket states", "no tracepoint for them", "they are polled: short ones are not seen")
	}
}

// lacks tells whether an observer is missing, by its name in the record.
func (w *watch) lacks(observer string) bool {
	for _, m := range w.missing {
		if m.Observer == observer {
			return true
		}
	}
	return false
}

func (w *watch) describe(h *topology.Host) observe.Host {
	return observe.Host{
		Name: h.Name, Boot: h.Boot(), Net: h.Namespace(), PIDNS: h.PIDNamespace(), Iface: h.NIC.Name,
		Frames: w.frames, Text: w.text, Idle: w.idle,
	}
}

// add begins to observe a host's current boot.
func (w *watch) add(h *topology.Host) error {
	if err := w.hear(h); err != nil {
		return err
	}
	if w.tracing == nil {
		return nil
	}
	return w.tracing.Add(w.hosts[h.Name].host)
}

// hear begins to observe all that the eBPF programs do not.
func (w *watch) hear(h *topology.Host) error {
	hw := &hostWatch{host: w.describe(h)}
	w.hosts[h.Name] = hw
	if w.options.without(ObserveWire) {
		if !w.lacks(ObserveWire) {
			w.miss(ObserveWire, notWanted, "no packets: the fault's signature cannot be checked")
		}
	} else {
		var err error
		if hw.tap, err = observe.OpenWire(w.clock, hw.host, w.sink); err != nil {
			return err
		}
		if w.all {
			if err := hw.tap.Everything(); err != nil {
				return err
			}
		}
		if hw.carrier, err = observe.WatchCarrier(w.clock, hw.host, w.sink); err != nil {
			return err
		}
	}
	if w.options.without(ObserveSockets) {
		if !w.lacks(ObserveSockets) {
			w.miss(ObserveSockets, notWanted, "no socket tables, and the prediction assumes the round trip time")
		}
		return nil
	}
	if w.tracing == nil || w.lacks(ObserveEBPF+":inet_sock_set_state") {
		hw.poll(w)
	}
	return nil
}

// everything makes the observers report all that goes on.
func (w *watch) everything() error {
	if !w.all {
		w.all, w.allSince = true, w.clock.Now()
	}
	w.rested()
	var errs []error
	if w.tracing != nil {
		errs = append(errs, w.tracing.Everything())
	}
	for _, hw := range w.hosts {
		if hw.tap != nil {
			errs = append(errs, hw.tap.Everything())
		}
	}
	return errors.Join(errs...)
}

// economize takes everything back.
func (w *watch) economize() error {
	if !w.all {
		return nil
	}
	w.all = false
	var errs []error
	if w.tracing != nil {
		errs = append(errs, w.tracing.Economize())
	}
	for _, hw := range w.hosts {
		if hw.tap != nil {
			errs = append(errs, hw.tap.Economize())
		}
	}
	return errors.Join(errs...)
}

// restAt is how many segments that were counted and not recorded, since the
// last look, tell that programs exchange more than can be watched without
// slowing them down.
const restAt = 1000

// rest lets the observers rest if the programs keep them too busy, until
// everything. It is to be called every so often before the first fault.
func (w *watch) rest() error {
	if w.all {
		return nil
	}
	segments := uint64(0)
	for _, hw := range w.hosts {
		if hw.tap == nil {
			continue
		}
		n, _, err := hw.tap.Spared()
		if err != nil {
			return err
		}
		segments += n
	}
	busy := w.resting || segments-w.counted > restAt
	w.counted = segments
	if !busy {
		return nil
	}
	if !w.resting {
		w.resting, w.restSince = true, w.clock.Now()
	}
	var errs []error
	for _, hw := range w.hosts {
		if hw.tap != nil {
			errs = append(errs, hw.tap.Rest())
		}
	}
	if w.tracing != nil {
		errs = append(errs, w.tracing.Rest())
	}
	return errors.Join(errs...)
}

// sparing tells whether something was counted and not recorded, of what
// happened since then.
func (w *watch) sparing(since int64) bool {
	if w.all && since >= w.allSince {
		return false
	}
	if w.resting || w.spared.Rest > 0 {
		return true
	}
	if w.tracing != nil {
		if n, err := w.tracing.Spared(); err != nil || n > 0 {
			return true
		}
	}
	for _, hw := range w.hosts {
		if hw.tap != nil {
			if n, _, err := hw.tap.Spared(); err != nil || n > 0 {
				return true
			}
		}
	}
	return false
}

// rested notes how long the rest was, if there was one and it is over.
func (w *watch) rested() {
	if w.resting {
		w.spared.Rest += w.clock.Now() - w.restSince
		w.resting = false
	}
}

// spare adds what a tap counted and did not record.
func (w *watch) spare(hw *hostWatch) (segments uint64, err error) {
	segments, gap, err := hw.tap.Spared()
	gaps := w.gaps[hw.host.Name]
	if n := len(gaps); n > 0 && hw.gapped {
		gaps = gaps[:n-1] // what it was the last time
	}
	hw.gapped = true
	w.gaps[hw.host.Name] = append(gaps, gap)
	return segments, err
}

// poll watches the socket table from the outside. That it ends with an error
// when its host is gone is its normal end.
func (hw *hostWatch) poll(w *watch) {
	ctx, cancel := context.WithCancel(context.Background())
	hw.polling = cancel
	hw.polled.Go(func() { _ = observe.PollSockets(ctx, w.clock, hw.host, pollEvery, w.sink) })
}

// remove ends the observation of a host's boot: what it holds would keep the
// boot's namespace alive.
func (w *watch) remove(name string) error {
	hw := w.hosts[name]
	if hw == nil {
		return nil
	}
	delete(w.hosts, name)
	var errs []error
	if w.tracing != nil {
		errs = append(errs, w.tracing.Remove(hw.host))
	}
	if hw.polling != nil {
		hw.polling()
		hw.polled.Wait()
	}
	if hw.carrier != nil {
		errs = append(errs, hw.carrier.Close())
	}
	if hw.tap != nil {
		ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
		defer cancel()
		errs = append(errs, hw.tap.Flush(ctx))
		segments, err := w.spare(hw)
		w.gone.segments += segments
		errs = append(errs, err)
		dropped, err := hw.tap.Close()
		w.gone.dropped += dropped
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stop observing %s: %w", name, err)
	}
	return nil
}

// askCarrier makes the kernel announce a change of a host's link now: it
// batches such news for up to a second, by when a short loss may be over.
func (w *watch) askCarrier(name string) {
	if hw := w.hosts[name]; hw != nil && hw.carrier != nil {
		ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
		defer cancel()
		if err := hw.carrier.Flush(ctx); err != nil {
			w.miss(ObserveWire, err.Error(), "a short loss of carrier may not have been seen")
		}
	}
}

// catchUp waits until the observers have told of all that has happened.
func (w *watch) catchUp() error {
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	var errs []error
	if w.tracing != nil {
		errs = append(errs, w.tracing.Flush(ctx))
	}
	for _, hw := range w.hosts {
		if hw.tap != nil {
			errs = append(errs, hw.tap.Flush(ctx))
		}
	}
	return errors.Join(errs...)
}

// flush waits for every event up to now and returns how many were lost since
// the beginning, and the system calls that are under way.
func (w *watch) flush() (dropped uint64, underWay []record.Event) {
	w.rested()
	dropped, w.spared.Segments = w.gone.dropped, w.gone.segments
	if w.tracing != nil {
		ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
		defer cancel()
		if err := w.tracing.Flush(ctx); err != nil {
			w.miss(ObserveEBPF, err.Error(), "the last events are missing")
		}
		dropped += w.count(ObserveEBPF, w.tracing.Dropped)
		var err error
		if w.missed, err = w.tracing.Missed(); err != nil {
			w.miss(ObserveEBPF, err.Error(), "how many events were missed is not known")
		}
		if w.spared.Calls, err = w.tracing.Spared(); err != nil {
			w.miss(ObserveEBPF, err.Error(), "how many system calls were not recorded is not known")
		}
		if underWay, err = w.tracing.InFlight(); err != nil {
			w.miss(ObserveEBPF, err.Error(), "which calls never returned is not known")
		}
	}
	for name, hw := range w.hosts {
		if hw.tap == nil {
			continue
		}
		w.askCarrier(name)
		ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
		defer cancel()
		if err := hw.tap.Flush(ctx); err != nil {
			w.miss(ObserveWire, err.Error(), "the last packets are missing")
		}
		dropped += w.count(ObserveWire, hw.tap.Dropped)
		segments, err := w.spare(hw)
		if err != nil {
			w.miss(ObserveWire, err.Error(), "how many segments were not recorded is not known")
		}
		w.spared.Segments += segments
	}
	if left := w.frames.Left(); left > 0 {
		w.miss("frames", fmt.Sprintf("no room for %d after %d MiB", left, maxFrames>>20), "the captures lack them; their events were seen")
	}
	return dropped, underWay
}

// count is what an observer lost so far.
func (w *watch) count(observer string, dropped func() (uint64, error)) uint64 {
	n, err := dropped()
	if err != nil {
		w.miss(observer, err.Error(), "how many events were lost is not known")
	}
	return n
}

// takeOver begins a watch of what another watches: what the eBPF programs know
// goes on, all else begins anew. It sets the clock. An error says what is not
// observed.
func (w *watch) takeOver(other *watch, hosts []*topology.Host) error {
	w.untraced = other.untraced
	w.missing = append(w.missing, w.untraced...)
	w.tracer, w.tracing, other.tracer, other.tracing = other.tracer, other.tracing, nil, nil
	var errs []error
	var err error
	if w.tracing != nil {
		ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
		defer cancel()
		w.clock, err = w.tracing.Renew(ctx, w.sink)
	} else {
		w.clock, err = observe.NewClock()
	}
	errs = append(errs, err)
	for _, h := range hosts {
		if err := w.hear(h); err != nil {
			w.miss(ObserveWire, err.Error(), "packets of the "+h.Name+" are missing")
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// close ends all observers.
func (w *watch) close() error {
	var errs []error
	for name := range w.hosts {
		errs = append(errs, w.remove(name))
	}
	w.frames = nil
	if w.tracing != nil {
		_, err := w.tracing.Close()
		errs = append(errs, err, w.tracer.Close())
		w.tracing = nil
	}
	return errors.Join(errs...)
}
