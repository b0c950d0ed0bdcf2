package ladder

import (
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// isAgain tells what the kernel says when it sends something once more.
func isAgain(e *record.Event) bool {
	return e.TCP != nil && (e.Kind == record.KindRetransmit || e.Kind == record.KindTLP)
}

// Retransmission finds what the kernel said of a packet's event that was sent
// once more, nil if it was sent for the first time.
func Retransmission(r *record.Record, i int) *Again {
	if j := toldBy(r.Events, i); j >= 0 {
		return sentAgain(r.Events, j)
	}
	return nil
}

// toldBy finds the TCP event that belongs to a packet that was sent, -1 if
// there is none.
func toldBy(events []record.Event, i int) int {
	e := &events[i]
	if e.Packet == nil || e.Kind != record.KindOut || e.Packet.Len == 0 && e.Packet.Flags&(record.FlagSYN|record.FlagFIN) == 0 {
		return -1
	}
	for j := i + 1; j < len(events) && events[j].Time-e.Time < int64(time.Millisecond); j++ {
		t := &events[j]
		if t.Host == e.Host && isAgain(t) {
			return j
		}
		if t.Packet != nil && t.Host == e.Host && t.Kind == record.KindOut {
			return -1
		}
	}
	return -1
}

// sentAgain says what became of a socket after its retransmission.
func sentAgain(events []record.Event, i int) *Again {
	e := &events[i]
	a := &Again{Text: e.String()}
	heard := false // of the other end, since: what ends the connection then is no answer to this
	for j := i + 1; j < len(events); j++ {
		n := &events[j]
		if p := n.Packet; p != nil && n.Time > e.Time && n.Kind == record.KindIn && n.Host == e.Host && n.Boot == e.Boot && p.Proto == "tcp" && p.Src == e.TCP.Remote && p.Dst == e.TCP.Local {
			heard = true
		}
		if n.Time <= e.Time || n.TCP == nil || n.TCP.Sock != e.TCP.Sock || n.Host != e.Host || n.Boot != e.Boot {
			continue
		}
		if isAgain(n) {
			a.Next = n.Time - e.Time
			break
		}
		if n.Kind == record.KindError {
			if !heard && n.Time-e.Time >= int64(10*time.Millisecond) { // else it was not its timer that ended it
				a.Next, a.End = n.Time-e.Time, true
			}
			break
		}
	}
	return a
}

// MiniSocket tells of a change of state to CLOSE that only means that a
// mini-socket has taken the socket's place.
func MiniSocket(r *record.Record, i int) bool { return replaced(r.Events, i) }

// replaced tells whether a socket's change to CLOSE only means that a
// mini-socket has taken its place, to wait in FIN_WAIT2 or TIME_WAIT without a
// process (tcp_time_wait): nothing reset it.
func replaced(events []record.Event, i int) bool {
	e := &events[i]
	if e.State.To != "CLOSE" || e.State.From != "FIN_WAIT2" && e.State.From != "FIN_WAIT1" && e.State.From != "CLOSING" {
		return false
	}
	for j := i - 1; j >= 0 && e.Time-events[j].Time < int64(time.Millisecond); j-- {
		if events[j].Host == e.Host && (events[j].Kind == record.KindRSTRecv || events[j].Kind == record.KindError) {
			return false
		}
	}
	return true
}
