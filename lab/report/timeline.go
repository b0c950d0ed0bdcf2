package report

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// The columns of the timeline: when, the client's doings, the wire, the
// server's, which may be without an end.
type columns struct {
	screen               Screen
	anew                 bool // what comes before the fault counts from the run's beginning
	gap                  int  // between the time and the client's
	client, wire, server int
}

// timeWidth is that of the times, which are seconds with their microseconds.
const timeWidth = 12

// columnsOf fits the columns to a screen: that of the wire grows least.
func columnsOf(s Screen) columns {
	if s.Width == 0 {
		return columns{screen: s, gap: 3, client: 36, wire: 30}
	}
	c := columns{screen: s, gap: 1}
	if s.Width >= 100 {
		c.gap = 3
	}
	room := max(s.Width, minWidth) - timeWidth - c.gap - 2 // the spaces between
	c.wire = min(max(room/4+2, 15), 34)
	c.client = min((room-c.wire)/2, 60)
	c.server = room - c.wire - c.client
	return c
}

// Timeline writes rows of a record's timeline, under their heading.
func Timeline(w io.Writer, r *record.Record, rows []ladder.Row, s Screen) error {
	p := &printer{w: w, screen: s}
	c := columnsOf(s)
	p.line("%s", c.heading())
	for i := range rows {
		for _, line := range c.row(r, &rows[i]) {
			p.put(line)
		}
	}
	return p.err
}

func (c columns) heading() string {
	return fmt.Sprintf("%*s%*s%-*s %-*s %s", timeWidth, "time (s)", c.gap, "", c.client, "client", c.wire, "wire", "server")
}

// latestZero is what the times of what goes on count from: the run's beginning,
// and then the fault; of those that come by hand each.
func latestZero(r *record.Record, at int64) (zero int64) {
	faults := []record.FaultInfo{r.Fault}
	if r.ByHand {
		faults = append(faults, r.Later...)
	}
	for _, f := range faults {
		if f.Kind != "" && f.Time <= at {
			zero = max(zero, f.Time)
		}
	}
	return zero
}

// row gives the lines of a row, harmless and painted.
func (c columns) row(r *record.Record, w *ladder.Row) []string {
	zero := r.Fault.Time
	if c.anew {
		zero = latestZero(r, w.Time)
	}
	at := fmt.Sprintf("%*.6f", timeWidth, time.Duration(w.Time-zero).Seconds())
	none := strings.Repeat(" ", timeWidth)
	switch {
	case w.Across != "":
		bar := strings.Repeat("─", 8)
		if room := c.room(); room > 0 && utf8.RuneCountInString(w.Across)+2*9 > room {
			bar = "──"
		}
		return c.beside(at, bar+" "+w.Across+" "+bar, bold)
	case w.Left != nil && w.Left.Streaming:
		return c.cells(none, []string{""}, Wrap("("+w.Left.String()+")", c.bounded(c.wire)), []string{""}, "")
	case w.Left != nil:
		return c.beside(none, "("+w.Left.String()+")", "")
	case w.Table:
		return c.table(at, w)
	}
	var wire []string
	var lost colour
	if w.Wire != nil {
		wire = c.arrow(w.Wire)
		if p := w.Wire.Packet; p == nil || p.Fate == record.FateLost {
			lost = red
		}
	}
	return c.cells(at, Wrap(w.Client, c.bounded(c.client)), wire, Wrap(w.Server, c.server), lost)
}

// bounded is a width where the screen has one: else no cell is broken.
func (c columns) bounded(width int) int {
	if c.screen.Width == 0 {
		return 0
	}
	return width
}

// cells puts the lines of the three cells beside each other.
func (c columns) cells(at string, client, wire, server []string, colour colour) []string {
	part := func(lines []string, i int) string {
		if i < len(lines) {
			return Clean(lines[i])
		}
		return ""
	}
	var lines []string
	for i := range max(len(client), len(wire), len(server), 1) {
		middle := part(wire, i)
		rest := strings.Repeat(" ", max(0, c.wire-utf8.RuneCountInString(middle)))
		lines = append(lines, at+strings.Repeat(" ", c.gap)+pad(part(client, i), c.client)+" "+
			c.screen.paint(colour, middle)+rest+" "+part(server, i))
		at = strings.Repeat(" ", timeWidth)
	}
	return lines
}

// beside puts a text beside the time, across all other columns.
func (c columns) beside(at, text string, colour colour) []string {
	lines := Wrap(Clean(text), c.room())
	for i, line := range lines {
		lines[i] = at + strings.Repeat(" ", c.gap) + c.screen.paint(colour, line)
		at = strings.Repeat(" ", timeWidth)
	}
	return lines
}

// room is the width of all columns beside the time, 0 if they have no end.
func (c columns) room() int {
	if c.screen.Width == 0 {
		return 0
	}
	return c.client + c.wire + c.server + 2
}

// arrow draws a packet on its way. What has no room beside the arrow stands
// above it.
func (c columns) arrow(a *ladder.Arrow) []string {
	if a.Packet == nil {
		return Wrap(a.Label(), c.bounded(c.wire))
	}
	lines := Wrap(a.Label(), c.bounded(c.wire-6))
	last := lines[len(lines)-1]
	line := strings.Repeat("─", max(c.wire-utf8.RuneCountInString(last)-6, 1))
	lost, answered := a.Packet.Fate == record.FateLost, a.Packet.Fate == record.FateAnswered
	head := "◀"
	if a.Right {
		head = "▶"
	}
	if a.Packet.Fate == "" && !a.Heard { // it was seen no further
		head = "?"
		answered = answered || a.Packet.Proto != "tcp" // for what lies between
	}
	switch {
	case answered && a.Right:
		last = "── " + last + " " + line + "┤"
	case answered:
		last = "├" + line + " " + last + " ──"
	case a.Right && lost:
		last = "── " + last + " " + line + "✕"
	case a.Right:
		last = "── " + last + " " + line + head
	case lost:
		last = "✕" + line + " " + last + " ──"
	default:
		last = head + line + " " + last + " ──"
	}
	lines[len(lines)-1] = last
	return lines
}

// tableWidth is what a socket table takes with the timers at its lines' ends.
const tableWidth = 110

// table writes a socket table as netstat does. On a narrow screen the timers
// stand below their sockets.
func (c columns) table(at string, w *ladder.Row) []string {
	narrow := c.screen.Width > 0 && c.screen.Width < tableWidth
	format := strings.Repeat(" ", 15) + "%7v %7v  %-21s %-21s %-12s %-7s %s"
	if narrow {
		format = "  %6v %6v %-20s %-20s %-11s %s%s"
	}
	row := func(values ...any) string { return fmt.Sprintf(format, values...) }
	timer := "Timer"
	if narrow {
		timer = ""
	}
	lines := []string{
		at + strings.Repeat(" ", c.gap) + "sockets of the " + Clean(w.Host) + ":",
		row("Recv-Q", "Send-Q", "Local Address", "Foreign Address", "State", "PID", timer),
	}
	for _, s := range w.Sockets {
		timer, below := s.Due(), ""
		if narrow {
			timer, below = "", timer
		}
		lines = append(lines, Clean(row(s.RecvQueue, s.SendQueue, s.Local, s.Remote, s.State, s.Holders(","), timer)))
		if below != "" {
			lines = append(lines, strings.Repeat(" ", 16)+"timer: "+Clean(below))
		}
	}
	return lines
}
