package predict

import (
	"fmt"
	"time"
)

// SYNACK predicts what becomes of a half-open request at the server whose
// client went away after its SYN, counted from the arrival of the SYN. No
// program is ever told: Window.Error is "", Min and Max bound the life of the
// request, and the Sends are the SYN+ACKs after the first. It does not hold
// for a queue more than half full, where young requests go sooner, for
// TCP_DEFER_ACCEPT, nor if the client's SYN comes again, which is answered and
// sets the timer anew (tcp_check_req).
func SYNACK(p Params) Window {
	p = p.normal()
	c := clock{int64(p.HZ)}
	o := newOutcomes(p)
	for _, start := range phases(granularity(c.ceil(p.RTOMax)), p.SynAckRetries+1) {
		end, sends := request(p, c, start)
		o.add(start, end, "", sends, len(sends))
	}
	w := o.window()
	w.Decider = decider("net.ipv4.tcp_synack_retries", p.SynAckRetries)
	w.Why = fmt.Sprintf("The SYN+ACK is repeated after 1 s, then with the timer doubled each time, %d times; one more timer later the kernel forgets the request (reqsk_timer_handler). The listening program never heard of it.",
		p.SynAckRetries)
	return w
}

// request is reqsk_timer_handler, with the timer of tcp_reqsk_timeout.
func request(p Params, c clock, start jiffies) (end jiffies, sends []sent) {
	timeout, longest := c.ceil(time.Second), c.ceil(p.RTOMax)
	at := fires(start, timeout)
	for range p.SynAckRetries {
		sends = append(sends, sent{kind: KindSYNACK, at: at, rto: timeout, onWire: true})
		timeout = min(timeout<<1, longest)
		at = fires(at, timeout)
	}
	return at, sends
}
