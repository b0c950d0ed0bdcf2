package predict

import "time"

// The names of the errors predicted here, as errno(3) spells them. EOF is a
// read that returns 0.
const (
	ETIMEDOUT    = "ETIMEDOUT"
	EHOSTUNREACH = "EHOSTUNREACH"
	ENETUNREACH  = "ENETUNREACH"
	ECONNRESET   = "ECONNRESET"
	ECONNREFUSED = "ECONNREFUSED"
	EPIPE        = "EPIPE"
	EACCES       = "EACCES"
	EAGAIN       = "EAGAIN"
	EOF          = "EOF"
)

// Tolerance is what a measurement may add to the model: interrupts and
// softirqs that run late, a busy machine, the time to wake the reader.
const (
	// TolerancePart of the model's Max may be added to it.
	TolerancePart = 0.02
	// ToleranceFixed is added at the late end,
	ToleranceFixed = 500 * time.Millisecond
	// ToleranceEarly at the early end: the measured interval may begin a
	// little after the kernel's.
	ToleranceEarly = 20 * time.Millisecond
)

// Window is a prediction: an error and when it comes.
type Window struct {
	// Error is what the blocked read (or connect) returns, "" if nothing ever
	// ends it. If Certain is false it is the likeliest of Errors.
	Error   string
	Errors  []string
	Certain bool
	// Min and Max bound the model's outcomes, counted from the start unless
	// the function says otherwise: the client's write into the fault. They
	// hold no tolerance; see Allows. Without an Error they are 0, or the life
	// of what the kernel still keeps, where the function says so.
	Min, Max time.Duration
	// Decider is the setting that ends it, as in "net.ipv4.tcp_retries2=5".
	Decider string
	// Why explains the window in a sentence or two.
	Why string
	// MinSends and MaxSends count the transmissions after the original one,
	// tail loss probe included, that the kernel tries before the error. Sends
	// lists up to MaxSends of them. See NoARP for those that never get out.
	MinSends, MaxSends int
	Sends              []Send
}

// The kinds of Send.
const (
	KindTLP        = "tlp"        // tail loss probe, RFC 8985
	KindRetransmit = "retransmit" // on a timeout of icsk_rto
	KindKeepalive  = "keepalive"  // keepalive probe
	KindSYN        = "syn"        // retransmitted SYN
	KindSYNACK     = "synack"     // retransmitted SYN+ACK
	KindProbe      = "probe"      // zero window probe
)

// Send is one predicted transmission.
type Send struct {
	// Kind tells what sends it, N counts within the kind from 1.
	Kind string
	N    int
	// Min and Max bound the time of the transmission like Window's.
	Min, Max time.Duration
	// RTO is the timer that brings it, as it was armed, before the timer
	// wheel rounds it up. If outcomes differ it is the longest.
	RTO time.Duration
	// Always is false if only some outcomes have this transmission.
	Always bool
	// OnWire is false if it never leaves the host, in any outcome: it waits
	// for the neighbour's address until it is dropped.
	OnWire bool
}

// Latest is the model's Max with the tolerance added.
func (w Window) Latest() time.Duration {
	return w.Max + time.Duration(float64(w.Max)*TolerancePart) + ToleranceFixed
}

// Earliest is the model's Min with the tolerance taken off.
func (w Window) Earliest() time.Duration { return max(0, w.Min-ToleranceEarly) }

// Allows says whether a measured time agrees with the prediction.
func (w Window) Allows(d time.Duration) bool {
	return w.Error != "" && d >= w.Earliest() && d <= w.Latest()
}

// AllowsError says whether a measured error agrees with the prediction.
func (w Window) AllowsError(name string) bool {
	for _, e := range w.Errors {
		if e == name {
			return true
		}
	}
	return false
}
