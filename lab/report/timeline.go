package report

import (
	"fmt"
	"strconv"
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

// A telling is a record that is told event by event.
type telling struct {
	r    *record.Record
	sent map[arrival]bool // packets that an observed host sent
}

// An arrival is a packet at its receiver.
type arrival struct {
	proto string
	time  int64
}

// timeline writes a row an event, in the order of their times, counted from
// the fault. Of many segments in a row only the first are told.
func timeline(p *printer, r *record.Record) {
	p.line("")
	p.line("%s", columns())
	tell(r, func(_ int64, text string) { p.line("%s", text) })
}

// columns is what stands above the rows.
func columns() string {
	return fmt.Sprintf("%12s   %-*s %-*s %s", "time (s)", clientWidth, "client", wireWidth, "wire", "server")
}

// A put takes a line of the timeline, and the time of the event that it tells.
type put func(at int64, text string)

// tell gives the timeline's rows, one or several lines each.
func tell(r *record.Record, p put) {
	t := telling{r: r, sent: map[arrival]bool{}}
	for _, e := range r.Events {
		if e.Packet != nil && e.Kind == record.KindOut && e.Packet.Fate == record.FateArrived {
			t.sent[arrival{e.Packet.Proto, e.Time + e.Packet.Transit}] = true
		}
	}
	events := r.Events
	told := map[*record.Event]bool{}
	segments := 0 // in a row, with nothing else between
	steady := t.steady()
	for i := 0; i < len(events); i++ {
		e := &events[i]
		if x := steady[i]; x != nil {
			if fold(p, e.Time, &segments); !x.told {
				p(e.Time, fmt.Sprintf("%12s   (%s)", "", x))
				x.told = true
			}
			continue
		}
		if e.Kind == record.KindSnapshot {
			fold(p, e.Time, &segments)
			table(p, r, e)
			continue
		}
		if told[e] {
			continue
		}
		row := t.place(e)
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
		if again == e && isBulk(e) {
			if segments++; segments > toldInARow {
				continue
			}
		} else {
			fold(p, e.Time, &segments)
		}
		p(e.Time, row.text(stamp(r, e.Time)))
	}
	fold(p, r.Duration, &segments)
}

// An exchange is a stretch of the timeline in which data goes to and fro: what
// of it is not told one by one.
type exchange struct {
	segments, calls int
	told            bool
}

func (x *exchange) String() string {
	return fmt.Sprintf("%d segments and %d calls of the same kind are left out here", x.segments, x.calls)
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
			x := &exchange{}
			for _, i := range run[exchangeEnds : len(run)-exchangeEnds] {
				left[i] = x
				if e := &t.r.Events[i]; e.Syscall != nil {
					x.calls++
				} else if e.Packet != nil && e.Kind == record.KindOut {
					x.segments++
				}
			}
		}
		run = run[:0]
	}
	for i := range t.r.Events {
		e := &t.r.Events[i]
		switch {
		case isBulk(e), isExchange(e):
			run = append(run, i)
		case e.Source == record.TCP && e.Kind == record.KindDrop, e.Kind != record.KindSnapshot && t.place(e) == nil:
			// says nothing of the exchange, or nothing at all
		case e.Time < t.r.Fault.Time && (e.Kind == record.KindRetransmit || e.Kind == record.KindTLP):
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
	case "poll", "ppoll", "select", "pselect6", "epoll_wait", "epoll_pwait", "epoll_pwait2":
		return c.Ret >= 0
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

// fold says how many segments before a time were not told one by one.
func fold(p put, at int64, segments *int) {
	if more := *segments - toldInARow; more > 0 {
		p(at, fmt.Sprintf("%12s   %-*s (%d more segments)", "", clientWidth, "", more))
	}
	*segments = 0
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
	switch host {
	case "client":
		w.client = text
	case "standby":
		w.server = "standby: " + text
	default:
		w.server = text
	}
}

func (w *row) text(at string) string {
	if w.across != "" {
		return at + "   " + w.across
	}
	return at + "   " + pad(w.client, clientWidth) + " " + pad(w.wire, wireWidth) + " " + w.server
}

func pad(s string, width int) string {
	if n := width - utf8.RuneCountInString(s); n > 0 {
		return s + strings.Repeat(" ", n)
	}
	return s
}

// place decides where an event stands, or nil if it is told elsewhere or says
// nothing to a reader.
func (t *telling) place(e *record.Event) *row {
	r, w := t.r, &row{}
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
		w.wire = arrow(e)
		return w
	case record.Fault:
		what := "fault " + e.Kind + ": "
		switch e.Kind {
		case "heal":
			what = "heal: "
		case "zero": // no fault, only the time that others count from
			what = ""
		}
		w.across = strings.Repeat("─", 8) + " " + what + clean(e.Text) + " " + strings.Repeat("─", 8)
		return w
	case record.Step:
		switch e.Kind {
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
	return "packet " + clean(text)
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
	if e.Packet == nil || e.Kind != record.KindOut || e.Packet.Len == 0 && e.Packet.Flags&(record.FlagSYN|record.FlagFIN) == 0 {
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
			if n.Time-e.Time < int64(10*time.Millisecond) {
				return "" // it was not its timer that ended it
			}
			return fmt.Sprintf(", end after %.2f s", time.Duration(n.Time-e.Time).Seconds())
		}
	}
	return ""
}

// table writes a socket table as netstat does.
func table(p put, r *record.Record, e *record.Event) {
	line := func(format string, args ...any) { p(e.Time, fmt.Sprintf(format, args...)) }
	line("%s   sockets of the %s:", stamp(r, e.Time), e.Host)
	line("%15s%7s %7s  %-21s %-21s %-12s %-7s %s", "", "Recv-Q", "Send-Q", "Local Address", "Foreign Address", "State", "PID", "Timer")
	for _, s := range e.Sockets {
		timer := s.Timer
		if timer != "" && s.Expires > 0 {
			timer += fmt.Sprintf(" in %.2f s", time.Duration(s.Expires).Seconds())
		}
		var pids []string
		for _, pid := range s.PIDs {
			pids = append(pids, strconv.Itoa(pid))
		}
		line("%15s%7d %7d  %-21s %-21s %-12s %-7s %s", "", s.RecvQueue, s.SendQueue, s.Local, s.Remote, s.State, strings.Join(pids, ","), timer)
	}
}
