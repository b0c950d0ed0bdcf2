package lab

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

// A Seen is an event that was waited for.
type Seen struct {
	Awaited string       `json:"awaited"` // in the words of a scenario
	Event   record.Event `json:"event"`
	// After is how long it was after the instant that the wait counts from, in
	// nanoseconds.
	After int64 `json:"after_ns"`
}

// String says what was seen: of a packet, which end of its way it was at, too.
func (s *Seen) String() string {
	switch e := &s.Event; {
	case e.Packet != nil:
		return s.Awaited
	case e.Source == record.Fault:
		return s.Awaited + ": " + e.String()
	default:
		return e.Host + " " + e.String()
	}
}

// Start is when the event was; of a system call, when it began.
func (s *Seen) Start() int64 {
	if s.Event.Syscall != nil {
		return s.Event.Time - s.Event.Syscall.Duration
	}
	return s.Event.Time
}

// A Since is the instant from which on events count that are waited for: an
// event's time, or one of these.
type Since int64

// LastAct is the last thing that was done: a program was run, a fault came. Now
// is when the wait begins.
const (
	LastAct Since = -1 - iota
	Now
)

// Await waits until ctx ends for an event: what a scenario's expect is given,
// or the words of a fault. It is no step: others are performed meanwhile, and
// programs may still be started whose doing is waited for. Where a new
// experiment begins, all of that counts. An error is ctx's cause, a
// *scenarios.SyntaxError, os.ErrClosed, or says why the event cannot be seen.
func (s *Session) Await(ctx context.Context, event string, since Since) (*Seen, error) {
	for c := s.current.Load(); c != nil; c = c.next {
		now, cancel := context.WithCancel(ctx)
		go func() {
			select {
			case <-c.over:
				cancel()
			case <-now.Done():
			}
		}()
		ev, from, err := s.await(now, c.e, event, since)
		over := err != nil && now.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case err == nil:
			c.e.tidying.Lock()
			own := detached(*ev)
			c.e.tidying.Unlock()
			return &Seen{event, c.e.timeline.named(own), own.Time - from}, nil
		case !over:
			return nil, err
		}
		since = 0
	}
	return nil, os.ErrClosed
}

// await waits within one experiment, from an instant on, which it returns.
func (s *Session) await(ctx context.Context, e *Experiment, event string, since Since) (ev *record.Event, from int64, err error) {
	switch from = int64(since); since {
	case LastAct:
		from = e.lastAct.Load()
	case Now:
		from = e.clock.Now()
	}
	if words := strings.Fields(event); len(words) > 0 && words[0] == "fault" {
		ev, err = e.awaitFault(ctx, words[1:], from)
		return ev, from, err
	}
	x, err := s.expectation(e, event)
	if err != nil {
		return nil, from, err
	}
	why := ""
	s.Steady(func() {
		if s.observes(e) {
			why = e.blind(x.Event)
		}
	})
	if why != "" {
		return nil, from, fmt.Errorf("%w: %s", ErrScenario, why)
	}
	m := matcher{e: e, expect: x, since: from, until: math.MaxInt64, patient: true}
	if every := m.pollEvery(); every > 0 {
		defer e.poll(ctx, every, m.due)()
	}
	err = e.timeline.await(ctx, func(events []record.Event) (found bool) {
		s.Steady(func() {
			if s.observes(e) {
				found = m.look(events)
			} else { // the kernel answers others by now
				found = m.sees(events) || x.Event.What == scenarios.Exits && m.ended()
			}
		})
		return found
	})
	return m.found, from, err
}

// observes tells whether an experiment is the one that goes on. It needs power.
func (s *Session) observes(e *Experiment) bool { return s.e == e && !s.closed }

// expectation compiles what is awaited, apart from the lines that are
// performed: these may be under way.
func (s *Session) expectation(e *Experiment, event string) (x scenarios.Expect, err error) {
	lines := scenarios.NewLines("await", "await", e.options.variant())
	for i, text := range s.build {
		if _, err := lines.Add("build", i+1, text); err != nil {
			return x, err
		}
	}
	lines.Built()
	for _, h := range s.net.Hosts() {
		_ = lines.Program(h.Name, h.Name) // it may be started yet, but where the host is down
	}
	for _, p := range e.launched() {
		if err := lines.Program(p.name, p.process.Host.Name); err != nil {
			return x, err
		}
	}
	step, err := lines.Add("await", 1, "expect "+event)
	if err != nil {
		return x, err
	}
	x, ok := step.(scenarios.Expect)
	if !ok || x.By != "" || x.Within != 0 {
		return x, &scenarios.SyntaxError{Place: "await:1", Err: errors.New("of expect's options there are -times and -since")}
	}
	return x, nil
}

// awaitFault waits for a fault to come: KIND, and on which host if that
// matters; or for the network to be healed.
func (e *Experiment) awaitFault(ctx context.Context, words []string, since int64) (found *record.Event, err error) {
	if len(words) == 0 || len(words) > 2 {
		return nil, &scenarios.SyntaxError{Place: "await:1", Err: errors.New("fault KIND [HOST]")}
	}
	known := func(k scenarios.FaultKind) bool { return k.Name == words[0] }
	if words[0] != "heal" && !slices.ContainsFunc(scenarios.FaultKinds(), known) {
		return nil, &scenarios.SyntaxError{Place: "await:1", Err: fmt.Errorf("no fault %q: lab fault --help lists them", words[0])}
	}
	err = e.timeline.await(ctx, func(events []record.Event) bool {
		for i := range events {
			ev := &events[i]
			if ev.Source == record.Fault && ev.Kind == words[0] && ev.Time >= since && (len(words) == 1 || ev.Host == words[1]) {
				found = ev
				return true
			}
		}
		return false
	})
	return found, err
}
