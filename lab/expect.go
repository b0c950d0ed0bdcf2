package lab

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

// margin is what is added to a predicted time before a wait is given up: a
// detection that comes too late is worth seeing, too.
func margin(d time.Duration) time.Duration { return d + d/4 + 5*time.Second }

// late is how long after its end an expectation's window is still listened
// for: an observer may need that long to tell of an event.
const late = 2 * time.Second

// expect waits for what a step says must be seen.
func (e *Experiment) expect(ctx context.Context, s scenarios.Expect) (held bool, err error) {
	e.found = nil
	x := record.Expectation{What: s.String(), Place: s.Place(), After: int64(s.After), Optional: s.Optional}
	if why := e.blind(s.Event); why != "" {
		// It cannot be seen. The run goes on when its other traces are
		// there, so that as much as possible is known in the end.
		x.Unknown, x.Actual = true, why
		e.expectations = append(e.expectations, x)
		return true, e.substitute(ctx, s)
	}
	since := e.since(s.Since)
	if s.By != "" {
		w := models()[s.By].window(e, e.params(e.conn()), e.conn())
		s.After, s.Within = w.Earliest(), w.Latest()
		x.After = int64(s.After)
	}
	if s.Never && s.Within == 0 {
		s.Within = time.Duration(e.clock.Now() - since)
	}
	within, wait := e.patience(s, since)
	x.Within = int64(within)
	if e.fault.Kind != "" && !s.Never {
		e.waitStatus(s.Waiting())
	}
	waiting, cancel := context.WithTimeoutCause(ctx, wait, errNotSeen)
	defer cancel()
	m := matcher{e: e, expect: s, since: since, until: math.MaxInt64}
	if s.Never {
		m.until = since + int64(s.Within)
	}
	if every := m.pollEvery(); every > 0 {
		defer e.poll(waiting, every, m.due)()
	}
	err = e.timeline.await(waiting, m.look)
	if err != nil && !errors.Is(err, errNotSeen) {
		return false, err
	}
	seen := m.found != nil
	if !seen && s.Never {
		// What the observers have not told of yet, too.
		if err := e.watch.catchUp(); err != nil {
			x.Unknown, x.Actual = true, err.Error()
			e.expectations = append(e.expectations, x)
			return true, nil
		}
		last := matcher{e: e, expect: s, since: since, until: m.until, asked: time.Now()}
		last.look(e.timeline.all())
		m, seen = last, last.found != nil
	}
	if !seen && s.Never && s.Event.Economized() && e.watch.sparing(since) {
		x.Unknown, x.Actual = true, "not everything was recorded: the programs exchanged too much"
		e.expectations = append(e.expectations, x)
		return true, nil
	}
	judgeExpectation(&x, s, m, since, seen)
	if e.found = m.found; seen && !s.Never {
		e.seen = m.found.Time
	}
	e.expectations = append(e.expectations, x)
	return x.OK || s.Optional, nil
}

// judgeExpectation says what an expectation came to.
func judgeExpectation(x *record.Expectation, s scenarios.Expect, m matcher, since int64, seen bool) {
	switch {
	case seen:
		x.Actual, x.Time = m.found.String(), m.found.Time
		took := m.found.Time - since
		switch {
		case s.Never:
		case s.After > 0 && took < int64(s.After):
			x.Actual += fmt.Sprintf(", too early: after %s", record.Span(took))
		case s.Within > 0 && took > int64(s.Within):
			x.Actual += fmt.Sprintf(", too late: after %s", record.Span(took))
		default:
			x.OK = true
		}
	case s.Never:
		x.OK, x.Actual = true, "not seen"
	default:
		x.Actual = "not seen"
		if m.over != "" {
			x.Actual += ", and cannot be any more: " + m.over
		}
		if m.count > 0 {
			x.Actual = fmt.Sprintf("seen %s, not %d", times(m.count), s.Times)
		}
		if m.near != nil {
			x.Actual = "seen instead: " + m.near.String()
			x.Time = m.near.Time
		}
	}
}

// since is the instant that an expectation counts from.
func (e *Experiment) since(s scenarios.Since) int64 {
	switch s {
	case scenarios.SinceFault:
		return e.fault.Time
	case scenarios.SinceSeen:
		return e.seen + 1 // not itself
	case scenarios.SinceStart:
		return 0
	}
	return e.acted
}

// patience is the end of an expectation's window, counted from since, and how
// long from now on it is waited for.
func (e *Experiment) patience(s scenarios.Expect, since int64) (within, wait time.Duration) {
	gone := time.Duration(e.clock.Now() - since)
	if s.Never {
		return s.Within, max(0, s.Within-gone)
	}
	if s.Within > 0 {
		return s.Within, max(0, s.Within-gone) + late
	}
	within = scenarios.DefaultWithin
	if e.fault.Kind != "" {
		within = max(within, margin(time.Duration(e.prediction.Max+e.prediction.Tolerance)))
	}
	return within, within
}

var errNotSeen = errors.New("not seen")

// restShare is the part of the time without an event that passes between two
// looks where time is virtual: each costs as much as many events, and there may
// be hours to wait.
const restShare = 8

// due says in how long something is to happen without an event, if that is
// known, where nothing has happened for some time.
type due func(quiet time.Duration) (in time.Duration, known bool)

// poll makes the waiting step look every so often, until stop is called. Where
// time is virtual that is the less often the longer nothing has happened; or
// when it is due, which may be nil.
func (e *Experiment) poll(ctx context.Context, every time.Duration, due due) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var polling sync.WaitGroup
	polling.Go(func() {
		tick := time.NewTimer(every)
		defer tick.Stop()
		for quiet := time.Now(); ; {
			var changed <-chan struct{}
			if e.watch.virtual {
				changed = e.timeline.changed()
			}
			select {
			case <-tick.C:
				e.timeline.poke()
				pause := every
				if e.watch.virtual {
					pause = max(every, rest(time.Since(quiet), due))
				}
				tick.Reset(pause)
			case <-changed: // which makes it look, too
				quiet = time.Now()
				tick.Reset(max(every, rest(0, due)))
			case <-ctx.Done():
				return
			}
		}
	})
	return func() { cancel(); polling.Wait() }
}

// rest is how long need not be looked.
func rest(quiet time.Duration, due due) time.Duration {
	if due != nil {
		if in, known := due(quiet); known {
			return in
		}
	}
	return quiet / restShare
}

// blind says why a pattern cannot be seen in this run, "" if it can.
func (e *Experiment) blind(p scenarios.Pattern) string {
	lacks := func(observers ...string) string {
		for _, o := range observers {
			for _, m := range e.watch.missing {
				if m.Observer == o {
					return "not observed: " + o + ": " + m.Why
				}
			}
		}
		return ""
	}
	switch p.What {
	case scenarios.Socket:
		if p.State == scenarios.NoSocket || e.watch.tracing == nil || e.watch.lacks(ObserveEBPF+":inet_sock_set_state") {
			return lacks(ObserveSockets)
		}
	case scenarios.Timer:
		return lacks(ObserveSockets)
	case scenarios.Call, scenarios.Blocked, scenarios.Reaps:
		return lacks(ObserveEBPF, ObserveEBPF+":sys_enter", ObserveEBPF+":sys_exit")
	case scenarios.Retransmits:
		return lacks(ObserveEBPF, ObserveEBPF+":tcp_retransmit_skb")
	case scenarios.Error:
		return lacks(ObserveEBPF, ObserveEBPF+":inet_sk_error_report")
	case scenarios.Gets:
		return lacks(ObserveEBPF, ObserveEBPF+":signal_generate")
	case scenarios.Sends, scenarios.Receives, scenarios.Acknowledged:
		return lacks(ObserveWire)
	}
	return ""
}

// substitute waits for another trace of something that cannot be observed:
// what a client is told it says, or ends of. Without, the steps would run
// ahead of the programs.
func (e *Experiment) substitute(ctx context.Context, s scenarios.Expect) error {
	wait := scenarios.DefaultWithin / 150
	if s.Detection {
		wait = margin(time.Duration(e.prediction.Max + e.prediction.Tolerance))
	}
	if s.Never {
		wait = s.Within
	}
	waiting, cancel := context.WithTimeoutCause(ctx, wait, errNotSeen)
	defer cancel()
	since := e.seen
	err := e.timeline.await(waiting, func(events []record.Event) bool {
		for _, ev := range events {
			if s.Detection && ev.Source == record.Output && ev.Host == "client" && ev.Time >= since {
				return true
			}
		}
		return false
	})
	if errors.Is(err, errNotSeen) {
		return nil
	}
	return err
}
