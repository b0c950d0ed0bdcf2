package predict

import "time"

// Router is a Linux router that has no way to the server any more. ip_error
// and icmp_send pay for each ICMP from one bucket a client (struct
// inet_peer), which fills by one token a jiffy.
//
// For ICMPv6 there is no ip_error, and RateLimit is the only cost.
type Router struct {
	// Unlimited says that ip_error is not asked, nor Burst and Cost, because
	// netfilter rejects the segments (nf_send_unreach). It goes without
	// saying for ICMPv6. With a RateLimit of 0 every segment is answered.
	Unlimited bool

	// Burst and Cost are net.ipv4.route.error_burst and error_cost (which
	// the kernel shows in jiffies), 5 s and 1 s unless given.
	Burst, Cost time.Duration
	// RateLimit is net.ipv4.icmp_ratelimit: what icmp_send takes from the
	// same bucket besides, 0 for nothing (the kernel's default is 1 s). For
	// ICMPv6 it is net.ipv6.icmp.ratelimit (0.1 s). Six fit into the bucket.
	// Older kernels took less for a short prefix; 6.18 does not.
	RateLimit time.Duration
	// Capped: inet_peer_xrlim_allow leaves no more than six RateLimits in the
	// bucket, each time, as it did before Linux 6.14. So 0 empties it.
	Capped bool
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

// gateway is the path to a Router.
type gateway struct {
	kind             ICMP
	burst, cost      jiffies
	rateLimit, delay jiffies
	elapsed          jiffies // what the socket reckons for the round trip
	tokens, last     jiffies
	capped           bool
	arrivals         []jiffies
}

func newGateway(c clock, kind ICMP, r Router, start jiffies) *gateway {
	g := &gateway{
		kind: kind, burst: c.ceil(orElse(r.Burst, DefaultErrorBurst)), cost: c.ceil(orElse(r.Cost, DefaultErrorCost)), rateLimit: c.ceil(r.RateLimit),
		// usecs_to_jiffies makes a jiffy of any time at all.
		delay: c.floor(r.RTT), elapsed: max(1, c.ceil(r.RTT)),
		last: start, capped: r.Capped,
	}
	if r.Unlimited || kind.IPv6() {
		g.burst, g.cost = rateLimitBurst*g.rateLimit, 0
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
	if g.capped {
		g.tokens = min(g.tokens, rateLimitBurst*g.rateLimit)
	}
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
