package predict

import (
	"fmt"
)

// Keepalives predicts a read on an idle connection with keepalive on, of
// which the peer vanished without a word. Min and Max count from the last
// segment received, not from a write. Without keepalive there is no error:
// Window.Error is "" and the read waits for ever.
//
// Data in flight, or a zero window being probed, keeps keepalive from being
// looked at (tcp_keepalive_timer): then it is Silence. On the same link ARP
// fails meanwhile, and the error becomes EHOSTUNREACH; this is not modelled.
func Keepalives(p Params) Window {
	p = p.normal()
	if !p.Keepalive.On {
		return Window{
			Certain: true, Decider: "SO_KEEPALIVE off",
			Why: "Nothing is sent on an idle connection without keepalive, so nobody finds out.",
		}
	}
	c := clock{int64(p.HZ)}
	idle := c.ceil(p.Keepalive.Time)
	cost := p.Keepalive.Probes + int(min(tooMany, p.UserTimeout/p.Keepalive.Interval))
	o := newOutcomes(p)
	var sends []sent // all use the same room
	for _, start := range phases(granularity(idle), 5*cost) {
		// The timer is not moved by traffic. It may have been armed by the
		// last segment, or be set for the rest when it fires after it.
		for _, fired := range spread(0, idle, 5) {
			var end jiffies
			var count int
			end, sends, count = keepalive(p, c, start, fires(start+fired, idle-fired), sends[:0])
			o.add(start, end, ETIMEDOUT, sends, count)
		}
	}
	w := o.window()
	w.Decider = decider("TCP_KEEPCNT", p.Keepalive.Probes)
	w.Why = fmt.Sprintf("%v of silence, then %d probes %v apart; the error comes one interval after the last.",
		p.Keepalive.Time, p.Keepalive.Probes, p.Keepalive.Interval)
	if p.UserTimeout > 0 {
		w.decide(p)
		w.Why = fmt.Sprintf("%v of silence, then probes %v apart; the error comes with the first of their timers %v after the last segment (TCP_USER_TIMEOUT takes the place of the number of probes).",
			p.Keepalive.Time, p.Keepalive.Interval, p.UserTimeout)
	}
	return w
}

// keepalive is tcp_keepalive_timer from its first expiry on idle on. What it
// sends is appended to sends.
func keepalive(p Params, c clock, start, at jiffies, sends []sent) (end jiffies, _ []sent, count int) {
	delta := c.ceil(p.Keepalive.Time)
	limit := c.ceil(p.UserTimeout)
	for probes := 0; ; probes++ {
		switch {
		case limit > 0 && probes > 0 && at-start >= limit,
			limit == 0 && probes >= p.Keepalive.Probes:
			return at, sends, probes
		case probes > tooMany:
			return max(at, start+limit), sends, probes
		}
		if probes < mostSends {
			sends = append(sends, sent{kind: KindKeepalive, at: at, rto: delta, onWire: true})
		}
		delta = c.ceil(p.Keepalive.Interval)
		at = fires(at, delta)
	}
}

// KeepaliveReset predicts a read on an idle connection with keepalive on, of
// which the peer forgot: it answers the first probe with a RST. Min and Max
// count from the last segment received.
func KeepaliveReset(p Params) Window {
	w := Keepalives(p)
	if len(w.Sends) == 0 {
		return w
	}
	first := w.Sends[0]
	first.Always = true
	rtt := p.normal().SRTT
	return Window{
		Error: ECONNRESET, Errors: []string{ECONNRESET}, Certain: true,
		Min: first.Min, Max: first.Max + rtt, Decider: "TCP_KEEPIDLE=" + p.normal().Keepalive.Time.String(),
		Why:      "The first keepalive probe finds a TCP that does not know the connection, and draws a RST.",
		MinSends: 1, MaxSends: 1, Sends: []Send{first},
	}
}
