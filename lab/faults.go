package lab

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
)

// inject makes the fault happen. Just before, it takes down what the client's
// TCP knows, which the prediction is computed from.
func (e *Experiment) inject(ctx context.Context, f scenarios.Fault) error {
	h, err := e.net.Host(f.Host)
	if err != nil {
		return err
	}
	if e.options.without(ObserveSockets) {
		e.prediction = e.predict(record.SocketRow{})
	} else {
		row, err := e.connection(e.net.Client)
		if err != nil {
			return err
		}
		e.prediction = e.predict(row)
	}
	switch f.Kind {
	case scenarios.Kill, scenarios.KillUnread, scenarios.Shutdown:
		p, row, err := e.holder(h)
		if err != nil {
			return err
		}
		e.held = record.FaultInfo{PID: p.PID}
		if !e.options.without(ObserveSockets) {
			e.held.Unread = row.RecvQueue
		}
	}
	switch f.Kind {
	case scenarios.Kill:
		return e.kill(f, h, unix.SIGTERM)
	case scenarios.KillUnread:
		return e.kill(f, h, unix.SIGKILL)
	case scenarios.Crash:
		return e.net.Crash(h, func(what string) { e.inForce(f, what) })
	case scenarios.Reboot:
		return e.reboot(f, h)
	case scenarios.Shutdown:
		return h.Shutdown(ctx, e.options.grace(), func(s topology.Stage) {
			e.inForceAt(f, e.clock.Monotonic(s.At), fmt.Sprintf("%s to every process: %d", unix.SignalName(s.Signal), s.Left))
		})
	case scenarios.UnreachableHost:
		err = e.net.HostUnreachable()
		e.inForce(f, "the router has no way to the host any more")
		return err
	case scenarios.UnreachableNet:
		err = e.net.NetUnreachable()
		e.inForce(f, "the router has no route to the network any more")
		return err
	}
	return fmt.Errorf("unknown fault %q", f.Kind)
}

// kill ends the process that holds the connection.
func (e *Experiment) kill(f scenarios.Fault, h *topology.Host, s unix.Signal) error {
	at, err := h.Signal(e.held.PID, s)
	if err == nil {
		e.inForceAt(f, e.clock.Monotonic(at),
			fmt.Sprintf("%s to process %d, which serves the connection", unix.SignalName(s), e.held.PID))
	}
	return err
}

// inForce notes a moment of the fault; the first is the fault's time.
func (e *Experiment) inForce(f scenarios.Fault, what string) {
	e.inForceAt(f, e.clock.Now(), what)
	e.watch.askCarrier("client")
}

func (e *Experiment) inForceAt(f scenarios.Fault, at int64, what string) {
	if e.fault.Kind == "" {
		e.fault = record.FaultInfo{Kind: f.Kind, Host: f.Host, Time: at, PID: e.held.PID, Unread: e.held.Unread}
		e.cursor, e.acted = at, at
	}
	e.timeline.add(record.Event{Time: at, Host: f.Host, Source: record.Fault, Kind: f.Kind, Text: what})
}

// reboot also changes the observers over from the old boot to the new.
func (e *Experiment) reboot(f scenarios.Fault, h *topology.Host) error {
	note := func(what string) { e.inForce(f, what) }
	if err := e.net.Crash(h, note); err != nil {
		return err
	}
	// What still observes the old namespace would keep it.
	if err := e.watch.remove(h.Name); err != nil {
		return err
	}
	if err := e.net.Boot(h, note); err != nil {
		return err
	}
	e.fault.Back = e.clock.Now()
	e.cursor, e.acted = e.fault.Back, e.fault.Back
	return e.watch.add(h)
}
