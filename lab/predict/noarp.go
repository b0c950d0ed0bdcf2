package predict

import "fmt"

// NoARP predicts a write to a host on the client's own link that died: the
// entry in the client's neighbour table is still good for a while, then ARP
// or neighbour discovery (Neigh.IPv6) fails, and the client's kernel answers
// its own segments with ICMP host unreachable, or ICMPv6 address unreachable
// (lo must be up). The read returns EHOSTUNREACH if that happens
// before the last timer, ETIMEDOUT if not, and a random number draws which,
// unless the neighbour settings leave time enough: see Window.Certain.
//
// Each ICMP takes back one step of backoff, so the error comes between the
// limit and the end of a timer that is shorter than in silence. An ICMPv6 does
// not (tcp_v6_err): over IPv6 the time is that of silence. The segments
// that wait for the address count among the Sends but are never on the wire.
func NoARP(p Params, n Neigh) Window {
	p, n = p.normal(), n.normal()
	c := clock{int64(p.HZ)}
	list := n.entries(c)
	run := func(start jiffies, skew int, e entry) *socket {
		s := newSocket(p, start, skew, newNeighbour(c, n, e, start))
		s.write(p)
		s.simulate()
		return s
	}
	steps := run(epoch, 0, list[0]).steps
	list = thin(list, steps)
	cost := len(skews) * len(list) * steps
	o := newOutcomes(p)
	for _, start := range phases(granularity(c.ceil(p.RTOMax)), cost) {
		for _, skew := range skews {
			for _, e := range list {
				s := run(start, skew, e)
				errno := ETIMEDOUT
				if s.soft {
					errno = EHOSTUNREACH
				}
				o.add(start, s.now, errno, s.sends, s.count)
			}
		}
	}
	w := o.window()
	// The entries' random lives are sampled: between two of them the last timer
	// may be rounded otherwise, by an eighth at most (calc_index). Measured: 28
	// ms sooner than the soonest sample, once in 30 runs.
	if len(w.Sends) > 0 && !n.IPv6 { // IPv6's timers are those of silence
		slack := w.Sends[len(w.Sends)-1].RTO / 8
		w.Min, w.Max = max(0, w.Min-slack), w.Max+slack
	}
	w.decide(p)
	w.Why = giveUp(p) + noARPWhy(w, n)
	return w
}

func noARPWhy(w Window, n Neigh) string {
	resolution, answer := "ARP", "ICMP host unreachable is the error, and undoes steps of backoff (RFC 6069)"
	if n.IPv6 {
		resolution, answer = "neighbour discovery", "ICMPv6 address unreachable is the error, and undoes no backoff"
	}
	life := fmt.Sprintf(" The neighbour entry stays reachable for %v to %v (random), then %s has to fail", n.ReachableTime/2, n.ReachableTime*3/2, resolution)
	switch {
	case !w.Certain:
		return life + ", which may be before or after that: EHOSTUNREACH or ETIMEDOUT."
	case w.Error == EHOSTUNREACH:
		return life + ", which is always before that: the kernel's own " + answer + "."
	}
	return life + ", which is always too late: the error is ETIMEDOUT."
}
