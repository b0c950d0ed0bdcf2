package lab

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// actions are what the client's programs did about the end of their peer: of
// each kind the first, once they were told, or, if nothing told them, since the
// fault.
func (v *view) actions(told record.Detection) []record.Action {
	list := []record.Action{}
	if v.r.Fault.Kind == "" {
		return list
	}
	since, pid := v.r.Fault.Time, v.holder()
	if told.Error != "" {
		since, pid = told.Time, told.PID
	}
	add := func(e *record.Event, kind string, at int64, what string) {
		a := record.Action{Kind: kind, PID: e.PID, Time: at, AfterFault: max(0, at-v.r.Fault.Time), AfterTold: -1, What: what}
		if told.Error != "" {
			a.AfterTold = max(0, at-told.Time)
		}
		list = append(list, a)
	}
	done := func(kind string) bool {
		return slices.ContainsFunc(list, func(a record.Action) bool { return a.Kind == kind })
	}
	main := v.clientPID()
	type descriptor struct{ pid, fd int }
	pending := map[descriptor]bool{} // of which connect() has said that it is under way
	connects := len(v.r.Connections) // to connect again there must have been a first time
	for i := range v.r.Events {
		e := &v.r.Events[i]
		if e.Host != "client" || e.Time < v.r.Fault.Time {
			continue
		}
		again := false
		if c := e.Syscall; c != nil && e.Kind == record.KindCall {
			at := descriptor{e.PID, c.FD}
			switch {
			case c.Name == "connect" && v.ofServer(c.Arg):
				again = pending[at] // it asks what became of it
				pending[at] = c.Error == "EINPROGRESS" || c.Error == "EALREADY"
			case c.Name == "close":
				delete(pending, at)
			}
		}
		if e.Time < since || again {
			continue
		}
		switch {
		case e.Source == record.Output && !done(record.ActMessage) && strings.TrimSpace(e.Text) != "":
			add(e, record.ActMessage, e.Time, e.Text)
		case e.Source == record.Process && e.Kind == record.KindExit && (e.PID == main || e.PID == pid) && !done(record.ActExit):
			add(e, record.ActExit, e.Time, ending(e.Process))
		case e.Source != record.Syscall || e.Kind != record.KindCall:
		case e.Syscall.Name == "close" && e.Syscall.Socket && v.noted(e.Syscall.Local, e.Syscall.Remote) && !done(record.ActClose):
			add(e, record.ActClose, e.Time, "close()")
		case e.Syscall.Name == "connect" && v.ofServer(e.Syscall.Arg) && e.Time-e.Syscall.Duration > since && e.Time != told.Time && !done(record.ActReconnect):
			if connects++; connects == 1 && told.Error == "" {
				continue
			}
			add(e, record.ActReconnect, e.Time-e.Syscall.Duration, v.reconnection(e))
		}
	}
	// The init knows of the program's end, whoever else saw it.
	for _, p := range v.r.Programs {
		if p.Host == "client" && p.Name == "client" && p.Ended >= since && p.Ended > 0 && !p.Running && !done(record.ActExit) {
			add(&record.Event{PID: p.PID}, record.ActExit, p.Ended, ending(&record.ProcEvent{Signal: p.Signal, Status: max(0, p.Exit)}))
		}
	}
	if told.Error == "" { // what it says all the time is no reaction
		list = v.onlyBesideDeeds(list)
	}
	slices.SortStableFunc(list, func(a, b record.Action) int { return cmp.Compare(a.Time, b.Time) })
	return list
}

// besideDeed is how near a line of output must be to what a client does that
// was told nothing, to be a part of it.
const besideDeed = int64(time.Second)

// onlyBesideDeeds leaves the message out, or takes in its place the last line
// that came with the first thing that the client did.
func (v *view) onlyBesideDeeds(list []record.Action) []record.Action {
	list = slices.DeleteFunc(list, func(a record.Action) bool { return a.Kind == record.ActMessage })
	if len(list) == 0 {
		return list
	}
	first := slices.MinFunc(list, func(a, b record.Action) int { return cmp.Compare(a.Time, b.Time) })
	var said *record.Event
	for i := range v.r.Events {
		e := &v.r.Events[i]
		if e.Host == "client" && e.Source == record.Output && e.Time >= v.r.Fault.Time && strings.TrimSpace(e.Text) != "" &&
			e.Time > first.Time-besideDeed && e.Time < first.Time+besideDeed {
			said = e
		}
	}
	if said == nil {
		return list
	}
	return append(list, record.Action{
		Kind: record.ActMessage, PID: said.PID, Time: said.Time, AfterFault: said.Time - v.r.Fault.Time, AfterTold: -1, What: said.Text,
	})
}

// ending says how a process ended.
func ending(p *record.ProcEvent) string {
	if p.Signal != "" {
		return "killed by " + p.Signal
	}
	return fmt.Sprintf("exit %d", p.Status)
}

// holder is the process that held the client's end of the connection at the
// fault, 0 if that is not known.
func (v *view) holder() int {
	for _, c := range v.r.Connections {
		if c.PID != 0 {
			return c.PID
		}
	}
	return 0
}

// clientPID is the client's program.
func (v *view) clientPID() int {
	for _, p := range v.r.Programs {
		if p.Host == "client" {
			return p.PID
		}
	}
	return 0
}

// reconnection says what became of a new connect(): one that does not wait is
// answered later.
func (v *view) reconnection(call *record.Event) string {
	result := "connect() = " + resultOf(call.Syscall)
	if call.Syscall.Error != "EINPROGRESS" {
		return result
	}
	for i := range v.r.Events {
		e := &v.r.Events[i]
		if e.Time < call.Time-call.Syscall.Duration || e.Host != "client" {
			continue
		}
		if e.State != nil && e.State.From == "SYN_SENT" && v.ofServer(e.State.Remote) {
			if e.State.To == "ESTABLISHED" {
				return "connected"
			}
			return "no connection"
		}
	}
	return "no answer"
}
