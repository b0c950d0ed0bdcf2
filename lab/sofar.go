package lab

import (
	"context"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/observe"
	"github.com/seed-6fefc909/tcplab/lab/record"
)

const (
	// settling is how long after an event its observer has told of it.
	// Measured (6.18, 2 processors): the taps after 16 ms, the eBPF programs
	// after 8; on a machine with four times as much to run as it can 120.
	settling = 250 * time.Millisecond
	// jitter is by how much a packet's transit may exceed the link's delay.
	jitter = 50 * time.Millisecond
)

// known is what the run's goroutine knows, for those who look on.
type known struct {
	record  record.Record // without events
	tidier  tidier
	clock   observe.Clock
	started bool                        // the clock is
	taps    map[string]*observe.WireTap // that are open, by host name
}

// publish lets those who look on know what the run knows now. It is the run's
// goroutine that calls it, whenever that has changed.
func (e *Experiment) publish() {
	r := e.Preview()
	r.Fault = e.fault
	r.Later = append(r.Later, e.later...)
	r.Connections = append(r.Connections, e.noted...)
	k := &known{clock: e.clock, started: e.net != nil, tidier: e.tidier(), taps: map[string]*observe.WireTap{}}
	if e.watch != nil {
		r.Missing = append(r.Missing, e.watch.missing...)
		for name, hw := range e.watch.hosts {
			if hw.tap != nil {
				k.taps[name] = hw.tap
			}
		}
	}
	for _, p := range e.programs {
		r.Programs = append(r.Programs, p.describe())
	}
	k.record = *r
	e.mu.Lock()
	defer e.mu.Unlock()
	e.known = k
}

// SoFar is the record as far as it is settled, while Run runs: what Preview
// says, the faults that came, and the events up to until, counted from the
// run's beginning, which may be negative. Nothing that is told of those events
// changes any more, but on a machine too busy for its observers: what a run
// comes to rests on Run's record alone. It has no verdict. Once the run is
// being judged it is nil.
//
// It costs what there is to copy. It may be called from any goroutine; what it
// returns is for reading only.
func (e *Experiment) SoFar() (r *record.Record, until int64) { return e.soFar(false) }

// soFar is SoFar or, once nothing comes any more, all of it.
func (e *Experiment) soFar(all bool) (r *record.Record, until int64) {
	e.mu.Lock()
	k := *e.known
	e.mu.Unlock()
	r = new(record.Record)
	*r = k.record
	if !k.started {
		return r, 0
	}
	delay := int64(e.options.delay(e.scenario).Time)
	seen := k.clock.Now() - int64(settling)
	sent := seen - delay // of what was sent until then, that it arrived was seen
	if all {
		seen, sent = math.MaxInt64, math.MaxInt64
	}
	e.reading.RLock()
	if e.judging {
		e.reading.RUnlock()
		return nil, 0
	}
	events := e.timeline.copied(func(ev *record.Event) bool {
		if ev.Source == record.Wire && ev.Kind == record.KindOut {
			return ev.Time <= sent
		}
		return ev.Time <= seen
	})
	e.reading.RUnlock()
	ends := slices.Clone(k.tidier.ends)
	for i := range ends {
		if tap := k.taps[ends[i].Host]; tap != nil {
			if _, gap, err := tap.Spared(); err == nil && gap != (observe.Gap{}) {
				ends[i].Gaps = append(slices.Clip(ends[i].Gaps), gap)
			}
		}
	}
	k.tidier.ends = ends
	k.tidier.names = e.timeline.oldNames()
	events = k.tidier.tidy(events)
	until = sent - delay - int64(jitter) // what was asked until then was answered
	if r.Duration = max(0, until); all {
		r.Duration = e.timeline.last()
	}
	r.Events = events[:sort.Search(len(events), func(i int) bool { return events[i].Time > until })]
	return r, until
}

const (
	// followEvery is how often a follower looks at most, and followShare the
	// part of the time that it spends on that: the run has the rest.
	followEvery = 250 * time.Millisecond
	followShare = 20
)

// Follow calls f with SoFar again and again, until the run is being judged or
// ctx ends. The less often the longer that takes, with what f itself takes.
func (e *Experiment) Follow(ctx context.Context, f func(r *record.Record, until int64)) {
	wait := followEvery
	for {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		began := time.Now()
		r, until := e.SoFar()
		if r == nil {
			return
		}
		f(r, until)
		wait = max(followEvery, (followShare-1)*time.Since(began))
	}
}
