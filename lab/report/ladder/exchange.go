package ladder

import "github.com/seed-6fefc909/tcplab/lab/record"

// An exchange is a stretch of the timeline in which data goes to and fro: what
// of it is not told one by one. last is the index of its last event.
type exchange struct {
	Left
	last int
}

// Of a long exchange its beginning and its end are told, this many events of
// each.
const exchangeEnds = 16

// steady finds the events that are left out, by their index.
func (t *telling) steady() map[int]*exchange {
	left := map[int]*exchange{}
	var run []int
	cut := func() {
		if len(run) > 3*exchangeEnds {
			out := run[exchangeEnds : len(run)-exchangeEnds]
			x := &exchange{Left: Left{From: t.r.Events[out[0]].Time}, last: out[len(out)-1]}
			for _, i := range out {
				left[i] = x
				if e := &t.r.Events[i]; e.Syscall != nil {
					x.Calls++
				} else if e.Packet != nil && e.Kind == record.KindOut {
					x.Segments++
				}
			}
		}
		run = run[:0]
	}
	for i := range t.r.Events {
		e := &t.r.Events[i]
		switch {
		case !t.tells(e), t.waitsElsewhere(i):
		case isBulk(e), isExchange(e) && call(e) != "":
			run = append(run, i)
		case e.Source == record.TCP && e.Kind == record.KindDrop, e.Kind != record.KindSnapshot && t.place(i) == nil:
			// says nothing of the exchange, or nothing at all
		case e.Time < t.r.Fault.Time && isAgain(e):
			run = append(run, i) // a busy exchange has its own
		default:
			cut()
		}
	}
	cut()
	return left
}

// isExchange tells system calls that only carry data, or wait for some.
func isExchange(e *record.Event) bool {
	c := e.Syscall
	if c == nil || e.Kind != record.KindCall {
		return false
	}
	switch c.Name {
	case "read", "write", "readv", "writev", "recvfrom", "sendto", "recvmsg", "sendmsg", "recvmmsg", "sendmmsg", "sendfile", "splice":
		return c.Ret > 0 || c.Error == "EAGAIN"
	}
	return waitsForSeveral(c.Name) && c.Ret >= 0
}

// waitsForSeveral tells the system calls that wait for one of several files.
func waitsForSeveral(name string) bool {
	switch name {
	case "poll", "ppoll", "select", "pselect6", "epoll_wait", "epoll_pwait", "epoll_pwait2":
		return true
	}
	return false
}

// toldInARow is how many segments of a stream are told one by one.
const toldInARow = 4

// isBulk tells segments that only carry data, or only acknowledge it.
func isBulk(e *record.Event) bool {
	return e.Packet != nil && e.Packet.Proto == "tcp" && !e.Packet.Probe && e.Packet.Fate != record.FateLost &&
		e.Packet.Flags&(record.FlagSYN|record.FlagFIN|record.FlagRST) == 0
}
