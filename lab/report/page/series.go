package page

import "github.com/seed-6fefc909/tcplab/lab/record"

// A point is a value of the client's connection at a time of the record.
type point struct {
	at    int64
	value float64
	// ran is how long the timer had run that expired then, 0 if none did.
	ran int64
}

// timeouts are the retransmission timeouts that the client's kernel told of, in
// seconds.
func timeouts(r *record.Record) []point {
	points := known(r, func(e *record.Event) int64 {
		if e.TCP != nil {
			return e.TCP.RTO
		}
		return 0
	}, func(s *record.SocketRow) int64 { return s.RTO }, 1e-9)
	expired(r, points)
	return points
}

// expired finds the timeouts that ran out: those of retransmissions by the
// timer, and of an error that came when one was due. An error after probes is
// not of this timer: theirs grows apart from it.
func expired(r *record.Record, points []point) {
	byTime := map[int64]*point{}
	for i := range points {
		byTime[points[i].at] = &points[i]
	}
	local, remote := connection(r)
	var sent int64 // by the timer, or as a tail loss probe; 0 if a probe followed
	for i := range r.Events {
		e := &r.Events[i]
		if k := e.Packet; e.Host == "client" && e.Kind == record.KindOut && k != nil && k.Probe && k.Src == local && k.Dst == remote {
			sent = 0
		}
		p := byTime[e.Time]
		if p == nil || e.Host != "client" || e.TCP == nil {
			continue
		}
		again := e.Kind == record.KindRetransmit || e.Kind == record.KindTLP
		timer := e.Kind == record.KindRetransmit && e.TCP.Retransmits > 0
		if timer || e.Kind == record.KindError && sent > 0 && e.Time-sent >= e.TCP.RTO {
			p.ran = e.TCP.RTO
		}
		if again {
			sent = e.Time
		}
	}
}

// windows are the congestion windows that the client's kernel told of, in
// segments.
func windows(r *record.Record) []point {
	return known(r, func(e *record.Event) int64 {
		if e.TCP != nil {
			return int64(e.TCP.Cwnd)
		}
		return int64(e.State.Cwnd)
	}, func(s *record.SocketRow) int64 { return int64(s.Cwnd) }, 1)
}

// known are what the kernel's events and its socket tables say of the client's
// connection, where it is not 0. event is given those of TCP and changes of
// state.
func known(r *record.Record, event func(*record.Event) int64, row func(*record.SocketRow) int64, scale float64) []point {
	local, remote := connection(r)
	var points []point
	add := func(at, v int64) {
		if v > 0 {
			points = append(points, point{at: at, value: float64(v) * scale})
		}
	}
	for i := range r.Events {
		e := &r.Events[i]
		switch {
		case e.Host != "client":
		case e.TCP != nil && e.TCP.Local == local && e.TCP.Remote == remote,
			e.State != nil && e.State.Local == local && e.State.Remote == remote:
			add(e.Time, event(e))
		}
		for j := range e.Sockets {
			if s := &e.Sockets[j]; e.Host == "client" && s.Local == local && s.Remote == remote {
				add(e.Time, row(s))
			}
		}
	}
	return points
}

// unacknowledged are the octets that the client had sent and that were not
// acknowledged, after each segment that changed it: from what left the client
// and the ACKs that reached it. A SYN and a FIN count as one.
func unacknowledged(r *record.Record) []point {
	local, remote := connection(r)
	var points []point
	var first, next, acked uint32 // sequence numbers, which begin again at 0 after 2^32
	begun := false
	for i := range r.Events {
		e := &r.Events[i]
		p := e.Packet
		if e.Host != "client" || p == nil || p.Proto != "tcp" || p.Flags&record.FlagRST != 0 {
			continue
		}
		switch {
		case e.Kind == record.KindOut && p.Src == local && p.Dst == remote:
			end := p.Seq + uint32(p.Len)
			if p.Flags&(record.FlagSYN|record.FlagFIN) != 0 {
				end++
			}
			if !begun || p.Flags&record.FlagSYN != 0 && p.Seq != first {
				// The connection begins, or another one on the same ports.
				first = p.Seq
				begun, next, acked = true, p.Seq, p.Seq
				points = append(points, point{at: e.Time})
			}
			if int32(end-next) <= 0 {
				continue
			}
			next = end
		case e.Kind == record.KindIn && p.Src == remote && p.Dst == local && begun && p.Flags&record.FlagACK != 0:
			if int32(p.Ack-acked) <= 0 || int32(p.Ack-next) > 0 {
				continue
			}
			acked = p.Ack
		default:
			continue
		}
		points = append(points, point{at: e.Time, value: float64(next - acked)})
	}
	return points
}

// closedAt is when the client's connection was closed for good: nothing is in
// flight of it from then on.
func closedAt(r *record.Record) (at int64, closed bool) {
	local, remote := connection(r)
	for i := range r.Events {
		e := &r.Events[i]
		if e.Host == "client" && e.State != nil && e.State.Local == local && e.State.Remote == remote && e.State.To == "CLOSE" {
			at, closed = e.Time, true
		}
	}
	return at, closed
}
