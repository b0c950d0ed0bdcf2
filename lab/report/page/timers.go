package page

import (
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// A timer is one of a socket's that ran: from when it was set to when it was
// due.
type timer struct {
	host     string
	from, to int64
	what     string
	// beyond: the run was over before it was due.
	beyond bool
}

// timers are those that the record knows of: of each retransmission the one
// that expired, of each probe of an idle connection the pause before it, and
// those that a socket table showed running.
func timers(r *record.Record) []timer {
	var all []timer
	type socket struct {
		host string
		boot int
		sock uint64
	}
	type flow struct{ host, local, remote string }
	heard := map[flow]int64{} // when one arrived, or a probe left
	last := map[socket]int64{}
	for i := range r.Events {
		e := &r.Events[i]
		switch {
		case e.Packet != nil && e.Packet.Proto == "tcp" && e.Kind == record.KindOut:
			f := flow{e.Host, e.Packet.Src, e.Packet.Dst}
			if from, known := heard[f]; known && e.Packet.Probe && e.Time-from >= breakFrom {
				all = append(all, timer{host: e.Host, from: from, to: e.Time, what: "until the probe: " + record.Span(e.Time-from)})
			}
			if e.Packet.Probe {
				heard[f] = e.Time
			}
		case e.Packet != nil && e.Packet.Proto == "tcp":
			heard[flow{e.Host, e.Packet.Dst, e.Packet.Src}] = e.Time
		case e.TCP != nil && (e.Kind == record.KindRetransmit || e.Kind == record.KindTLP):
			s := socket{e.Host, e.Boot, e.TCP.Sock}
			from, known := last[s]
			if !known {
				from, known = sentBefore(r.Events, i)
			}
			last[s] = e.Time
			switch {
			case !known:
			case e.Kind == record.KindTLP:
				all = append(all, timer{host: e.Host, from: from, to: e.Time, what: "until the tail loss probe: " + record.Span(e.Time-from)})
			default:
				// Its due time is the kernel's; that it fires a little later
				// is the timer wheel's doing.
				all = append(all, timer{host: e.Host, from: from, to: from + e.TCP.RTO, what: "retransmission timeout " + record.Span(e.TCP.RTO)})
			}
		case e.TCP != nil && e.Kind == record.KindError && e.TCP.Retransmits > 0:
			if from, known := last[socket{e.Host, e.Boot, e.TCP.Sock}]; known && e.Time-from >= e.TCP.RTO {
				all = append(all, timer{host: e.Host, from: from, to: from + e.TCP.RTO, what: "the last retransmission timeout " + record.Span(e.TCP.RTO)})
			}
		}
		for _, s := range e.Sockets {
			if due := e.Time + s.Expires; s.Timer != "" && s.Expires > 0 && due > r.Duration {
				t := timer{host: e.Host, from: e.Time, to: due, beyond: true, what: s.Timer + " timer, due " + record.Span(s.Expires) + " later, after the run"}
				if end, ended := gone(r.Events[i:], s.Local, s.Remote); ended {
					t.to, t.beyond, t.what = end, false, s.Timer+" timer, due "+record.Span(s.Expires)+" later; the socket was gone before"
				}
				all = append(all, t)
			}
		}
	}
	return all
}

// gone is when a connection's socket was: it was closed, or a RST was exchanged.
func gone(events []record.Event, local, remote string) (int64, bool) {
	for i := range events {
		e := &events[i]
		if s := e.State; s != nil && s.To == "CLOSE" && s.Local == local && s.Remote == remote {
			return e.Time, true
		}
		if p := e.Packet; p != nil && p.Flags&record.FlagRST != 0 && (p.Src == local && p.Dst == remote || p.Src == remote && p.Dst == local) {
			return e.Time, true
		}
	}
	return 0, false
}

// sentBefore finds when the segment left that is sent again.
func sentBefore(events []record.Event, i int) (int64, bool) {
	e := events[i]
	again := true // the first that is found is the retransmission itself
	for j := i - 1; j >= 0; j-- {
		p := events[j].Packet
		if p == nil || events[j].Host != e.Host || events[j].Kind != record.KindOut || p.Src != e.TCP.Local || p.Dst != e.TCP.Remote ||
			p.Len == 0 && p.Flags&(record.FlagSYN|record.FlagFIN) == 0 {
			continue
		}
		if again && e.Time-events[j].Time < int64(time.Millisecond) {
			again = false
			continue
		}
		return events[j].Time, true
	}
	return 0, false
}
