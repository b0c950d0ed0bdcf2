package predict

import (
	"fmt"
	"time"
)

// ReadTimeout predicts a read with SO_RCVTIMEO=d of which nothing comes: EAGAIN,
// counted from the read's begin, which follows the write at once. d is rounded
// up to jiffies (sock_set_timeout) and then by the timer wheel
// (schedule_timeout). 0 is no timeout. The kernel's own error may be sooner;
// compare with Silence. The connection lives on.
func ReadTimeout(p Params, d time.Duration) Window {
	p = p.normal()
	if d <= 0 {
		return Window{
			Certain: true, Decider: "SO_RCVTIMEO=0",
			Why: "A read without SO_RCVTIMEO waits for as long as the connection lives.",
		}
	}
	wait := clock{int64(p.HZ)}.ceil(min(d, longestRead))
	o := newOutcomes(p)
	for _, start := range phases(granularity(wait), 1) {
		o.add(start, fires(start, wait), EAGAIN, nil, 0)
	}
	w := o.window()
	w.Decider = "SO_RCVTIMEO=" + d.String()
	w.Why = fmt.Sprintf("The program gives the read %v; TCP itself goes on retransmitting.", d)
	return w
}

// longestRead is what is accepted for SO_RCVTIMEO; the kernel's limit is
// beyond anybody's patience.
const longestRead = 24 * time.Hour

// Heartbeat predicts a client that reads with SO_RCVTIMEO=period, after a
// timeout writes a beat, and takes a second timeout in a row for the peer's
// death: EAGAIN, counted from the fault, which may be at any time between two
// beats. The least is a fault right after a beat, or while its echo was on
// the way; the most is one right after an echo. The beat is retransmitted like
// any segment meanwhile (see Silence, whose error may be sooner), which is not
// listed. 0 is never.
func Heartbeat(p Params, period time.Duration) Window {
	p = p.normal()
	if period <= 0 {
		return ReadTimeout(p, 0)
	}
	c := clock{int64(p.HZ)}
	wait := c.ceil(min(period, longestRead))
	echo := min(c.floor(p.SRTT), wait)
	o := newOutcomes(p)
	for _, start := range phases(granularity(wait), 8) {
		// The program takes its time to wake and write.
		for _, late := range []jiffies{0, 1, 2, 4} {
			beat := fires(start, wait) + late
			told := fires(beat, wait)
			o.add(start, told, EAGAIN, nil, 0)
			o.add(beat+echo, told, EAGAIN, nil, 0)
		}
	}
	w := o.window()
	w.Decider = "heartbeat=" + period.String()
	w.Why = fmt.Sprintf("The client sends a beat after %v without input and gives its echo %v: one to two periods after the fault, depending on when the last beat was.", period, period)
	return w
}
