package predict

import (
	"fmt"
	"time"
)

// SYN predicts a connect() to an address from which nothing answers, counted
// from the call. It does not hold for a dead host on the same link, where ARP
// fails within seconds: EHOSTUNREACH.
func SYN(p Params) Window {
	p = p.normal()
	c := clock{int64(p.HZ)}
	o := newOutcomes(p)
	for _, start := range phases(granularity(c.ceil(p.RTOMax)), 3*(p.SynRetries+p.SynLinearTimeouts+1)) {
		for _, skew := range skews {
			s := connect(p, c, start, skew)
			o.add(start, s.now, ETIMEDOUT, s.sends, s.count)
		}
	}
	w := o.window()
	w.Decider = decider("net.ipv4.tcp_syn_retries", p.SynRetries)
	w.Why = fmt.Sprintf("The SYN is repeated after 1 s, %d times without backoff (tcp_syn_linear_timeouts), then with the timer doubled each time; the kernel gives up at tcp_syn_retries=%d more.",
		p.SynLinearTimeouts, p.SynRetries)
	if p.UserTimeout > 0 {
		w.Decider = "TCP_USER_TIMEOUT=" + p.UserTimeout.Round(time.Millisecond).String()
		w.Why += " TCP_USER_TIMEOUT ends it sooner."
	}
	return w
}

// connect is tcp_retransmit_timer in SYN_SENT, where retrans_stamp is the
// time of the first SYN (tcp_connect_init).
func connect(p Params, c clock, start jiffies, skew int) *socket {
	s := newSocket(p, start, skew, void{})
	s.stamp = start
	s.rto = jiffies(c.hz)
	if !s.userTimeout {
		s.limit = modelTimeout(c, p.SynRetries, c.hz, s.rtoMax)
	}
	s.arm(s.rto)
	for {
		s.now = s.timer
		if s.retransmits >= p.SynRetries+p.SynLinearTimeouts || s.timedOut() {
			return s
		}
		s.retransmits++
		s.transmit(KindSYN)
		if s.retransmits > p.SynLinearTimeouts {
			s.rto = min(s.rto<<1, s.rtoMax)
		}
		s.arm(s.clampToUserTimeout(s.rto))
	}
}
