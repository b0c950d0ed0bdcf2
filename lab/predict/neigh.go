package predict

import "time"

// Neigh is the client's table of neighbours: net.ipv4.neigh.<if>.*, or those
// of net.ipv6, where the same machine has the same defaults, and what
// is known of the server's entry when the client writes into the fault. Write
// base_reachable_time_ms before the entry exists; the kernel draws the
// lifetime from it then, and again every five minutes.
type Neigh struct {
	// IPv6 says that neighbour discovery (RFC 4861) takes the place of ARP.
	IPv6 bool
	// ReachableTime is base_reachable_time_ms. An entry stays REACHABLE for
	// 0.5 to 1.5 times as long after its last confirmation.
	ReachableTime time.Duration
	// DelayFirstProbe is delay_first_probe_time, whole seconds.
	DelayFirstProbe time.Duration
	// RetransTime is retrans_time_ms.
	RetransTime time.Duration
	// UcastSolicit, McastSolicit and AppSolicit are the probes of those
	// names: unicast to a known address, broadcast for an unknown one.
	UcastSolicit, McastSolicit, AppSolicit int
	// Age is how long before the write the entry was made, as a rule by
	// connect(). If it is more than half of ReachableTime, or 0 for not
	// known, every state that a live entry can be in is considered.
	Age time.Duration
	// Quiet is the longest time before the write at which the server may
	// last have acknowledged something.
	Quiet time.Duration
}

// DefaultNeigh returns the kernel's values.
func DefaultNeigh() Neigh {
	return Neigh{
		ReachableTime: 30 * time.Second, DelayFirstProbe: 5 * time.Second, RetransTime: time.Second,
		UcastSolicit: 3, McastSolicit: 3,
	}
}

// What is accepted here; the kernel has no limits.
const (
	longestReachable = 24 * time.Hour
	longestDelay     = time.Hour
	mostSolicits     = 1000
)

func (n Neigh) normal() Neigh {
	d := DefaultNeigh()
	n.ReachableTime = clamp(orElse(n.ReachableTime, d.ReachableTime), time.Millisecond, longestReachable)
	n.DelayFirstProbe = clamp(n.DelayFirstProbe, 0, longestDelay)
	n.RetransTime = clamp(orElse(n.RetransTime, d.RetransTime), time.Millisecond, longestDelay)
	n.UcastSolicit = clamp(n.UcastSolicit, 0, mostSolicits)
	n.McastSolicit = clamp(n.McastSolicit, 0, mostSolicits)
	n.AppSolicit = clamp(n.AppSolicit, 0, mostSolicits)
	n.Age = clamp(n.Age, 0, longestReachable)
	n.Quiet = clamp(n.Quiet, 0, longestReachable)
	return n
}

// nud is a state of the entry, named like the kernel's NUD_ constants.
type nud int

const (
	nudReachable nud = iota
	nudStale
	nudDelay
	nudProbe
	nudIncomplete
	nudFailed
)

// neighbour is the path to a dead host on the same link: segments for which
// there is still an address vanish, the others wait for a reply that never
// comes and are answered by the client's own kernel.
type neighbour struct {
	clock
	reachable, delay, retrans jiffies
	ucast, mcast, app         int
	reverts                   bool // what its ICMP does to a backoff

	state     nud
	confirmed jiffies
	used      jiffies
	timer     jiffies
	probes    int
	queued    bool
}

// entry is one of the conditions that the server's entry can be in.
type entry struct {
	state     nud
	reachable jiffies // neigh_parms.reachable_time as drawn
	left      jiffies // until its timer fires
	confirmed jiffies // before the write
	used      jiffies // before the write
}

// entries lists a sample of all the conditions that n allows, with both ends
// of every range.
func (n Neigh) entries(c clock) []entry {
	base, delay := c.ceil(n.ReachableTime), c.ceil(n.DelayFirstProbe)
	quiet := []jiffies{0}
	if q := c.ceil(n.Quiet); q > 0 {
		quiet = append(quiet, q)
	}
	var list []entry
	for _, life := range spread(base/2, base+base/2, 33) {
		for _, q := range quiet {
			if age := c.ceil(n.Age); age > 0 && age < life {
				list = append(list, entry{nudReachable, life, life - age, min(q, age), age})
				continue
			}
			for _, left := range spread(1, life, 4) {
				list = append(list, entry{nudReachable, life, left, q, 0}, entry{nudReachable, life, left, q, longAgo})
			}
			for _, left := range spread(1, delay, 4) {
				list = append(list, entry{nudDelay, life, left, q, 0})
			}
			if q >= life {
				list = append(list, entry{nudStale, life, 0, q, longAgo})
			}
		}
	}
	return list
}

// longAgo is before anything that still counts.
const longAgo jiffies = 1 << 32

// spread lists up to n values from low to high, both included.
func spread(low, high jiffies, n int) []jiffies {
	if high <= low {
		return []jiffies{low}
	}
	n = int(min(jiffies(n), high-low+1))
	list := make([]jiffies, n)
	for i := range list {
		list[i] = low + (high-low)*jiffies(i)/jiffies(n-1)
	}
	return list
}

func newNeighbour(c clock, n Neigh, e entry, start jiffies) *neighbour {
	b := &neighbour{
		clock: c, reachable: e.reachable, delay: c.ceil(n.DelayFirstProbe),
		retrans: max(c.ceil(n.RetransTime), c.shortest()),
		ucast:   n.UcastSolicit, mcast: n.McastSolicit, app: n.AppSolicit,
		state: e.state, confirmed: start - e.confirmed, used: start - e.used,
		reverts: !n.IPv6, timer: never,
	}
	if e.state != nudStale && e.state != nudFailed {
		b.timer = fires(start, e.left)
	}
	return b
}

// shortest is HZ/100, the least that a neighbour's timer is set to.
func (c clock) shortest() jiffies { return jiffies(c.hz / 100) }

// send is neigh_output: neigh_event_send unless the entry is connected.
func (b *neighbour) send(s *socket) bool {
	if b.state == nudReachable {
		return true
	}
	b.used = s.now
	switch b.state {
	case nudStale:
		b.state = nudDelay
		b.timer = fires(s.now, b.delay)
	case nudFailed:
		if b.mcast+b.app == 0 {
			return false // dropped without a word
		}
		b.state = nudIncomplete
		b.probes = b.ucast + 1 // the first probe goes out at once
		b.timer = fires(s.now, b.retrans)
		b.queued = true
	case nudIncomplete:
		b.queued = true
	}
	return b.state != nudIncomplete
}

func (b *neighbour) busy() bool { return b.queued }

func (b *neighbour) next() jiffies { return b.timer }

// run is neigh_timer_handler.
func (b *neighbour) run(s *socket) {
	now := s.now
	next := never
	b.timer = never
	switch b.state {
	case nudReachable:
		switch {
		case now <= b.confirmed+b.reachable:
			next = b.confirmed + b.reachable
		case now <= b.used+b.delay:
			b.state = nudDelay
			next = now + b.delay
		default:
			b.state = nudStale
			return
		}
	case nudDelay:
		if now <= b.confirmed+b.delay {
			b.state = nudReachable
			next = b.confirmed + b.reachable
			break
		}
		b.state = nudProbe
		b.probes = 0
		next = now + b.retrans
	case nudProbe, nudIncomplete:
		next = now + b.retrans
	default:
		return
	}
	if b.probing() && b.probes >= b.maxProbes() {
		b.state = nudFailed
		b.invalidate(s)
		return
	}
	b.timer = fires(now, max(next-now, b.shortest()))
	if b.probing() {
		b.probes++
	}
}

func (b *neighbour) probing() bool { return b.state == nudProbe || b.state == nudIncomplete }

// maxProbes is neigh_max_probes with mcast_resolicit 0.
func (b *neighbour) maxProbes() int {
	if b.state == nudProbe {
		return b.ucast + b.app
	}
	return b.ucast + b.app + b.mcast
}

// invalidate is neigh_invalidate: arp_error_report makes an ICMP host
// unreachable for the segment that waited (ipv4_link_failure) and frees it;
// ndisc_error_report one of ICMPv6, address unreachable (ip6_link_failure).
// The ICMP comes in through lo before the tasklet that frees the queue runs.
func (b *neighbour) invalidate(s *socket) {
	if !b.queued {
		return
	}
	b.queued = false
	elapsed := s.now - s.sent
	if s.skew >= 0 || elapsed == 0 {
		elapsed++
	}
	s.unreachable(b.reverts, elapsed)
	s.released()
}
