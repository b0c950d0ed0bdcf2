package ladder

import (
	"fmt"
	"slices"
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
		if e.Packet == nil {
			return carrier(r, i)
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
		return e.Comm + ": " + short(e.Text)
	case record.Syscall:
		return call(e)
	case record.Socket:
		switch {
		case e.State == nil, e.State.From == e.State.To: // shutdown, then close: FIN_WAIT1 twice
			return ""
		case replaced(r.Events, i):
			return outlives(r, i)
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

// mostPrinted is how much of a line that a program printed is told, in octets: some
// have no end.
const mostPrinted = 512

func short(text string) string {
	if len(text) <= mostPrinted {
		return text
	}
	return fmt.Sprintf("%s... (%s octets)", strings.ToValidUTF8(text[:mostPrinted], ""), Thousands(len(text)))
}

// carrier says what the network card was told of its link, "" of one that comes up
// for the first time, as it should, or if the fault that did it says the same at once.
func carrier(r *record.Record, i int) string {
	e := &r.Events[i]
	text := "link " + e.Link
	if (r.Fault.Kind == "" || e.Time < r.Fault.Time) && e.Link == record.LinkUp {
		wasDown := func(b record.Event) bool {
			return b.Source == record.Wire && b.Packet == nil && b.Link != record.LinkUp && b.Host == e.Host && b.Boot == e.Boot
		}
		if !slices.ContainsFunc(r.Events[:i], wasDown) {
			return ""
		}
	}
	for j := i + 1; j < len(r.Events) && r.Events[j].Time-e.Time < int64(time.Millisecond); j++ {
		if f := &r.Events[j]; f.Source == record.Fault && f.Host == e.Host && f.Text == text {
			return ""
		}
	}
	return text
}

// finTime is how long before its socket's change to TIME_WAIT the peer's FIN was
// seen at most: the kernel takes it as soon as nobody uses the socket.
const finTime = 250 * time.Millisecond

// outlives says in what state the kernel keeps a connection whose socket it
// closes (see replaced): in TIME_WAIT if the peer's FIN has come, else in
// FIN_WAIT2, which no process has any more.
func outlives(r *record.Record, i int) string {
	e := &r.Events[i]
	switch {
	case e.State.From == "CLOSING":
		return "CLOSING -> TIME_WAIT"
	case !r.Observed("wire"):
		return "FIN_WAIT2 or TIME_WAIT, without a process"
	}
	for j := i - 1; j >= 0 && e.Time-r.Events[j].Time < int64(finTime); j-- {
		f := &r.Events[j]
		if p := f.Packet; p != nil && f.Kind == record.KindIn && f.Host == e.Host && f.Boot == e.Boot &&
			p.Flags&record.FlagFIN != 0 && p.Src == e.State.Remote && p.Dst == e.State.Local {
			return e.State.From + " -> TIME_WAIT"
		}
	}
	if e.State.From == "FIN_WAIT1" {
		return e.String()
	}
	return "FIN_WAIT2, without a process"
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
	case "TCP_OLD_SEQUENCE": // a duplicate, or a probe
		return "drops a segment with an old sequence number"
	case "TCP_INVALID_SEQUENCE":
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
