package report

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// The columns of the timeline: the client's doings, the wire, the server's.
const (
	clientWidth = 36
	wireWidth   = 30
)

// timeline writes a row an event, in the order of their times, counted from
// the fault.
func timeline(p *printer, r *record.Record) {
	p.line("")
	p.line("%12s   %-*s %-*s %s", "time (s)", clientWidth, "client", wireWidth, "wire", "server")
	events := r.Events
	told := map[*record.Event]bool{}
	for i := 0; i < len(events); i++ {
		e := &events[i]
		if e.Kind == record.KindSnapshot {
			table(p, r, e)
			continue
		}
		if told[e] {
			continue
		}
		row := place(r, e)
		if row == nil {
			continue
		}
		if e.State != nil && replaced(events, i) {
			row.side(e.Host, e.String()+" (kept as a mini-socket)")
		}
		// A retransmission is told by the kernel just after the packet
		// left: one row for both.
		again := e
		if t := toldBy(events, i); t != nil {
			told[t] = true
			again = t
		}
		if again.Kind == record.KindRetransmit || again.Kind == record.KindTLP {
			row.side(e.Host, again.String()+next(events, again))
		}
		row.print(p, stamp(r, e.Time))
	}
}

// stamp counts from the fault.
func stamp(r *record.Record, t int64) string {
	return fmt.Sprintf("%12.6f", time.Duration(t-r.Fault.Time).Seconds())
}

// A row is a line of the timeline: of one event, or of two that belong together.
type row struct {
	client, wire, server string
	across               string // instead of the three
}

func (w *row) side(host, text string) {
	if host == "server" {
		w.server = text
	} else {
		w.client = text
	}
}

func (w *row) print(p *printer, at string) {
	if w.across != "" {
		p.line("%s   %s", at, w.across)
		return
	}
	p.line("%s   %s %s %s", at, pad(w.client, clientWidth), pad(w.wire, wireWidth), w.server)
}

func pad(s string, width int) string {
	if n := width - utf8.RuneCountInString(s); n > 0 {
		return s + strings.Repeat(" ", n)
	}
	return s
}

// place decides where an event stands, or nil if it is told elsewhere or says
// nothing to a reader.
func place(r *record.Record, e *record.Event) *row {
	w := &row{}
	switch e.Source {
	case record.Wire:
		if e.Packet == nil && e.Time < r.Fault.Time && e.Link == record.LinkUp {
			return nil // as it should be
		}
		if e.Packet == nil { // the carrier
			w.side(e.Host, "link "+e.Link)
			return w
		}
		if e.Kind == record.KindIn && !heardOnly(r, e) {
			return nil // told with its departure
		}
		if e.Packet.Fate == record.FateAnswered {
			w.side(e.Host, "(answered by the switch)")
		}
		w.wire = arrow(e)
		return w
	case record.Fault:
		w.across = strings.Repeat("─", 8) + " fault " + e.Kind + ": " + e.Text + " " + strings.Repeat("─", 8)
		return w
	case record.Step:
		switch e.Kind {
		case "type":
			w.side(e.Host, "the user "+strings.Replace(e.Text, "type into "+commOf(e.Text), "types", 1))
			return w
		case "sockets", "start":
			return nil
		}
		w.side(e.Host, e.Text)
		return w
	case record.Output:
		w.side(e.Host, e.Comm+": "+clean(e.Text))
		return w
	case record.Syscall:
		return call(e)
	case record.TCP:
		if e.Kind == record.KindRSTSent && r.Observed("wire") {
			return nil // told with the packet
		}
		w.side(e.Host, clean(e.String()))
		if e.Kind == record.KindRetransmit || e.Kind == record.KindTLP {
			w.wire = "(not sent)"
			if !r.Observed("wire") {
				w.wire = ""
			}
		}
		return w
	case record.Process:
		if e.Kind == record.KindFork || e.PID == 1 {
			return nil // the init is lab's own
		}
	}
	w.side(e.Host, clean(e.String()))
	return w
}

// commOf is the program's name in a step's text.
func commOf(text string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(text, "type into "), ":")
	return name
}

// heardOnly tells packets that no observed host sent: the router's, the switch's.
func heardOnly(r *record.Record, e *record.Event) bool {
	for _, h := range r.Hosts {
		if e.Packet.SrcMAC == h.MAC && h.Name != e.Host {
			return e.Packet.Proto == "arp" && e.Packet.ARP == record.ARPReply && r.AnswerARP
		}
	}
	return r.Path != "router" || e.Packet.Proto != "tcp"
}

// arrow draws a packet on its way.
func arrow(e *record.Event) string {
	text := e.Packet.String()
	room := max(wireWidth-utf8.RuneCountInString(text)-6, 1)
	line := strings.Repeat("─", room)
	right := (e.Host == "client") == (e.Kind == record.KindOut)
	lost := e.Packet.Fate == record.FateLost
	switch {
	case e.Packet.Fate == record.FateAnswered && right:
		return "── " + text + " " + line + "┤"
	case e.Packet.Fate == record.FateAnswered:
		return "├" + line + " " + text + " ──"
	case right && lost:
		return "── " + text + " " + line + "✕"
	case right:
		return "── " + text + " " + line + "▶"
	case lost:
		return "✕" + line + " " + text + " ──"
	}
	return "◀" + line + " " + text + " ──"
}

// call tells a system call of a program. What it does with its standard
// streams is told as its output and its user's input.
func call(e *record.Event) *row {
	c := e.Syscall
	if !c.Socket && c.Name != "wait4" && c.Name != "kill" && !(c.FD == 0 && e.Kind == record.KindEnter) {
		return nil
	}
	if c.Name == "wait4" && c.Ret <= 0 {
		return nil
	}
	w := &row{}
	text := clean(e.String())
	if e.Kind == record.KindCall && c.Duration >= int64(100*time.Millisecond) {
		text += ", blocked " + record.Span(c.Duration)
	}
	w.side(e.Host, text)
	return w
}

// toldBy finds the TCP event that belongs to a packet that was sent.
func toldBy(events []record.Event, i int) *record.Event {
	e := &events[i]
	if e.Packet == nil || e.Kind != record.KindOut || e.Packet.Len == 0 {
		return nil
	}
	for j := i + 1; j < len(events) && events[j].Time-e.Time < int64(time.Millisecond); j++ {
		t := &events[j]
		if t.Host == e.Host && (t.Kind == record.KindRetransmit || t.Kind == record.KindTLP) && t.TCP != nil {
			return t
		}
		if t.Packet != nil && t.Host == e.Host && t.Kind == record.KindOut {
			return nil
		}
	}
	return nil
}

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

// next says how long after a retransmission the next one came, or the end.
func next(events []record.Event, e *record.Event) string {
	for i := range events {
		n := &events[i]
		if n.Time <= e.Time || n.TCP == nil || n.TCP.Sock != e.TCP.Sock || n.Host != e.Host || n.Boot != e.Boot {
			continue
		}
		switch n.Kind {
		case record.KindRetransmit, record.KindTLP:
			return fmt.Sprintf(", next after %.2f s", time.Duration(n.Time-e.Time).Seconds())
		case record.KindError:
			return fmt.Sprintf(", end after %.2f s", time.Duration(n.Time-e.Time).Seconds())
		}
	}
	return ""
}

// table writes a socket table as netstat does.
func table(p *printer, r *record.Record, e *record.Event) {
	p.line("%s   sockets of the %s:", stamp(r, e.Time), e.Host)
	p.line("%15s%7s %7s  %-21s %-21s %-12s %s", "", "Recv-Q", "Send-Q", "Local Address", "Foreign Address", "State", "Timer")
	for _, s := range e.Sockets {
		timer := s.Timer
		if timer != "" && s.Expires > 0 {
			timer += fmt.Sprintf(" in %.2f s", time.Duration(s.Expires).Seconds())
		}
		p.line("%15s%7d %7d  %-21s %-21s %-12s %s", "", s.RecvQueue, s.SendQueue, s.Local, s.Remote, s.State, timer)
	}
}
