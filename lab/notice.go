package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/programs"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

// reactionTime is how long a client that was told is watched for what it does
// about it: to end, or to connect again, many wait for some seconds.
const reactionTime = 5 * time.Second

// overtime is how much longer than it may take a client is watched at most:
// what comes too late is worth seeing, too.
const overtime = 15 * time.Second

// noteConnections takes down what the client's connections are just before the
// fault.
func (e *Experiment) noteConnections() {
	if e.noted != nil && e.fault.Kind != "" {
		return
	}
	e.noted = []record.Connection{}
	rows, err := e.connections(e.net.Client)
	if err != nil || len(rows) == 0 {
		return
	}
	processes, err := e.net.Client.Processes()
	if err != nil {
		return
	}
	for _, row := range rows {
		c := record.Connection{Local: row.Local, Remote: row.Remote, Options: []string{}}
		if !e.options.without(ObserveSockets) {
			c.Cwnd = row.Cwnd
		}
		for _, p := range processes {
			if row.Inode == 0 || !slices.Contains(p.Sockets, row.Inode) {
				continue
			}
			c.PID = p.PID
			if f, err := e.net.Client.BorrowSocket(p.PID, row.Inode); err == nil {
				if o, err := programs.ReadOptions(int(f.Fd())); err == nil {
					c.Options = o.Set()
				}
				f.Close()
			}
			break
		}
		e.noted = append(e.noted, c)
	}
}

// notice waits until the client's programs were told and have acted, or their
// time is up.
func (e *Experiment) notice(ctx context.Context, s scenarios.Notice) error {
	e.waitStatus("waiting for what the client is told, and does")
	within := s.Demand.Within
	wait := within + min(within, overtime) - time.Duration(e.clock.Now()-e.fault.Time)
	w := noticing{e: e, exit: s.Demand.Exit, v: newView(&record.Record{Fault: e.fault, Connections: e.noted}, e.serverAddr)}
	err := e.until(ctx, max(0, wait), w.due, func(events []record.Event) (bool, error) { return w.enough(events), nil })
	if errors.Is(err, errNotSeen) && w.acted.Load() != 0 && !s.Demand.Exit { // what it does about it has its time
		left := reactionTime - time.Duration(e.clock.Now()-w.acted.Load())
		err = e.until(ctx, max(0, left), w.due, func(events []record.Event) (bool, error) { return w.enough(events), nil })
	}
	if errors.Is(err, errNotSeen) {
		err = nil
	}
	return err
}

// A noticing watches the client while it lasts; what it comes to is judged
// from the record.
type noticing struct {
	e     *Experiment
	v     *view
	exit  bool         // it must end: nothing less will do
	acted atomic.Int64 // when it was first told, or did something, 0 if not yet
}

// due is in how long there may be enough, where that is no event: an end is
// looked into, and who acted has reactionTime.
func (w *noticing) due(time.Duration) (in time.Duration, known bool) {
	if p := w.e.started("client"); p != nil {
		if _, ended := p.ended(); ended {
			return 0, false
		}
	}
	if acted := w.acted.Load(); acted != 0 && !w.exit {
		return max(0, reactionTime-time.Duration(w.e.clock.Now()-acted)), true
	}
	return reactionTime, true
}

// enough tells whether there is nothing more to wait for.
func (w *noticing) enough(events []record.Event) bool {
	for i := range events {
		ev := &events[i]
		if ev.Host != "client" || ev.Time < w.e.fault.Time || w.acted.Load() != 0 {
			continue
		}
		c := ev.Syscall
		switch {
		case c == nil || ev.Kind != record.KindCall:
		case slices.ContainsFunc(c.Ready, func(r record.Ready) bool {
			return strings.Contains(r.Events, "HUP") || strings.Contains(r.Events, "ERR")
		}):
			w.acted.Store(ev.Time) // of which connection is known at the end
		case !w.v.ofServer(c.Remote) && !(c.Name == "connect" && w.v.ofServer(c.Arg)):
		case c.Name == "close" || w.v.news(ev) != "":
			w.acted.Store(ev.Time)
		}
	}
	if p := w.e.started("client"); p != nil {
		if at, ended := p.ended(); ended && time.Since(at) > drainTimeout {
			return w.e.deserted(w.e.net.Client) || time.Since(at) > reactionTime
		}
	}
	acted := w.acted.Load()
	return !w.exit && acted != 0 && w.e.clock.Now()-acted > int64(reactionTime)
}

// demanded holds what the client was told and did against what it must.
func (e *Experiment) demanded(r *record.Record, v *view) {
	own := e.scenario.Own
	if own == nil {
		return
	}
	for _, step := range e.scenario.Steps {
		s, ok := step.(scenarios.Notice)
		if !ok {
			continue
		}
		x := record.Expectation{What: s.String(), Place: s.Place(), Within: int64(s.Demand.Within)}
		judgeDemand(&x, r, s.Demand)
		if e.scenario.Connects() && (len(r.Connections) == 0 || endedBefore(r)) {
			x.OK, x.Unknown, x.Actual = false, true, e.noMore()
		}
		if !v.tried() {
			x.OK, x.Unknown, x.Actual = false, true, "the client never tried to connect to the server"
		}
		if why := unseenCalls(r); why != "" && r.Detection.Error == "" {
			r.Missing = append(r.Missing, record.Missing{
				Observer: record.ClientCalls, Why: why, Cost: "what told it, and whether anything did, is not known",
			})
			if !x.OK && x.Time == 0 {
				x.Unknown, x.Actual = true, "not observed: "+why
			}
		}
		if why := e.blind(scenarios.Pattern{What: scenarios.Call}); why != "" && !s.Demand.Exit && !x.OK && x.Time == 0 {
			x.Unknown, x.Actual = true, why
		}
		r.Expectations = append(r.Expectations, x)
	}
}

// demand is what is asked of the user's own programs, nil where they are lab's.
func demand(own *scenarios.Own) *record.Demand {
	if own == nil {
		return nil
	}
	return &record.Demand{
		Server: filled(own.Server), Client: filled(own.Client),
		When: own.When.String(), Expect: own.Demand.Expect(), Within: int64(own.Demand.Within),
	}
}

// judgeDemand decides whether the client did what it must, in time.
func judgeDemand(x *record.Expectation, r *record.Record, d scenarios.Demand) {
	told := r.Detection
	var what string
	var at int64
	var right bool
	switch {
	case d.Exit: // the program's own end, not that of a child
		for _, p := range r.Programs {
			if p.Name == "client" && p.Ended > r.Fault.Time && !p.Running {
				what = ending(&record.ProcEvent{Signal: p.Signal, Status: max(0, p.Exit)})
				at, right = p.Ended, p.Signal == "" && p.Exit == d.Status
			}
		}
	case d.Error != "":
		if told.Error != "" {
			what, at, right = "told "+told.Error+" by "+told.Syscall+"()", told.Time, told.Error == d.Error
		}
	default:
		for _, a := range r.Actions {
			// Of one that was told nothing, a line or another connection may
			// be what it says and makes all the time.
			if told.Error != "" || a.Kind == record.ActClose || a.Kind == record.ActExit {
				what, at, right = a.Kind+": "+a.What, a.Time, true
				break
			}
		}
		if what == "" && told.Error != "" {
			x.Actual = fmt.Sprintf("told %s by %s(), and did nothing about it", told.Error, told.Syscall)
			x.Time = told.Time
			return
		}
	}
	if what == "" && d.Exit {
		x.Actual = "it runs on, " + record.Span(r.Duration-r.Fault.Time) + " after the fault"
		return
	}
	if what == "" {
		x.Actual = "nothing, in the " + record.Span(r.Duration-r.Fault.Time) + " after the fault"
		return
	}
	x.Actual, x.Time = what, at
	if late := at - r.Fault.Time; late > int64(d.Within) {
		x.Actual += ", too late: after " + record.Span(late)
		right = false
	}
	x.OK = right
}

// endedBefore tells whether the client had ended when the fault came: it is no
// more, and did not end after it.
func endedBefore(r *record.Record) bool {
	ended := slices.ContainsFunc(r.Programs, func(p record.Program) bool { return p.Name == "client" && !p.Running })
	return ended && r.Detection.Error == "" && len(r.Actions) == 0
}

// tried tells whether the client had a connection with the server, or wanted
// one.
func (v *view) tried() bool {
	return len(v.r.Connections) > 0 || len(v.events(func(e *record.Event) bool {
		return e.Host == "client" && (e.Syscall != nil && e.Syscall.Name == "connect" && v.ofServer(e.Syscall.Arg) ||
			e.Packet != nil && e.Kind == record.KindOut && v.ofServer(e.Packet.Dst) || e.State != nil && v.ofServer(e.State.Remote))
	})) > 0
}

// unseenCalls says by which means the client may have been told that are not
// observed, "" if there are none.
func unseenCalls(r *record.Record) string {
	for i := range r.Events {
		ev := &r.Events[i]
		switch {
		case ev.Host != "client":
		case ev.Source == record.Process && ev.Kind == record.KindUnseen:
			return ev.Comm + " uses " + ev.Text
		case ev.Syscall != nil && ev.Syscall.Partial && ev.Time >= r.Fault.Time:
			return fmt.Sprintf("%s() told of more sockets than are looked at", ev.Syscall.Name)
		}
	}
	return ""
}
