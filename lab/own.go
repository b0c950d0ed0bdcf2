package lab

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
)

// The steps of a run of the user's own programs: nothing is known of them but
// what is observed.

// An OwnError says why the user's own programs did not come as far as the
// fault. It is an ErrScenario.
type OwnError struct{ Why string }

func (e *OwnError) Error() string { return e.Why }

// Is makes it one.
func (e *OwnError) Is(target error) bool { return target == ErrScenario }

// readyTimeout is how long a server may take to listen, and a client to
// connect, if Options.Patience does not say otherwise.
const readyTimeout = 30 * time.Second

// lookEvery is how often is looked for what the kernel does not tell of, and
// virtualLookEvery how often where time is virtual: events make it look, too, and
// programs may do something several times a second, for hours.
const (
	lookEvery        = 5 * time.Millisecond
	virtualLookEvery = 250 * time.Millisecond
)

// until looks again and again until look is done, which is told the events
// since the last time. It ends at the timeout with errNotSeen.
func (e *Experiment) until(ctx context.Context, timeout time.Duration, due due, look func(events []record.Event) (done bool, err error)) error {
	waiting, cancel := context.WithTimeoutCause(ctx, timeout, errNotSeen)
	defer cancel()
	every := lookEvery
	if e.watch.virtual {
		every = virtualLookEvery
	}
	defer e.poll(waiting, every, due)()
	var failed error
	err := e.timeline.await(waiting, func(events []record.Event) bool {
		done, err := look(events)
		failed = err
		return done || err != nil
	})
	return errors.Join(failed, err)
}

// deserted tells whether no process is left on a host.
func (e *Experiment) deserted(h *topology.Host) bool {
	for _, p := range e.programs {
		if p.process.Host == h {
			if _, ended := p.ended(); !ended {
				return false
			}
		}
	}
	left, err := h.Processes()
	return err == nil && len(left) == 0
}

// fate says how a program ended.
func (e *Experiment) fate(name string) string {
	p := e.started(name)
	if p == nil {
		return name + " was not started"
	}
	select { // it may be about to
	case <-p.process.Done():
	case <-time.After(drainTimeout):
	}
	d := p.describe()
	switch {
	case d.Running:
		return p.argv[0] + " runs on"
	case d.Signal != "":
		return p.argv[0] + " was killed by " + d.Signal
	}
	return fmt.Sprintf("%s ended with exit %d", p.argv[0], d.Exit)
}

// lastWords are the last lines that a program wrote, for an error.
func (e *Experiment) lastWords(host string) string {
	e.drainOutputs()
	var words []string
	for _, ev := range e.timeline.all() {
		if ev.Source == record.Output && ev.Host == host && strings.TrimSpace(ev.Text) != "" {
			words = append(words, strings.TrimSpace(ev.Text))
		}
	}
	if len(words) == 0 {
		return ""
	}
	return "; its last words: " + strings.Join(words[max(0, len(words)-3):], " / ")
}

// met notes that what had to come has come.
func (e *Experiment) met(s scenarios.Step, what string) {
	now := e.clock.Now()
	e.act(now)
	e.timeline.add(record.Event{Time: now, Source: record.Step, Kind: "seen", Text: what})
	e.expectations = append(e.expectations, record.Expectation{
		What: s.String(), Place: s.Place(), OK: true, Actual: what, Within: int64(e.options.patience()), Time: now,
	})
}
