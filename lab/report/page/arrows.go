package page

import (
	"fmt"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// arrow draws a packet from where and when it left to where and when it
// arrived, or to a cross where it was lost.
func (d *drawing) arrow(i int) {
	w, y := d.rows[i].Wire, d.axis.at[i]
	if w == nil {
		return
	}
	middle := (d.clientLine + d.serverLine) / 2
	if w.Packet == nil {
		d.label("mid lost", middle, y, w)
		return
	}
	from, to := d.clientLine+2, d.serverLine-2
	if !w.Right {
		from, to = to, from
	}
	p := w.Packet
	class := "packet"
	end := y + 5
	if p.Transit > 0 {
		end = max(end, d.axis.of(d.rows[i].Time+p.Transit))
	}
	if d.axis.scale && p.Transit > 0 {
		end = d.axis.of(d.rows[i].Time + p.Transit)
	}
	in := len(d.rows[i].Events) > 0 && d.r.Events[d.rows[i].Events[0]].Kind == record.KindIn
	switch {
	case in: // from what lies between
		from = middle + (from-middle)*0.55
	case p.Fate == record.FateLost:
		to, class = middle+(to-middle)*0.5, "packet lost"
	case p.Fate == record.FateAnswered:
		to = middle
	}
	if p.Flags&record.FlagRST != 0 {
		class += " rst"
	}
	if p.Proto != "tcp" {
		class += " other"
	}
	d.open(class, arrowTitle(w))
	d.line("", from, y, to, end)
	switch {
	case p.Fate == record.FateLost:
		d.cross(to, end)
	case p.Fate == record.FateAnswered:
		d.line("", to, end-6, to, end+6)
	default:
		back := 7.0
		if to > from {
			back = -back
		}
		slope := (end - y) / (to - from) * back
		d.path("tip", fmt.Sprintf("M%s %sL%s %sL%s %sZ", num(to), num(end), num(to+back), num(end+slope-3.5), num(to+back), num(end+slope+3.5)))
	}
	if in {
		d.circle("origin", from, y, 3)
	}
	d.shut()
	switch {
	case end-y <= 2*lineHeight:
		d.label("mid", middle, y, w)
	case w.Right: // a long way: beside its sender
		d.label("start", d.clientLine+12, y, w)
	default:
		d.label("end", d.serverLine-12, y, w)
	}
}

func (d *drawing) label(class string, x, y float64, w *ladder.Arrow) {
	if d.room("wire", y-ascent-3, y+2) {
		d.text(class, x, y-2, arrowText(w))
	}
}

// arrowText is a packet's flags, its place in the streams, and its length.
func arrowText(w *ladder.Arrow) string {
	p := w.Packet
	if p == nil || p.Proto != "tcp" {
		return w.Text
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
	return text
}

func arrowTitle(w *ladder.Arrow) string {
	p := w.Packet
	title := p.Src + " to " + p.Dst + ": " + w.Text
	switch {
	case p.Fate == record.FateLost:
		title += ", lost"
	case p.Transit > 0:
		title += ", arrived after " + record.Span(p.Transit)
	}
	return title
}
