package predict

import (
	"fmt"
	"time"
)

// ICMP is the kind of destination unreachable that a router answers with.
type ICMP int

const (
	// HostUnreachable is code 1, what `ip route add unreachable` sends.
	HostUnreachable ICMP = iota
	// NetUnreachable is code 0, what a router without a route sends.
	NetUnreachable
	// AdminProhibited is code 13, what `ip route add prohibit` sends. It
	// undoes no backoff.
	AdminProhibited
)

// Errno is icmp_err_convert's translation.
func (k ICMP) Errno() string {
	if k == NetUnreachable {
		return ENETUNREACH
	}
	return EHOSTUNREACH
}

// reverts tells the codes that tcp_v4_err takes for RFC 6069.
func (k ICMP) reverts() bool { return k == HostUnreachable || k == NetUnreachable }

// Router is a Linux router that has no way to the server any more. ip_error
// and icmp_send pay for each ICMP from one bucket a client (struct
// inet_peer), which fills by one token a jiffy.
type Router struct {
	// Burst and Cost are net.ipv4.route.error_burst and error_cost (which
	// the kernel shows in jiffies), 5 s and 1 s unless given.
	Burst, Cost time.Duration
	// RateLimit is net.ipv4.icmp_ratelimit: what icmp_send takes from the
	// same bucket besides, 0 for nothing (the kernel's default is 1 s).
	RateLimit time.Duration
	// Spent is what other packets of the client took from the bucket before
	// the write. A server that retransmits for want of an ACK is such a
	// reason: the client's answers get their ICMP, too.
	Spent time.Duration
	// RTT is the round trip to the router, less than a jiffy if 0.
	RTT time.Duration
}

// Defaults of ip_rt_error_burst and ip_rt_error_cost, and XRLIM_BURST_FACTOR.
const (
	DefaultErrorBurst = 5 * time.Second
	DefaultErrorCost  = time.Second
	rateLimitBurst    = 6
)

// Unreachable predicts a write to a peer for which a router answers ICMP
// destination unreachable. The error is that of the ICMP, but it comes no
// sooner than in silence: it is soft until the timer gives up. An ICMP also
// takes back one doubling of the RTO, so there are more retransmissions, and
// because those timers are shorter, the error is nearer to the limit. An ICMP
// for the write itself or the tail loss probe finds no backoff to undo.
//
// A socket with IP_RECVERR returns the error at the first ICMP that finds it
// unlocked instead; that is not modelled.
func Unreachable(p Params, kind ICMP, r Router) Window {
	p = p.normal()
	r.Burst, r.Cost = orElse(r.Burst, DefaultErrorBurst), orElse(r.Cost, DefaultErrorCost)
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
	if kind.reverts() {
		w.Why += " Each undoes one step of backoff (RFC 6069), so there are more retransmissions than in silence."
	}
	return w
}

// gateway is the path to a Router.
type gateway struct {
	kind             ICMP
	burst, cost      jiffies
	rateLimit, delay jiffies
	elapsed          jiffies // what the socket reckons for the round trip
	tokens, last     jiffies
	arrivals         []jiffies
}

func newGateway(c clock, kind ICMP, r Router, start jiffies) *gateway {
	g := &gateway{
		kind: kind, burst: c.ceil(r.Burst), cost: c.ceil(r.Cost), rateLimit: c.ceil(r.RateLimit),
		// usecs_to_jiffies makes a jiffy of any time at all.
		delay: c.floor(r.RTT), elapsed: max(1, c.ceil(r.RTT)),
		last: start,
	}
	g.tokens = max(0, g.burst-c.ceil(r.Spent))
	return g
}

// answers pays for an ICMP: first ip_error, then inet_peer_xrlim_allow, which
// has a limit of its own and is asked with what is left.
func (g *gateway) answers(now jiffies) bool {
	g.tokens = min(g.tokens+now-g.last, g.burst)
	g.last = now
	if g.tokens < g.cost {
		return false
	}
	g.tokens -= g.cost
	if g.rateLimit == 0 {
		return true
	}
	g.tokens = min(g.tokens, rateLimitBurst*g.rateLimit)
	if g.tokens < g.rateLimit {
		return false
	}
	g.tokens -= g.rateLimit
	return true
}

func (g *gateway) send(s *socket) bool {
	if g.answers(s.now) {
		g.arrivals = append(g.arrivals, s.now+g.delay)
	}
	return true
}

func (g *gateway) busy() bool { return false }

func (g *gateway) next() jiffies {
	if len(g.arrivals) == 0 {
		return never
	}
	return g.arrivals[0]
}

func (g *gateway) run(s *socket) {
	g.arrivals = g.arrivals[1:]
	s.unreachable(g.kind.reverts(), max(1, min(g.elapsed, s.now-s.sent+1)))
}
