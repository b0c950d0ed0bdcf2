package ladder

import (
	"strings"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// Text says what the event of an index is to a reader, without when and where,
// "" if it is nothing to one, or a socket table. It may quote programs and
// packets: see Clean.
func Text(r *record.Record, i int) string {
	e := &r.Events[i]
	switch e.Source {
	case record.Wire:
		if e.Packet == nil { // the carrier
			if (r.Fault.Kind == "" || e.Time < r.Fault.Time) && e.Link == record.LinkUp {
				return "" // as it should be
			}
			return "link " + e.Link
		}
	case record.Fault:
		switch e.Kind {
		case "heal", "boot":
			return e.Kind + ": " + e.Text
		case "zero": // no fault, only the time that others count from
			return e.Text
		}
		return "fault " + e.Kind + ": " + e.Text
	case record.Step:
		switch e.Kind {
		case "sockets", "start":
			return ""
		}
		return e.Text
	case record.Output:
		return e.Comm + ": " + e.Text
	case record.Syscall:
		return call(e)
	case record.Socket:
		switch {
		case e.State == nil:
			return ""
		case replaced(r.Events, i):
			return e.String() + " (kept as a mini-socket)"
		}
	case record.TCP:
		if e.Kind == record.KindDrop {
			return dropped(e.Text)
		}
	case record.Process:
		if e.Kind == record.KindFork || e.PID == 1 {
			return "" // the init is lab's own
		}
	}
	return e.String()
}

// dropped says in words why the kernel dropped a packet (enum skb_drop_reason),
// "" for what says nothing to a reader.
func dropped(text string) string {
	_, reason, _ := strings.Cut(text, ": ")
	switch reason {
	case "QUEUE_PURGE", "NOT_SPECIFIED", "TCP_FLAGS":
		return ""
	case "TCP_OLD_DATA":
		return "drops what it had received before"
	case "TCP_OLD_SEQUENCE":
		return "drops a segment outside its window"
	case "TCP_ABORT_ON_DATA":
		return "drops data that nobody will read"
	case "NEIGH_FAILED":
		return "drops the segment: no address for the neighbour"
	}
	return "packet " + text
}

// call says a system call of a program, "" of one that has nothing to do with a
// connection. What it does with its standard streams is told as its output and
// its user's input.
func call(e *record.Event) string {
	c := e.Syscall
	switch {
	case c.Name == "wait4", waitsForSeveral(c.Name):
		if c.Ret <= 0 {
			return ""
		}
	case c.Name != "kill" && !c.Socket && !(c.FD == 0 && e.Kind == record.KindEnter):
		return ""
	}
	text := e.String()
	if e.Kind == record.KindCall && c.Duration >= int64(100*time.Millisecond) {
		text += ", blocked " + record.Span(c.Duration)
	}
	return text
}
