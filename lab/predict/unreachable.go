package predict

import "fmt"

// Unreachable predicts a write to a peer for which a router answers ICMP
// destination unreachable. The error is that of the ICMP, but it comes no
// sooner than in silence: it is soft until the timer gives up. An ICMP of
// HostUnreachable, NetUnreachable or NoRoute6 also takes back one doubling of
// the RTO, so there are more retransmissions, and because those timers are
// shorter, the error is nearer to the limit. An ICMP for the write itself or
// the tail loss probe finds no backoff to undo.
//
// A socket with IP_RECVERR returns the error at the first ICMP that finds it
// unlocked instead; that is not modelled.
func Unreachable(p Params, kind ICMP, r Router) Window {
	p = p.normal()
	c := clock{int64(p.HZ)}
	run := func(start jiffies, skew int) *socket {
		s := newSocket(p, start, skew, newGateway(c, kind, r, start))
		s.write(p)
		s.simulate()
		return s
	}
	o := newOutcomes(p)
	for _, start := range phases(granularity(c.ceil(p.RTOMax)), len(skews)*run(epoch, 0).steps) {
		for _, skew := range skews {
			s := run(start, skew)
			errno := ETIMEDOUT
			if s.soft {
				errno = kind.Errno()
			}
			o.add(start, s.now, errno, s.sends, s.count)
		}
	}
	w := o.window()
	w.decide(p)
	w.Why = giveUp(p)
	if !w.AllowsError(kind.Errno()) {
		w.Why += " The router has no token left for an ICMP, so this is silence."
		return w
	}
	w.Why += fmt.Sprintf(" The ICMP is a soft error: %s replaces ETIMEDOUT when the timer gives up.", kind.Errno())
	switch {
	case kind.reverts():
		w.Why += " Each undoes one step of backoff (RFC 6069), so there are more retransmissions than in silence."
	case kind.IPv6():
		w.Why += " It undoes no backoff: of ICMPv6, Linux takes only the code for no route (0) as RFC 6069 would have it."
	}
	return w
}
