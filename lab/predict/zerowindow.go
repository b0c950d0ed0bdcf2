package predict

import (
	"fmt"
	"time"
)

// Probing is what sock_diag says of a connection whose peer's window is zero,
// at the fault. The zero value is: not known.
type Probing struct {
	// RTO is tcpi_rto, which is not backed off here. 0 is for not known,
	// and then nothing else is.
	RTO time.Duration
	// Backoff is tcpi_backoff: how often the timer was doubled.
	Backoff int
	// Left is idiag_expires of the persist timer (4): until the next probe.
	Left time.Duration
	// Unanswered is tcpi_probes (idiag_retrans): the probes since the last
	// ACK.
	Unanswered int
}

// Limits of the zero window probe: RFC 9293 3.8.6.1, tcp_probe0_when.
const (
	mostProbeBackoff = 10 // ilog2(TCP_RTO_MAX / TCP_RTO_MIN) + 1
	timeoutMin       = 2  // TCP_TIMEOUT_MIN, jiffies
	// invalidRateLimit is the peer's net.ipv4.tcp_invalid_ratelimit.
	invalidRateLimit = 500 * time.Millisecond
	// answeredProbes are listed of those that never end.
	answeredProbes = 24
)

// ZeroWindow predicts a blocked write (or a read) on a connection whose peer
// closed its window and then vanished without a word, counted from the fault.
// The probes go on, but now nothing answers, and the error comes with the
// timer after tcp_retries2 of them: ETIMEDOUT. TCP_USER_TIMEOUT counts from
// the first probe since the window closed (icsk_probes_tstamp), answered or
// not, so that it may be nearly over at the fault; retries2 holds besides
// (tcp_probe_timer).
//
// w is where the probing stood; without, every backoff that a peer can leave
// behind is considered. On the same link ARP fails meanwhile, and the error
// becomes EHOSTUNREACH; this is not modelled. Nor is data that was in flight
// as the window closed: that is retransmitted instead, as long as the peer
// answered within twice tcp_rto_max (tcp_rtx_probe0_timed_out).
func ZeroWindow(p Params, w Probing) Window {
	if w.RTO > 0 {
		p.RTO = w.RTO
	}
	p = p.normal()
	at := newPersist(p).positions(w)
	o := newOutcomes(p)
	cost := len(at) * (p.Retries2 + 2 + int(min(tooMany, p.UserTimeout/p.RTOMax)))
	at = thin(at, cost/len(at))
	if w.RTO <= 0 {
		cost *= 8 // the positions are phases themselves
	}
	byUser := false
	for _, start := range phases(granularity(o.ceil(p.RTOMax)), cost) {
		for _, position := range at {
			z := newPersist(p)
			z.resume(start, position)
			z.simulate(tooMany)
			o.add(start, z.now, ETIMEDOUT, z.sends, z.count)
			byUser = byUser || z.userTimedOut()
		}
	}
	win := o.window()
	if !byUser {
		p.UserTimeout = 0
	}
	win.decide(p)
	win.Why = fmt.Sprintf("The window was zero, so there is nothing in flight to retransmit; probes go on, each after twice the time of the last, and the kernel gives up at the timer after %d without an answer (tcp_retries2).",
		p.Retries2)
	if p.UserTimeout > 0 {
		win.Why += fmt.Sprintf(" TCP_USER_TIMEOUT ends it %v after the first probe, counted from when the window closed.", p.UserTimeout)
	}
	return win
}

// ZeroWindowAnswered predicts a blocked write to a peer whose window is zero
// and whose kernel goes on answering the probes, because only the program is
// stuck: nobody is ever told (RFC 9293 3.8.6.1). It counts from the moment at
// which nothing was in flight any more. The Sends, up to 24, back off as
// though they were not answered, up to tcp_rto_max.
//
// Two things end it all the same, with ETIMEDOUT. TCP_USER_TIMEOUT counts from
// the first probe, whatever is answered. And with tcp_retries2 of 0 or 1 the
// first probe that has no answer is one too many: Linux answers such a segment
// only every 500 ms (tcp_oow_rate_limited), which the second probe is too soon
// for on a fast network.
func ZeroWindowAnswered(p Params) Window {
	p = p.normal()
	o, never := newOutcomes(p), newOutcomes(p)
	cost, most := answeredProbes, answeredProbes
	if p.UserTimeout > 0 {
		most = tooMany
		cost += int(min(tooMany, p.UserTimeout/p.RTOMax))
	}
	for _, start := range phases(granularity(o.ceil(p.RTOMax)), cost) {
		z := newPersist(p)
		z.answered = o.floor(p.SRTT)
		z.now, z.armed = start, z.interval()
		z.timer = fires(start, z.armed)
		if z.simulate(most) {
			o.add(start, z.now, ETIMEDOUT, z.sends, z.count)
		} else {
			never.add(start, start, "", z.sends, z.count)
		}
	}
	w := o.window()
	w.Certain = never.n == 0
	switch {
	case o.n == 0:
		w = never.window()
		w.Decider = "ACK of zero window probes"
		w.Why = "The peer's kernel answers every probe, so the connection lives: Linux waits for ever for the window to open. Only the application can tell."
	case p.UserTimeout > 0 && p.Retries2 > 1:
		w.decide(p)
		w.Why = "The probes are answered, but the window stays zero, and TCP_USER_TIMEOUT counts from the first probe all the same."
	default:
		w.Decider = decider("net.ipv4.tcp_retries2", p.Retries2)
		w.Why = fmt.Sprintf("The peer answers only one probe in 500 ms (tcp_invalid_ratelimit), and tcp_retries2=%d allows none that is not answered.", p.Retries2)
	}
	return w
}

// persist is the part of a struct tcp_sock that the zero window timer knows.
type persist struct {
	clock
	base, rtoMax, user jiffies
	retries            int
	answered           jiffies // round trip of an answer, -1 for none
	answer             jiffies // the last, 0 if none

	now, timer jiffies
	backoff    int
	out        int     // icsk_probes_out
	stamp      jiffies // icsk_probes_tstamp, 0 if none
	armed      jiffies
	sends      []sent
	count      int
}

func newPersist(p Params) *persist {
	c := clock{int64(p.HZ)}
	z := &persist{
		clock: c, rtoMax: c.ceil(p.RTOMax), user: c.ceil(p.UserTimeout),
		retries: p.Retries2, answered: -1,
	}
	z.base = max(c.ceil(p.RTO), jiffies(c.hz/5)) // tcp_probe0_base
	return z
}

// interval is tcp_probe0_when.
func (z *persist) interval() jiffies {
	return shifted(z.base, min(z.backoff, mostProbeBackoff), z.rtoMax)
}

// position is where the probing stood at the fault.
type position struct {
	backoff, out int
	left         jiffies
	since        jiffies // first probe before the fault, 0 if there was none
}

// positions lists what w allows, both ends of every range included.
func (z *persist) positions(w Probing) (list []position) {
	low, high := 0, min(z.retries, mostProbeBackoff)
	if w.RTO > 0 {
		low = clamp(w.Backoff, 0, maxRetries)
		high = low
	}
	for z.backoff = low; z.backoff <= high; z.backoff++ {
		left := spread(0, z.interval(), 6)
		if w.RTO > 0 {
			at := min(z.ceil(w.Left), z.interval())
			left = []jiffies{at, at + 1}
		}
		for _, l := range left {
			for _, since := range z.since(l) {
				list = append(list, position{z.backoff, clamp(w.Unanswered, 0, maxRetries), l, since})
			}
		}
	}
	return list
}

// since lists when the first probe may have been: as far back as the backoff
// says, with or without what the wheel adds. At the most backoff, nobody knows.
func (z *persist) since(left jiffies) []jiffies {
	if z.backoff == 0 || z.user == 0 {
		return []jiffies{0}
	}
	least := max(1, z.interval()-left)
	for b := 1; b < z.backoff; b++ {
		least += shifted(z.base, min(b, mostProbeBackoff), z.rtoMax)
	}
	least = min(least, z.user)
	if z.backoff >= min(z.retries, mostProbeBackoff) {
		return spread(least, z.user, 6)
	}
	return spread(least, min(least+least/8+1, z.user), 6)
}

func (z *persist) resume(start jiffies, at position) {
	z.now, z.backoff, z.out = start, at.backoff, at.out
	z.armed = z.interval()
	gran := granularity(z.armed)
	z.timer = ((start+at.left)/gran + 1) * gran
	if at.since > 0 {
		z.stamp = start - at.since
	}
}

func (z *persist) userTimedOut() bool { return z.user > 0 && z.now-z.stamp >= z.user }

// simulate is tcp_probe_timer until it gives up, or sent most.
func (z *persist) simulate(most int) (gaveUp bool) {
	for {
		z.now = z.timer
		switch {
		case z.stamp == 0:
			z.stamp = z.now
		case z.userTimedOut():
			return true
		}
		if z.out >= z.retries {
			return true
		}
		if z.count >= most {
			return false
		}
		if z.count++; z.count <= mostSends {
			z.sends = append(z.sends, sent{kind: KindProbe, at: z.now, rto: z.armed, onWire: true})
		}
		z.out++
		if z.backoff < z.retries { // tcp_send_probe0
			z.backoff++
		}
		if z.answered >= 0 && (z.answer == 0 || z.now-z.answer >= z.ceil(invalidRateLimit)) {
			z.answer = z.now
			z.out = 0 // tcp_ack, and tcp_ack_probe sets the timer anew
			z.now += z.answered
		}
		z.armed = z.interval()
		if z.user > 0 { // tcp_clamp_probe0_to_user_timeout
			z.armed = min(z.armed, max(z.user-(z.now-z.stamp), timeoutMin))
		}
		z.timer = fires(z.now, z.armed)
	}
}
