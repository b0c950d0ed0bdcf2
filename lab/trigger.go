package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

// triggerTimeout is how long the moment of the fault is waited for, beyond
// what it takes itself.
const triggerTimeout = 5 * time.Minute

// restEvery is how often is looked whether the programs exchange so much that
// they are better not watched until then.
const restEvery = 50 * time.Millisecond

// trigger waits for the moment at which the fault is to come.
func (e *Experiment) trigger(ctx context.Context, s scenarios.Trigger) error {
	t := moment{e: e, when: s.When, from: e.clock.Now()}
	t.last = t.from
	looked := time.Now()
	err := e.until(ctx, triggerTimeout+s.When.Time, t.due, func(events []record.Event) (bool, error) {
		if come, err := t.come(events); come || err != nil {
			return come, err
		}
		if time.Since(looked) >= restEvery {
			looked = time.Now()
			if err := e.watch.rest(); err != nil {
				return false, err
			}
		}
		if e.deserted(e.net.Client) {
			return false, &OwnError{e.fate("client") + " before the fault could come" + e.lastWords("client")}
		}
		return false, nil
	})
	switch {
	case errors.Is(err, errNotSeen):
		return &OwnError{fmt.Sprintf("it has not come within %v: %s", triggerTimeout+s.When.Time, t.far())}
	case err != nil:
		return err
	}
	if s.When.Kind != scenarios.WhenConnected && s.When.Kind != "" {
		e.met(s, t.far())
	}
	rows, err := e.connections(e.net.Client)
	switch alive := slices.ContainsFunc(rows, func(r record.SocketRow) bool { return r.State == "ESTABLISHED" }); {
	case err != nil || alive:
		return err
	case len(rows) > 0:
		return &OwnError{"the server has closed the connection before the fault could come" + e.lastWords("client")}
	}
	return &OwnError{e.noMore()}
}

// noMore says that the client's connection is gone too early.
func (e *Experiment) noMore() string {
	return "the client was connected, and is no more before the fault could come; " + e.fate("client") + e.lastWords("client")
}

// A moment is watched for.
type moment struct {
	e      *Experiment
	when   scenarios.When
	from   int64 // when the client was connected
	last   int64 // when data was seen to have passed
	octets int64
	line   string // that matched
}

// due is in how long it comes, if that depends on nothing else.
func (m *moment) due(time.Duration) (in time.Duration, known bool) {
	return time.Duration(m.from + int64(m.when.Time) - m.e.clock.Now()), m.when.Kind == scenarios.WhenAt
}

// come tells whether it is there.
func (m *moment) come(events []record.Event) (bool, error) {
	now := m.e.clock.Now()
	switch m.when.Kind {
	case scenarios.WhenIdle, scenarios.WhenOctets:
		if err := m.count(); err != nil {
			return false, err
		}
		if m.when.Kind == scenarios.WhenIdle {
			return now-m.last >= int64(m.when.Time), nil
		}
		return m.octets >= m.when.Octets, nil
	case scenarios.WhenAt:
		return now-m.from >= int64(m.when.Time), nil
	case scenarios.WhenOutput:
		for i := range events {
			if ev := &events[i]; ev.Source == record.Output && ev.Time >= m.e.clientStart && m.when.Output.MatchString(ev.Text) {
				m.line = ev.Text
				return true, nil
			}
		}
		return false, nil
	}
	return true, nil
}

// count asks the client's sockets how many octets they have received and sent.
func (m *moment) count() error {
	rows, err := m.e.connections(m.e.net.Client)
	octets := int64(0)
	for _, r := range rows {
		octets += int64(r.Received + r.Acked)
	}
	if octets != m.octets {
		m.octets, m.last = octets, m.e.clock.Now()
	}
	return err
}

// far says how far it got.
func (m *moment) far() string {
	switch m.when.Kind {
	case scenarios.WhenIdle:
		return "the last data passed " + record.Span(m.e.clock.Now()-m.last) + " ago"
	case scenarios.WhenOctets:
		return fmt.Sprintf("%d octets have passed", m.octets)
	case scenarios.WhenOutput:
		if m.line == "" {
			return "no line matched " + m.when.Output.String()
		}
		return "a program printed: " + m.line
	}
	return record.Span(m.e.clock.Now()-m.from) + " after the client connected"
}
