package page

import (
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
)

// originOf is what the schedule counts from: its name, and its time.
func originOf(r *record.Record) (name string, at int64, ok bool) {
	p, d := &r.Prediction, &r.Detection
	local, remote := connection(r)
	first := func(test func(*record.Event) bool) (int64, bool) {
		for i := range r.Events {
			if test(&r.Events[i]) {
				return r.Events[i].Time, true
			}
		}
		return 0, false
	}
	last := func(test func(*record.Event) bool) (at int64, ok bool) {
		for i := range r.Events {
			if test(&r.Events[i]) {
				at, ok = r.Events[i].Time, true
			}
		}
		return at, ok
	}
	heard := func(e *record.Event) bool {
		return e.Host == "client" && e.Kind == record.KindIn && e.Packet != nil && e.Packet.Src == remote && e.Packet.Dst == local
	}
	switch {
	case p.Sends[0].Kind == "synack":
		at, ok = first(func(e *record.Event) bool {
			return e.Host == "server" && e.Kind == record.KindIn && e.Packet != nil && e.Packet.Flags&record.FlagSYN != 0
		})
		return "the SYN that the server received", at, ok
	case p.Model == "zero-window-answered":
		probe, found := first(func(e *record.Event) bool {
			return e.Host == "client" && e.Kind == record.KindOut && e.Packet != nil && e.Packet.Probe && e.Time > r.Fault.Time
		})
		at, ok = last(func(e *record.Event) bool { return heard(e) && e.Time < probe })
		return "the last segment received before the first probe, when nothing was in flight any more", at, ok && found
	case p.From == "write" && d.Error != "" && report.BeforeFault(d):
		return "the client's write, which began before the fault", d.Time - d.AfterWrite, true
	case p.From == "write" && d.AfterWrite >= 0 && d.Error != "":
		return "the client's first write after the fault", d.Time - d.AfterWrite, true
	case p.From == "write":
		at, ok = first(func(e *record.Event) bool {
			return e.Host == "client" && e.Time > r.Fault.Time && e.Kind == record.KindOut && e.Packet != nil && e.Packet.Src == local && e.Packet.Len > 0
		})
		return "the first segment with data that the client sent after the fault", at, ok
	case p.From == "heard" && d.AfterHeard >= 0 && d.Error != "":
		return "the last segment received before the fault", d.Time - d.AfterHeard, true
	case p.From == "heard":
		at, ok = last(func(e *record.Event) bool { return heard(e) && e.Time <= r.Fault.Time })
		return "the last segment received before the fault", at, ok
	case p.From == "call" && d.Error != "":
		return "the call, " + plain(d.Syscall) + "()", d.Time - d.Blocked, true
	case p.From == "call":
		at, ok = first(func(e *record.Event) bool {
			return e.Host == "client" && e.Kind == record.KindOut && e.Packet != nil && e.Packet.Flags == record.FlagSYN
		})
		return "the first SYN", at, ok
	}
	return "the fault", r.Fault.Time, true
}
