package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	if x, waits := step.(scenarios.Expect); waits {
		e.setStatus(x.Waiting())
	} else {
		e.setStatus(step.String())
	}
	switch s := step.(type) {
	case scenarios.Start:
		e.mark("start", s.Host, step.String())
		return true, e.startProgram(s)
	case scenarios.Type:
		return true, e.typeLine(s)
	case scenarios.CloseInput:
		p, err := e.find(s.Program)
		if err != nil {
			return false, err
		}
		e.mark("eof", p.process.Host.Name, "the user types Ctrl-D")
		return true, p.stdin.Close()
	case scenarios.Freeze:
		return true, e.freeze(s)
	case scenarios.Signal:
		h, pid, err := e.process(s.Who)
		if err != nil {
			return false, err
		}
		e.mark("signal", h.Name, step.String())
		_, err = h.Signal(pid, unix.SignalNum(s.Signal))
		return true, err
	case scenarios.Sockets:
		return true, e.snapshot()
	case scenarios.Zero:
		return true, e.zero(s)
	case scenarios.Heal:
		return true, e.heal(s)
	case scenarios.Fault:
		return true, e.inject(ctx, s)
	case scenarios.Expect:
		return e.expect(ctx, s)
	case scenarios.Listening:
		return true, e.listening(ctx, s)
	case scenarios.Connected:
		return true, e.connected(ctx, s)
	case scenarios.Trigger:
		return true, e.trigger(ctx, s)
	case scenarios.Notice:
		return true, e.notice(ctx, s)
	}
	return false, fmt.Errorf("unknown step %T", step)
}

// act lets expectations count from a moment at which the scenario acted.
func (e *Experiment) act(at int64) {
	e.acted, e.seen = at, at
	e.lastAct.Store(at)
}

// tell notes what a step does.
func (e *Experiment) tell(ev record.Event) {
	if e.did != nil {
		*e.did = append(*e.did, ev)
	}
	e.timeline.add(ev)
}

// mark notes that the scenario acts, and lets expectations count from there.
func (e *Experiment) mark(kind, host, text string) {
	e.act(e.clock.Now())
	e.tell(record.Event{Time: e.acted, Host: host, Source: record.Step, Kind: kind, Text: text})
}

// typeTimeout is how long a program may leave its standard input unread when
// the pipe is full.
const typeTimeout = 10 * time.Second

func (e *Experiment) typeLine(s scenarios.Type) error {
	p, err := e.find(s.Program)
	if err != nil {
		return err
	}
	e.mark("type", p.process.Host.Name, "the user types: "+s.Text)
	if err := p.stdin.SetWriteDeadline(time.Now().Add(typeTimeout)); err != nil {
		return err
	}
	_, err = p.stdin.WriteString(s.Text + "\n")
	if errors.Is(err, unix.EPIPE) {
		return fmt.Errorf("%w: %s had ended", ErrScenario, p.argv[0])
	}
	return err
}

// process finds who is meant: the process that holds the connection on a host,
// or a program.
func (e *Experiment) process(who string) (*topology.Host, int, error) {
	if h, err := e.net.Host(who); err == nil {
		p, _, err := e.holder(h)
		return h, p.PID, err
	}
	p, err := e.find(who)
	if err != nil {
		return nil, 0, err
	}
	return p.process.Host, p.process.PID, nil
}

// zero is the time zero of a run without a fault.
func (e *Experiment) zero(s scenarios.Zero) error {
	if err := e.watch.everything(); err != nil {
		return err
	}
	e.prediction = e.predict(e.conn())
	e.act(e.clock.Now())
	e.fault = record.FaultInfo{Kind: "zero", Time: e.acted}
	e.publish()
	e.tell(record.Event{Time: e.acted, Source: record.Fault, Kind: "zero", Text: s.What})
	return nil
}

// snapshot puts the socket tables of the hosts into the record; of those that
// live.
func (e *Experiment) snapshot() error {
	if e.options.without(ObserveSockets) {
		return nil
	}
	e.tell(record.Event{Time: e.clock.Now(), Source: record.Step, Kind: "sockets", Text: "the socket tables are noted"})
	for _, h := range e.net.Hosts() {
		if e.isDead(h.Name, h.Boot()) {
			continue
		}
		rows, err := socketsOf(h)
		if err != nil {
			return err
		}
		e.timeline.add(record.Event{
			Time: e.clock.Now(), Host: h.Name, Boot: h.Boot(), Source: record.Socket, Kind: record.KindSnapshot, Sockets: rows,
		})
	}
	return nil
}

// socketsOf reads the socket table of a host, with the processes that hold the
// sockets.
func socketsOf(h *topology.Host) ([]record.SocketRow, error) {
	rows, err := observe.Sockets(observe.Host{Name: h.Name, Net: h.Namespace()})
	if err != nil {
		return nil, err
	}
	processes, err := h.Processes()
	if err != nil {
		return nil, err
	}
	for i := range rows {
		for _, p := range processes {
			if rows[i].Inode != 0 && slices.Contains(p.Sockets, rows[i].Inode) {
				rows[i].PIDs = append(rows[i].PIDs, p.PID)
			}
		}
	}
	return rows, nil
}

// ErrScenario is of runs that came to a step which could not be done as things
// were: there was nobody whom it could have befallen. It lies in the scenario,
// or in what became of the steps before.
var ErrScenario = errors.New("nothing to act upon")

// errNoConnection says that a host's table has none to the server.
var errNoConnection = errors.New("no connection")

// connection finds the row of the connection to the server in a host's table:
// of several, one that is established.
func (e *Experiment) connection(h *topology.Host) (record.SocketRow, error) {
	rows, err := observe.Sockets(e.watch.describe(h))
	if err != nil {
		return record.SocketRow{}, err
	}
	rows = slices.DeleteFunc(rows, func(r record.SocketRow) bool {
		return r.State == "LISTEN" || r.State == "CLOSE" || !e.toServer(r.Remote) && !e.toServer(r.Local)
	})
	if len(rows) == 0 {
		with := "the server"
		if h != e.net.Client {
			with = "a client"
		}
		return record.SocketRow{}, fmt.Errorf("%w: %s has %w with %s", ErrScenario, h.Name, errNoConnection, with)
	}
	// Beside one that is in use there may be the remains of others.
	if i := slices.IndexFunc(rows, func(r record.SocketRow) bool { return r.State == "ESTABLISHED" }); i >= 0 {
		return rows[i], nil
	}
	return rows[0], nil
}

// conn is the client's connection as its TCP knows it, empty where that cannot
// be known.
func (e *Experiment) conn() record.SocketRow {
	if e.options.without(ObserveSockets) {
		return record.SocketRow{}
	}
	row, err := e.connection(e.net.Client)
	if err != nil {
		return record.SocketRow{} // not connected yet
	}
	return row
}

// holder finds the process that holds the connection on a host, and the
// connection's row in the socket table.
func (e *Experiment) holder(h *topology.Host) (topology.ProcessInfo, record.SocketRow, error) {
	row, err := e.connection(h)
	if err != nil {
		return topology.ProcessInfo{}, row, err
	}
	if row.Inode == 0 { // an orphan, or a mini-socket
		return topology.ProcessInfo{}, row, fmt.Errorf("%w: no process of %s holds the connection any more", ErrScenario, h.Name)
	}
	if e.scenario.ByHand && holdsItself(row.Inode) {
		return topology.ProcessInfo{}, row, fmt.Errorf("%w: no command holds the connection on %s, but this process does", ErrScenario, h.Name)
	}
	p, err := h.Holder(row.Inode)
	return p, row, err
}
