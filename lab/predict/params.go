// Package predict computes what the Linux kernel's TCP timers will do after
// the peer goes away: which error a blocked read returns, in which window of
// time, which setting decides, and which segments are sent meanwhile.
//
// The functions replay the kernel's own steps in virtual time, in jiffies and
// with the timer wheel's rounding, instead of evaluating the formula of
// ip-sysctl.rst, which is only a lower bound: the limit is compared when a
// timer fires, so the error comes with the first timer past it. What cannot
// be known beforehand (where jiffies stand at the write, the random life of a
// neighbour entry) is swept over, and a [Window] is the range of the outcomes.
//
// The steps are those of net/ipv4/tcp_timer.c, tcp_output.c, tcp_input.c,
// tcp_ipv4.c, tcp_minisocks.c, inet_connection_sock.c, route.c and icmp.c,
// net/ipv6/tcp_ipv6.c and icmp.c, net/core/neighbour.c and
// kernel/time/timer.c; the outcomes were compared with Linux 6.18. Nothing
// here does I/O.
package predict

import "time"

// Defaults of the kernel, used for zero fields of [Params] where zero means
// "not given".
const (
	DefaultHZ              = 250
	DefaultRTOMin          = 200 * time.Millisecond // TCP_RTO_MIN
	DefaultRTOMax          = 120 * time.Second      // TCP_RTO_MAX
	DefaultRetries1        = 3                      // TCP_RETR1
	DefaultRetries2        = 15                     // TCP_RETR2
	DefaultSynRetries      = 6                      // TCP_SYN_RETRIES
	DefaultLinearTimeouts  = 4                      // tcp_syn_linear_timeouts, since 6.5
	DefaultSynAckRetries   = 5                      // TCP_SYNACK_RETRIES
	DefaultKeepaliveTime   = 2 * time.Hour          // TCP_KEEPALIVE_TIME
	DefaultKeepaliveIntvl  = 75 * time.Second       // TCP_KEEPALIVE_INTVL
	DefaultKeepaliveProbes = 9                      // TCP_KEEPALIVE_PROBES
)

// What the kernel accepts, or more.
const (
	minHZ, maxHZ       = 100, 1000
	maxRetries         = 255                 // the sysctls are bytes
	maxCount           = 127                 // MAX_TCP_KEEPCNT, MAX_TCP_SYNCNT
	longestKeepalive   = 32767 * time.Second // MAX_TCP_KEEPIDLE
	longestUserTimeout = (1<<31 - 1) * time.Millisecond
)

// A connection has always measured a round trip; this stands for a short one.
const assumedRTT = time.Microsecond

// Params is what the kernel knows of the client's connection before the
// fault: sysctls of the client's network namespace, options of its socket and
// tcp_info. Defaults returns the kernel's; a number that is zero there is
// taken as zero (tcp_retries2 = 0 is legal), a duration or HZ of zero as not
// given. Values beyond what the kernel accepts are clamped.
type Params struct {
	// HZ is CONFIG_HZ, the number of jiffies a second.
	HZ int
	// Retries1 and Retries2 are net.ipv4.tcp_retries1 and tcp_retries2.
	// Retries1 moves no deadline: past it the kernel only doubts its route.
	Retries1, Retries2 int
	// RTOMin and RTOMax are net.ipv4.tcp_rto_min_us and tcp_rto_max_ms (or
	// TCP_RTO_MAX_MS), 200 ms and 120 s unless given.
	RTOMin, RTOMax time.Duration
	// RTO and SRTT are tcpi_rto and tcpi_rtt before the fault. Without an
	// RTO it is taken as on a quiet network: SRTT + RTOMin, rounded up to
	// jiffies (__tcp_set_rto with rttvar at its floor).
	RTO, SRTT time.Duration
	// unmeasured: the RTO is known, but no round trip was measured: the SYN was
	// sent twice (RFC 6298 section 3, Karn).
	unmeasured bool
	// TLP says that a tail loss probe precedes the first timeout:
	// net.ipv4.tcp_early_retrans is 3 or 4 and the peer does SACK.
	TLP bool
	// UserTimeout is TCP_USER_TIMEOUT; it takes the place of Retries2, and
	// of Keepalive.Probes.
	UserTimeout time.Duration
	Keepalive   Keepalive
	// SynRetries and SynLinearTimeouts are net.ipv4.tcp_syn_retries (or
	// TCP_SYNCNT) and tcp_syn_linear_timeouts.
	SynRetries, SynLinearTimeouts int
	// SynAckRetries is the server's net.ipv4.tcp_synack_retries (or the
	// TCP_SYNCNT of its listening socket).
	SynAckRetries int
}

// Keepalive is SO_KEEPALIVE with TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT,
// or the sysctls tcp_keepalive_time, _intvl and _probes behind them.
type Keepalive struct {
	On             bool
	Time, Interval time.Duration
	Probes         int
}

// Defaults returns what an untouched kernel with HZ=250 would have.
func Defaults() Params {
	return Params{
		HZ:       DefaultHZ,
		Retries1: DefaultRetries1, Retries2: DefaultRetries2,
		RTOMin: DefaultRTOMin, RTOMax: DefaultRTOMax,
		TLP: true,
		Keepalive: Keepalive{
			Time: DefaultKeepaliveTime, Interval: DefaultKeepaliveIntvl, Probes: DefaultKeepaliveProbes,
		},
		SynRetries: DefaultSynRetries, SynLinearTimeouts: DefaultLinearTimeouts,
		SynAckRetries: DefaultSynAckRetries,
	}
}

// normal fills in what was not given and clamps the rest to what the kernel
// would accept, so that no simulation can run away.
func (p Params) normal() Params {
	if p.HZ == 0 {
		p.HZ = DefaultHZ
	}
	p.HZ = clamp(p.HZ, minHZ, maxHZ)
	p.Retries1 = clamp(p.Retries1, 0, maxRetries)
	p.Retries2 = clamp(p.Retries2, 0, maxRetries)
	p.SynRetries = clamp(p.SynRetries, 1, maxCount)
	p.SynLinearTimeouts = clamp(p.SynLinearTimeouts, 0, maxCount)
	p.SynAckRetries = clamp(p.SynAckRetries, 0, maxCount)
	p.RTOMax = clamp(orElse(p.RTOMax, DefaultRTOMax), time.Second, DefaultRTOMax)
	p.RTOMin = clamp(orElse(p.RTOMin, DefaultRTOMin), time.Microsecond, p.RTOMax)
	p.unmeasured = p.unmeasured || p.SRTT == 0 && p.RTO > 0
	p.SRTT = clamp(orElse(p.SRTT, assumedRTT), time.Microsecond, p.RTOMax)
	if p.RTO <= 0 {
		p.RTO = p.SRTT + p.RTOMin
	}
	p.RTO = min(p.RTO, p.RTOMax)
	p.UserTimeout = clamp(p.UserTimeout, 0, longestUserTimeout)
	p.Keepalive.Time = clamp(orElse(p.Keepalive.Time, DefaultKeepaliveTime), time.Second, longestKeepalive)
	p.Keepalive.Interval = clamp(orElse(p.Keepalive.Interval, DefaultKeepaliveIntvl), time.Second, longestKeepalive)
	p.Keepalive.Probes = clamp(p.Keepalive.Probes, 1, maxCount)
	return p
}

type ordered interface {
	~int | ~int64
}

func clamp[T ordered](v, low, high T) T { return max(low, min(v, high)) }

// orElse replaces a value that was not given.
func orElse[T ordered](v, instead T) T {
	if v <= 0 {
		return instead
	}
	return v
}
