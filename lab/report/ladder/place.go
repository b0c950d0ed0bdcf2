package ladder

import (
	"strings"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// place decides where an event stands, or nil if it is told elsewhere or says
// nothing to a reader.
func (t *telling) place(i int) *Row {
	r, e := t.r, &t.r.Events[i]
	w := &Row{Time: e.Time, Events: []int{i}, Host: e.Host}
	switch e.Source {
	case record.Wire:
		if e.Packet == nil && e.Time < r.Fault.Time && e.Link == record.LinkUp {
			return nil // as it should be
		}
		if e.Packet != nil && e.Packet.Noise() {
			return nil
		}
		if e.Packet == nil { // the carrier
			w.side(e.Host, "link "+e.Link)
			return w
		}
		if e.Kind == record.KindIn && !t.heardOnly(e) {
			return nil // told with its departure
		}
		if e.Packet.Fate == record.FateAnswered {
			w.side(e.Host, "(answered by the "+r.Path+")")
		}
		w.Wire = t.arrow(i)
		return w
	case record.Fault:
		what := "fault " + e.Kind + ": "
		switch e.Kind {
		case "heal":
			what = "heal: "
		case "zero": // no fault, only the time that others count from
			what = ""
		}
		w.Across = what + Clean(e.Text)
		return w
	case record.Step:
		switch e.Kind {
		case "sockets", "start":
			return nil
		}
		w.side(e.Host, e.Text)
		return w
	case record.Output:
		w.side(e.Host, e.Comm+": "+e.Text)
		return w
	case record.Syscall:
		return call(w, e)
	case record.TCP:
		if e.Kind == record.KindDrop {
			if text := dropped(e.Text); text != "" {
				w.side(e.Host, text)
				return w
			}
			return nil
		}
		if e.Kind == record.KindRSTSent && r.Observed("wire") {
			return nil // told with the packet
		}
		w.side(e.Host, e.String())
		if isAgain(e) && r.Observed("wire") {
			w.Wire = &Arrow{Text: "(not sent)", Right: e.Host == "client"}
		}
		return w
	case record.Process:
		if e.Kind == record.KindFork || e.PID == 1 {
			return nil // the init is lab's own
		}
	}
	w.side(e.Host, e.String())
	return w
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

// heardOnly tells packets that no observed host sent: the router's, the
// switch's, a firewall's.
func (t *telling) heardOnly(e *record.Event) bool {
	if e.Packet.Tells() != "" && t.r.AnswerARP {
		return true
	}
	if t.sent[arrival{e.Packet.Proto, e.Time}] {
		return false
	}
	for _, h := range t.r.Hosts {
		if e.Packet.SrcMAC == h.MAC && h.Name != e.Host {
			return false
		}
	}
	return true
}

// call puts a system call of a program into a row, or gives nil. What it does with its standard
// streams is told as its output and its user's input.
func call(w *Row, e *record.Event) *Row {
	c := e.Syscall
	switch c.Name {
	case "wait4", "poll", "ppoll", "select", "pselect6", "epoll_wait", "epoll_pwait", "epoll_pwait2":
		if c.Ret <= 0 {
			return nil
		}
	case "kill":
	default:
		if !c.Socket && !(c.FD == 0 && e.Kind == record.KindEnter) {
			return nil
		}
	}
	text := e.String()
	if e.Kind == record.KindCall && c.Duration >= int64(100*time.Millisecond) {
		text += ", blocked " + record.Span(c.Duration)
	}
	w.side(e.Host, text)
	return w
}

// arrow is a packet on its way.
func (t *telling) arrow(i int) *Arrow {
	e, n := &t.r.Events[i], t.numbers[i]
	return &Arrow{
		Packet: e.Packet, Text: Clean(e.Packet.String()), Right: (e.Host == "client") == (e.Kind == record.KindOut),
		Seq: n.seq, Ack: n.ack,
	}
}
