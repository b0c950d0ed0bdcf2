package lab

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab/observe"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
)

// do performs a step. held is false if an expectation was not met.
func (e *Experiment) do(ctx context.Context, step scenarios.Step) (held bool, err error) {
	if err := context.Cause(ctx); err != nil {
		return false, err
	}
	e.setStatus(Status{Step: step.String()})
	switch s := step.(type) {
	case scenarios.Start:
		e.mark(step, s.Host)
		return true, e.startProgram(s)
	case scenarios.Type:
		return true, e.typeLine(s)
	case scenarios.CloseInput:
		p, err := e.find(s.Program)
		if err != nil {
			return false, err
		}
		e.mark(step, p.process.Host.Name)
		return true, p.stdin.Close()
	case scenarios.Freeze:
		h, err := e.net.Host(s.Host)
		if err != nil {
			return false, err
		}
		p, _, err := e.holder(h)
		if err != nil {
			return false, err
		}
		e.mark(step, s.Host)
		return true, h.Freeze(p.PID)
	case scenarios.Sockets:
		return true, e.snapshot()
	case scenarios.Fault:
		return true, e.inject(ctx, s)
	case scenarios.Expect:
		return e.expect(ctx, s)
	}
	return false, fmt.Errorf("unknown step %T", step)
}

// mark notes that the scenario acts, and moves the cursor there.
func (e *Experiment) mark(step scenarios.Step, host string) {
	e.cursor = e.clock.Now()
	e.acted = e.cursor
	e.timeline.add(record.Event{
		Time: e.cursor, Host: host, Source: record.Step, Kind: kindOf(step), Text: step.String(),
	})
}

func kindOf(step scenarios.Step) string {
	switch step.(type) {
	case scenarios.Start:
		return "start"
	case scenarios.Type:
		return "type"
	case scenarios.CloseInput:
		return "close-input"
	case scenarios.Freeze:
		return "freeze"
	case scenarios.Sockets:
		return "sockets"
	}
	return "step"
}

func (e *Experiment) typeLine(s scenarios.Type) error {
	p, err := e.find(s.Program)
	if err != nil {
		return err
	}
	e.mark(s, p.process.Host.Name)
	// A pipe takes 64 KiB without a reader; a line is shorter.
	if _, err := p.stdin.WriteString(s.Line + "\n"); err != nil && !errors.Is(err, unix.EPIPE) {
		return err // EPIPE: the program ended; what is expected next will say so
	}
	return nil
}

// snapshot puts the socket tables of the hosts into the record; of those that
// live.
func (e *Experiment) snapshot() error {
	if e.options.without(ObserveSockets) {
		return nil
	}
	e.mark(scenarios.Sockets{}, "")
	for _, h := range []*topology.Host{e.net.Client, e.net.Server} {
		if h.Name == e.fault.Host && h.Boot() == e.deadBoot() {
			continue
		}
		rows, err := observe.Sockets(e.watch.describe(h))
		if err != nil {
			return err
		}
		e.timeline.add(record.Event{
			Time: e.clock.Now(), Host: h.Name, Boot: h.Boot(), Source: record.Socket, Kind: record.KindSnapshot, Sockets: rows,
		})
	}
	return nil
}

// connection finds the row of the connection to the server in a host's table.
func (e *Experiment) connection(h *topology.Host) (record.SocketRow, error) {
	rows, err := observe.Sockets(e.watch.describe(h))
	if err != nil {
		return record.SocketRow{}, err
	}
	server := e.serverAddr.String()
	for _, r := range rows {
		if r.State != "LISTEN" && (r.Remote == server || r.Local == server) {
			return r, nil
		}
	}
	return record.SocketRow{}, fmt.Errorf("%s has no connection of %s", h.Name, server)
}

// holder finds the process that holds the connection on a host, and the
// connection's row in the socket table.
func (e *Experiment) holder(h *topology.Host) (topology.ProcessInfo, record.SocketRow, error) {
	row, err := e.connection(h)
	if err != nil {
		return topology.ProcessInfo{}, row, err
	}
	p, err := h.Holder(row.Inode)
	return p, row, err
}

// margin is what is added to a predicted time before a wait is given up: a
// detection that comes too late is worth seeing, too.
func margin(d time.Duration) time.Duration { return d + d/4 + 5*time.Second }

// expect waits for what a step says must be seen.
func (e *Experiment) expect(ctx context.Context, s scenarios.Expect) (held bool, err error) {
	x := record.Expectation{What: s.String()}
	if why := e.blind(s.Event); why != "" {
		// It cannot be seen. The run goes on when its other traces are
		// there, so that as much as possible is known in the end.
		x.Unknown, x.Actual = true, why
		e.expectations = append(e.expectations, x)
		return true, e.substitute(ctx, s)
	}
	within := s.Within
	if within == 0 {
		within = scenarios.DefaultWithin
		if s.Event.Detection {
			within = max(within, margin(time.Duration(e.prediction.Max+e.prediction.Tolerance)))
		}
	}
	x.Within = int64(within)
	if s.Event.Detection && e.prediction.Max > int64(time.Second) {
		e.setStatus(Status{
			Step: s.Event.String(), Waiting: true, Decider: e.prediction.Decider,
			Earliest: time.Duration(e.prediction.Min), Latest: time.Duration(e.prediction.Max),
		})
	}
	waiting, cancel := context.WithTimeoutCause(ctx, within, errNotSeen)
	defer cancel()
	since := e.cursor
	if s.Event.Since == scenarios.FaultTime {
		since = e.fault.Time
	}
	m := matcher{e: e, pattern: s.Event, since: since}
	switch {
	case s.Event.Block != "": // nothing tells that a call has begun
		defer e.poll(waiting, pollBlocked)()
	case s.Event.State != "": // what tells of a state may fail to
		defer e.poll(waiting, pollState)()
	}
	err = e.timeline.await(waiting, m.look)
	switch {
	case err == nil:
		x.OK, x.Actual, x.Time = !s.Never, m.found.String(), m.found.Time
		if !s.Never {
			// Not back: an event may be older than what was seen before it.
			e.cursor = max(e.cursor, m.found.Time)
		}
	case errors.Is(err, errNotSeen):
		x.OK = s.Never
		x.Actual = "not seen"
		if m.near != nil {
			x.Actual = "seen instead: " + m.near.String()
			x.Time = m.near.Time
		}
		err = nil
	}
	if err == nil {
		e.expectations = append(e.expectations, x)
	}
	return x.OK, err
}

var errNotSeen = errors.New("not seen")

// pollBlocked is how often the kernel is asked for the calls under way.
const pollBlocked = 2 * time.Millisecond

// poll makes the waiting step look every so often, until stop is called.
func (e *Experiment) poll(ctx context.Context, every time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var polling sync.WaitGroup
	polling.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				e.timeline.poke()
			case <-ctx.Done():
				return
			}
		}
	})
	return func() { cancel(); polling.Wait() }
}
