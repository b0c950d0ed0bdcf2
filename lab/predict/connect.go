package predict

import (
	"fmt"
	"time"
)

// SYN predicts a connect() to an address from which nothing answers, counted
// from the call. A dead host on the same link is ConnectNoARP.
func SYN(p Params) Window {
	p = p.normal()
	w := connecting(p, ETIMEDOUT, []func(jiffies, int) *socket{func(start jiffies, skew int) *socket {
		return newConnect(p, start, skew, void{})
	}})
	w.Why = synWhy(p)
	return w
}

// ConnectNoARP predicts a connect() to a dead host on the client's own link,
// of which the neighbour table knows nothing, counted from the call. The SYN
// waits for the address, mcast_solicit * retrans_time, and is then answered by
// the client's own kernel (lo must be up): EHOSTUNREACH, and because in
// SYN_SENT an ICMP is fatal (tcp_v4_err, tcp_v6_err), at once. None of the
// Sends is on the wire, nor is the SYN itself.
func ConnectNoARP(p Params, n Neigh) Window {
	p, n = p.normal(), n.normal()
	c := clock{int64(p.HZ)}
	w := connecting(p, EHOSTUNREACH, []func(jiffies, int) *socket{func(start jiffies, skew int) *socket {
		return newConnect(p, start, skew, newNeighbour(c, n, entry{state: nudFailed, reachable: c.ceil(n.ReachableTime)}, start))
	}})
	resolution, name := "ARP", "net.ipv4.neigh mcast_solicit"
	if n.IPv6 {
		resolution, name = "Neighbour discovery", "net.ipv6.neigh mcast_solicit"
	}
	if w.AllowsError(EHOSTUNREACH) {
		w.Decider = decider(name, n.McastSolicit)
		w.Why = fmt.Sprintf("%s gives up after %d requests %v apart, and the kernel's own ICMP ends connect() at once: in SYN_SENT it is no soft error.",
			resolution, n.McastSolicit+n.AppSolicit, n.RetransTime)
		return w
	}
	w.Why = synWhy(p)
	return w
}

// ConnectUnreachable predicts a connect() to an address for which a router
// answers ICMP destination unreachable, counted from the call. In SYN_SENT the
// ICMP ends it at once, unless it comes while connect() itself still holds the
// socket (sock_owned_by_user): then it is but a soft error, and the answer to
// the next SYN ends it, a second later. Over veths without delay the answer is
// made within connect()'s own system call, so that the second SYN is the rule;
// on a busy machine it may be the first. With an RTT of a millisecond or more
// it is the first.
func ConnectUnreachable(p Params, kind ICMP, r Router) Window {
	p = p.normal()
	c := clock{int64(p.HZ)}
	run := func(locked bool) func(jiffies, int) *socket {
		return func(start jiffies, skew int) *socket {
			s := newConnect(p, start, skew, newGateway(c, kind, r, start))
			s.locked = locked
			return s
		}
	}
	runs := []func(jiffies, int) *socket{run(false)}
	inline := r.RTT < time.Millisecond
	if inline {
		runs = append(runs, run(true))
	}
	w := connecting(p, kind.Errno(), runs)
	if !w.AllowsError(kind.Errno()) {
		w.Why = synWhy(p) + " The router has no token left for an ICMP, so this is silence."
		return w
	}
	w.Decider = "ICMP"
	w.Why = fmt.Sprintf("In SYN_SENT an ICMP is no soft error: it ends connect() with %s at once.", kind.Errno())
	if inline {
		w.Why += " But if it comes while connect() still holds the socket, as over links without delay, it is one, and the answer to the next SYN ends it, 1 s later."
	}
	return w
}

// ConnectRefused predicts a connect() to a host that has no such listener, or
// rebooted and not yet started it: RST answers the SYN.
func ConnectRefused(rtt time.Duration) Window {
	return Immediate(ECONNREFUSED, rtt, "RST", "Nobody listens there, and the host answers the SYN with RST.")
}

func synWhy(p Params) string {
	why := fmt.Sprintf("The SYN is repeated after 1 s, %d times without backoff (tcp_syn_linear_timeouts), then with the timer doubled each time; the kernel gives up at tcp_syn_retries=%d more.",
		p.SynLinearTimeouts, p.SynRetries)
	if p.UserTimeout > 0 {
		why += " TCP_USER_TIMEOUT ends it sooner."
	}
	return why
}

// connecting sweeps over what connect() may come to: soft is the errno of an
// ICMP. It leaves the setting of silence for a decider.
func connecting(p Params, soft string, runs []func(start jiffies, skew int) *socket) Window {
	o := newOutcomes(p)
	cost := len(runs) * len(skews) * (p.SynRetries + p.SynLinearTimeouts + 1)
	for _, start := range phases(granularity(o.ceil(p.RTOMax)), cost) {
		for _, skew := range skews {
			for _, run := range runs {
				s := run(start, skew)
				s.path.send(s)
				s.simulate()
				errno := ETIMEDOUT
				if s.soft {
					errno = soft
				}
				o.add(start, s.now, errno, s.sends, s.count)
			}
		}
	}
	w := o.window()
	w.Decider = decider("net.ipv4.tcp_syn_retries", p.SynRetries)
	if p.UserTimeout > 0 {
		w.Decider = "TCP_USER_TIMEOUT=" + p.UserTimeout.Round(time.Millisecond).String()
	}
	return w
}

// newConnect is a socket in SYN_SENT, where retrans_stamp is the time of the
// first SYN (tcp_connect_init) and TCP_TIMEOUT_INIT the RTO.
func newConnect(p Params, start jiffies, skew int, via path) *socket {
	s := newSocket(p, start, skew, via)
	s.syn, s.linear, s.most = true, p.SynLinearTimeouts, p.SynRetries+p.SynLinearTimeouts
	s.stamp, s.sent = start, start
	s.rto = jiffies(s.hz)
	if !s.userTimeout {
		s.limit = modelTimeout(s.clock, p.SynRetries, s.hz, s.rtoMax)
	}
	s.arm(s.rto)
	return s
}
