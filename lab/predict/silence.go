package predict

import "fmt"

// Silence predicts a write to a peer from which nothing comes back any more:
// no ACK, no RST, no ICMP, and the neighbour's address known all the while.
// The read returns ETIMEDOUT.
func Silence(p Params) Window {
	p = p.normal()
	var room []sent // is that of the run before
	run := func(start jiffies, skew int) *socket {
		s := newSocket(p, start, skew, void{})
		s.sends = room[:0]
		s.write(p)
		s.simulate()
		room = s.sends
		return s
	}
	o := newOutcomes(p)
	for _, start := range phases(granularity(o.ceil(p.RTOMax)), len(skews)*run(epoch, 0).steps) {
		for _, skew := range skews {
			s := run(start, skew)
			o.add(start, s.now, ETIMEDOUT, s.sends, s.count)
		}
	}
	w := o.window()
	w.decide(p)
	w.Why = giveUp(p) + " Nothing answered, so the error is ETIMEDOUT."
	return w
}

// giveUp explains the limit that all fatal timeouts share.
func giveUp(p Params) string {
	limit := newSocket(p, epoch, 0, void{}).limit
	if p.UserTimeout > 0 {
		return fmt.Sprintf("The kernel gives up at the first timer %v or more after the first retransmission (TCP_USER_TIMEOUT).", limit)
	}
	return fmt.Sprintf("tcp_retries2=%d stands for %v (tcp_model_timeout); the kernel gives up at the first timer that long after the first retransmission.",
		p.Retries2, limit)
}

func decider(name string, value int) string { return fmt.Sprintf("%s=%d", name, value) }
