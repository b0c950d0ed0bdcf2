package predict

import "time"

// A path is what lies between the socket and its peer after the fault. It
// has events of its own, which run before a socket's timer of the same tick.
type path interface {
	// send takes a segment at s.now, and tells if it left the host.
	send(s *socket) (onWire bool)
	// busy is skb_still_in_host_queue: the copy sent before is still held.
	busy() bool
	// next is the tick of the next event, never if there is none.
	next() jiffies
	// run performs that event at s.now.
	run(s *socket)
}

const never jiffies = 1<<62 - 1

// tooMany steps of one simulation: settings that no kernel is used with (an
// unlimited router and an RTO of a jiffy). The rest is then estimated.
const tooMany = 20000

// socket is the part of a struct tcp_sock that the retransmission timer
// knows, with one segment in flight and no ACK to come.
type socket struct {
	clock
	now   jiffies
	start jiffies // the jiffy in which the write happened
	path  path

	base, rtoMax jiffies       // __tcp_set_rto, tcp_rto_max
	limit        time.Duration // of retransmits_timed_out
	userTimeout  bool
	// skew stands for the milliseconds that two time stamps may be off the
	// ticks they were taken at: -1, 0 or 1.
	skew int

	// syn says that the state is SYN_SENT: what is sent is the SYN, linear
	// times without backoff and at most most times, and an ICMP is fatal.
	// But it is not if connect() holds the socket, as it may (locked) while
	// the first SYN is answered.
	syn, locked  bool
	linear, most int

	timer jiffies // tick of icsk_retransmit_timer
	armed jiffies // what it was armed for
	tlp   bool    // icsk_pending is ICSK_TIME_LOSS_PROBE

	rto         jiffies // icsk_rto
	retransmits int     // icsk_retransmits
	backoff     int     // icsk_backoff
	stamp       jiffies // retrans_stamp, 0 if none
	sent        jiffies // time stamp of the segment
	retransOut  bool    // the lost segment was sent again
	throttled   bool    // TSQ_THROTTLED: resend when the host queue lets go
	soft        bool    // sk_err_soft

	sends    []sent // the first mostSends of them
	count    int    // of all
	finished bool
	steps    int
}

// sent is one transmission of one simulation.
type sent struct {
	kind   string
	at     jiffies
	rto    jiffies
	onWire bool
}

func newSocket(p Params, start jiffies, skew int, via path) *socket {
	c := clock{int64(p.HZ)}
	s := &socket{
		clock: c, now: start, start: start, path: via, skew: skew,
		base: max(1, c.ceil(p.RTO)), rtoMax: c.ceil(p.RTOMax),
		limit: p.UserTimeout, userTimeout: p.UserTimeout > 0,
	}
	s.rto = min(s.base, s.rtoMax)
	if !s.userTimeout {
		s.limit = modelTimeout(c, p.Retries2, c.hz/5, s.rtoMax)
	}
	return s
}

// modelTimeout is tcp_model_timeout: boundary retransmissions from a base RTO
// on, doubled up to rtoMax. For data the base is TCP_RTO_MIN, HZ/5, whatever
// the connection's RTO is.
func modelTimeout(c clock, boundary int, base int64, rtoMax jiffies) time.Duration {
	rto := jiffies(base)
	linear := ilog2(max(1, rtoMax/rto))
	if boundary <= linear {
		return c.duration((2<<boundary - 1) * rto)
	}
	return c.duration((2<<linear-1)*rto + jiffies(boundary-linear)*rtoMax)
}

// write sends the first segment and arms the timer: the tail loss probe's if
// there is to be one (tcp_schedule_loss_probe), else the RTO.
func (s *socket) write(p Params) {
	s.sent = s.now
	s.path.send(s)
	if !p.TLP {
		s.arm(s.rto)
		return
	}
	s.tlp = true
	timeout := s.ceil(2*p.SRTT + p.RTOMin)
	if p.unmeasured {
		timeout = jiffies(s.hz) // TCP_TIMEOUT_INIT
	}
	s.arm(min(timeout, s.rto))
}

// arm is tcp_reset_xmit_timer.
func (s *socket) arm(delta jiffies) {
	delta = min(delta, s.rtoMax)
	s.armed, s.timer = delta, fires(s.now, delta)
}

// simulate runs until the socket gives up.
func (s *socket) simulate() {
	for !s.finished {
		if s.steps++; s.steps > tooMany {
			s.estimate()
			return
		}
		if t := s.path.next(); t <= s.timer {
			s.now = max(s.now, t)
			s.path.run(s)
			continue
		}
		s.now = s.timer
		if s.tlp {
			s.probe()
		} else {
			s.timeout()
		}
	}
}

// probe is tcp_send_loss_probe: one copy, then the full RTO (tcp_rearm_rto),
// without a trace in icsk_retransmits, icsk_backoff or retrans_stamp.
func (s *socket) probe() {
	s.tlp = false
	if s.path.busy() {
		s.arm(max(1, s.rto-(s.now-s.sent)))
		return
	}
	s.transmit(KindTLP)
	s.arm(s.rto)
}

// timeout is tcp_retransmit_timer.
func (s *socket) timeout() {
	if s.timedOut() || s.syn && s.retransmits >= s.most { // tcp_write_timeout
		s.finished = true
		return
	}
	s.retransOut = false // tcp_enter_loss
	s.retransmits++
	s.retransmit()
	if !s.syn || s.retransmits > s.linear {
		s.backoff++
		s.rto = min(s.rto<<1, s.rtoMax)
	}
	s.arm(s.clampToUserTimeout(s.rto))
}

// retransmit is tcp_retransmit_skb. The first attempt stamps, even if the
// segment cannot be sent because the copy before is still queued (-EBUSY).
func (s *socket) retransmit() {
	if s.path.busy() {
		s.throttled = true
	} else {
		kind := KindRetransmit
		if s.syn {
			kind = KindSYN
		}
		s.transmit(kind)
		s.retransOut = true
	}
	if s.stamp == 0 {
		s.stamp = s.sent
	}
}

func (s *socket) transmit(kind string) {
	s.sent = s.now
	one := sent{kind: kind, at: s.now, rto: s.armed}
	one.onWire = s.path.send(s)
	if s.count++; s.count <= mostSends {
		s.sends = append(s.sends, one)
	}
}

func (s *socket) sinceStamp() time.Duration {
	return s.duration(s.now-s.stamp) + time.Duration(s.skew)*time.Millisecond
}

// timedOut is retransmits_timed_out.
func (s *socket) timedOut() bool {
	return s.retransmits > 0 && s.sinceStamp() >= s.limit
}

// clampToUserTimeout is tcp_clamp_rto_to_user_timeout.
func (s *socket) clampToUserTimeout(rto jiffies) jiffies {
	if !s.userTimeout {
		return rto
	}
	remaining := s.limit - max(0, s.sinceStamp())
	if remaining <= 0 {
		return 1
	}
	return min(rto, s.ceil(remaining))
}

// unreachable is tcp_v4_err or tcp_v6_err for an ICMP destination unreachable
// that quotes the segment: a soft error, and for the codes of RFC 6069 one
// step of backoff less (tcp_ld_RTO_revert).
func (s *socket) unreachable(reverts bool, elapsed jiffies) {
	s.soft = true
	if s.syn {
		s.finished = !s.locked || s.retransmits > 0
		return
	}
	if !reverts || s.retransmits == 0 || s.backoff == 0 {
		return
	}
	s.backoff--
	s.rto = shifted(s.base, s.backoff, s.rtoMax)
	if remaining := s.rto - elapsed; remaining > 0 {
		s.tlp = false
		s.arm(remaining)
		return
	}
	s.timeout()
}

// released is tcp_tsq_write after the host queue dropped the copy that stood
// in a retransmission's way: the lost segment goes out again, with a new RTO.
func (s *socket) released() {
	if !s.throttled || s.finished {
		return
	}
	s.throttled = false
	if s.retransmits == 0 || s.retransOut || s.path.busy() {
		return
	}
	s.retransmit()
	s.arm(s.rto)
}

// estimate ends a simulation that took too many steps: its timers are so
// close together that the limit itself tells the time.
func (s *socket) estimate() {
	s.now = max(s.now, s.stamp+s.ceil(s.limit)) + s.rto
	s.finished = true
}

// shifted is inet_csk_rto_backoff.
func shifted(rto jiffies, by int, limit jiffies) jiffies {
	for ; by > 0 && rto < limit; by-- {
		rto <<= 1
	}
	return min(rto, limit)
}

// void is a path on which nothing comes back.
type void struct{}

func (void) send(*socket) bool { return true }
func (void) busy() bool        { return false }
func (void) next() jiffies     { return never }
func (void) run(*socket)       {}
