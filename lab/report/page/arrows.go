package page

import (
	"fmt"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// arrow draws a packet from where and when it left to where and when it
// arrived, to a cross where it was lost, or to the middle if nothing beyond is
// known of it: it was for what lies between, or the other end was not observed.
func (d *drawing) arrow(i int) {
	w, y := d.rows[i].Wire, d.axis.at[i]
	if w == nil || w.Packet == nil {
		return
	}
	middle := (d.clientLine + d.serverLine) / 2
	from, to := d.clientLine+2, d.serverLine-2
	if !w.Right {
		from, to = to, from
	}
	p, end, in := w.Packet, d.arrives(i), w.Heard
	class := "packet"
	switch {
	case in: // from what lies between
		from = middle + (from-middle)*0.55
	case p.Fate == record.FateLost:
		to, class = middle+(to-middle)*0.5, "packet lost"
	case p.Fate != record.FateArrived:
		to = middle
	}
	if p.Flags&record.FlagRST != 0 {
		class += " rst"
	}
	if p.Proto != "tcp" {
		class += " other"
	}
	d.open(class, arrowTitle(w, in))
	d.line("", from, y, to, end)
	switch {
	case in || p.Fate == record.FateArrived:
		back := 7.0
		if to > from {
			back = -back
		}
		slope := (end - y) / (to - from) * back
		d.path("tip", fmt.Sprintf("M%s %sL%s %sL%s %sZ", num(to), num(end), num(to+back), num(end+slope-3.5), num(to+back), num(end+slope+3.5)))
	case p.Fate == record.FateLost:
		d.cross(to, end)
	case p.Fate == record.FateAnswered, p.Proto != "tcp": // for what lies between
		d.line("", to, end-6, to, end+6)
	}
	if in {
		d.circle("origin", from, y, 3)
	}
	d.shut()
}

// arrives is where an arrow ends, downwards.
func (d *drawing) arrives(i int) float64 {
	y, p := d.axis.at[i], d.rows[i].Wire.Packet
	switch {
	case p == nil || p.Transit <= 0:
		return y + 5
	case d.axis.scale:
		return d.axis.of(d.rows[i].Time + p.Transit)
	}
	return max(y+5, d.axis.of(d.rows[i].Time+p.Transit))
}

// label writes what a packet is at its arrow, or, of a long way, beside its
// sender; if there is any, and room for it.
func (d *drawing) label(i int) bool {
	w, y := d.rows[i].Wire, d.axis.at[i]
	if w == nil || !d.room("wire", y-ascent-3, y+2) {
		return false
	}
	class, x := "mid", (d.clientLine+d.serverLine)/2
	switch {
	case w.Packet == nil:
		class = "mid lost"
	case d.arrives(i)-y <= 2*lineHeight:
	case w.Right:
		class, x = "start", d.clientLine+12
	default:
		class, x = "end", d.serverLine-12
	}
	d.text(class, x, y-2, arrowText(w))
	return true
}

// arrowText is a packet's flags, its place in the streams, and its length.
func arrowText(w *ladder.Arrow) string {
	p := w.Packet
	if p == nil || p.Proto != "tcp" {
		return w.Label()
	}
	text := p.FlagNames()
	if p.Probe {
		text = "probe"
	}
	text += fmt.Sprintf(" seq %d", w.Seq)
	if p.Flags&record.FlagACK != 0 {
		text += fmt.Sprintf(" ack %d", w.Ack)
	}
	if p.Len > 0 {
		text += fmt.Sprintf(" len %d", p.Len)
	}
	if p.Window == 0 && p.Flags&(record.FlagRST|record.FlagSYN) == 0 {
		text += " win 0"
	}
	if w.Port != 0 {
		text = fmt.Sprintf(":%d %s", w.Port, text)
	}
	return text
}

func arrowTitle(w *ladder.Arrow, in bool) string {
	p := w.Packet
	title := p.Src + " to " + p.Dst + ": " + w.Text
	switch {
	case p.Fate == record.FateLost:
		title += ", lost"
	case p.Transit > 0:
		title += ", arrived after " + record.Span(p.Transit)
	case in:
		title += ", from what lies between"
	case p.Fate == record.FateAnswered:
		title += ", answered by what lies between"
	case p.Fate == "":
		title += ", not seen to arrive at a host"
	}
	return title
}
