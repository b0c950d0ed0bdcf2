package page

import (
	"cmp"
	"slices"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// A timer is one of a socket's that ran: from when it was set to when it was
// due.
type timer struct {
	host     string
	from, to int64
	what     string
	// beyond: the run was over before it was due; off: it was taken back.
	beyond, off bool
	lane        int // of its side's, from the lifeline outwards
}

// timers are those that the record knows of: of a retransmission by timeout the
// one that ran out, of a tail loss probe or a probe of an idle connection the
// pause before it, and those that a socket table showed running. Of too many
// the longest are given, and left is how many are not.
func timers(r *record.Record) (all []timer, left int) {
	heard := map[ends]int64{} // when a segment arrived, or a probe left
	for i := range r.Events {
		e := &r.Events[i]
		switch {
		case e.Packet != nil && e.Packet.Proto == "tcp" && e.Kind == record.KindOut:
			c := ends{e.Host, e.Packet.Src, e.Packet.Dst}
			if from, known := heard[c]; known && e.Packet.Probe && e.Time-from >= breakFrom {
				all = append(all, timer{host: e.Host, from: from, to: e.Time, what: "until the probe: " + record.Span(e.Time-from)})
			}
			if e.Packet.Probe {
				heard[c] = e.Time
			}
		case e.Packet != nil && e.Packet.Proto == "tcp":
			heard[ends{e.Host, e.Packet.Dst, e.Packet.Src}] = e.Time
		case e.TCP != nil && e.Kind == record.KindTLP:
			if from, known := sentBefore(r.Events, i); known {
				all = append(all, timer{host: e.Host, from: from, to: e.Time, what: "until the tail loss probe: " + record.Span(e.Time-from)})
			}
		case e.TCP != nil && e.TCP.Retransmits > 0 && e.TCP.RTO > 0 && (e.Kind == record.KindRetransmit || e.Kind == record.KindError && e.TCP.Error == "ETIMEDOUT"):
			// What ran out here; when it was set follows from that, but for
			// the timer wheel's slack.
			all = append(all, timer{host: e.Host, from: e.Time - e.TCP.RTO, to: e.Time, what: "retransmission timeout " + record.Span(e.TCP.RTO)})
		}
		for _, s := range e.Sockets {
			if due := e.Time + s.Expires; s.Timer != "" && s.Expires > 0 && due > r.Duration {
				t := timer{host: e.Host, from: e.Time, to: due, beyond: true, what: s.Timer + " timer, due " + record.Span(s.Expires) + " later, after the run"}
				if end, ended := gone(r.Events[i:], s.Local, s.Remote); ended {
					t.to, t.beyond, t.off, t.what = end, false, true, s.Timer+" timer, due "+record.Span(s.Expires)+" later; the socket was gone before"
				}
				all = append(all, t)
			}
		}
	}
	if left = len(all) - mostTimers; left > 0 {
		slices.SortStableFunc(all, func(a, b timer) int { return cmp.Compare(b.to-b.from, a.to-a.from) })
		all = all[:mostTimers]
	}
	slices.SortStableFunc(all, func(a, b timer) int { return cmp.Compare(a.from, b.from) })
	busy := map[string][]int64{} // by side: until when each lane is taken
	for i := range all {
		t := &all[i]
		side := sideOf(t.host)
		for t.lane < len(busy[side]) && busy[side][t.lane] > t.from+timerSlack && t.lane < mostTimerLanes-1 {
			t.lane++
		}
		if t.lane == len(busy[side]) {
			busy[side] = append(busy[side], 0)
		}
		busy[side][t.lane] = max(busy[side][t.lane], t.to)
	}
	return all, max(left, 0)
}

// How many timers are drawn, and how many stand beside each other. Those that
// overlap by less than timerSlack are one after the other: a timer fires some
// time after it was due.
const (
	mostTimers     = 200
	mostTimerLanes = 4
	timerSlack     = int64(20 * time.Millisecond)
)

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
