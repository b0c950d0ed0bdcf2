package page

import (
	"fmt"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// row draws what a row of the timeline says.
func (d *drawing) row(i int) {
	w, y := &d.rows[i], d.axis.at[i]
	link := d.linked && len(w.Events) > 0
	if link {
		fmt.Fprintf(&d.b, `<a href="#e%d">`, w.Events[0])
	}
	said := false // its words have room, or some of them
	switch {
	case w.Across != "":
		said = d.fault(i)
	case w.Left != nil:
		d.open("left", "")
		d.line("", d.clientLine+6, y-4, d.serverLine-6, y-4)
		d.lines("wire", "mid", (d.clientLine+d.serverLine)/2, y, left(w))
		d.shut()
	default:
		class := "row"
		if d.tells(w) {
			class = "row tells"
		}
		if len(w.Events) > 0 {
			if e := &d.r.Events[w.Events[0]]; e.Source == record.Step || e.Source == record.Output {
				class += " said"
			}
		}
		d.open(class, "")
		said = d.label(i)
		said = d.lines("client", "end", d.clientText, y, d.client[i]) || said
		said = d.lines("server", "start", d.serverText, y, d.server[i]) || said
		d.shut()
	}
	if said && (w.Across != "" || d.room("time", y-ascent, y+4)) {
		d.text("time end", timeColumn-12, y, fmt.Sprintf("%.6f", time.Duration(w.Time-d.r.Fault.Time).Seconds()))
	}
	if link {
		d.b.WriteString(`</a>`)
	}
}

// lines writes texts, if there are any and they have room.
func (d *drawing) lines(column, anchor string, x, y float64, lines []string) bool {
	bottom := y + lineHeight*float64(len(lines)-1) + 4
	if len(lines) == 0 || !d.room(column, y-ascent, bottom) {
		return false
	}
	d.low = max(d.low, bottom)
	for n, line := range lines {
		d.text(anchor, x, y+float64(n)*lineHeight, line)
	}
	return true
}

// reserve takes the room of a fault's bar, if it is free.
func (d *drawing) reserve(i int) {
	top := d.axis.at[i] - ascent - 2
	bottom := top + lineHeight*float64(len(d.across(&d.rows[i]))) + 5
	if d.bars[i] = d.room("bars", top, bottom); !d.bars[i] {
		return
	}
	for _, column := range []string{"time", "client", "wire", "server"} {
		d.room(column, top, bottom)
	}
}

// fault draws a bar across, if it does not lie within another one's.
func (d *drawing) fault(i int) bool {
	if !d.bars[i] {
		return false
	}
	w, y := &d.rows[i], d.axis.at[i]
	lines := d.across(w)
	class := "fault"
	if len(w.Events) > 0 {
		switch d.r.Events[w.Events[0]].Kind {
		case "zero", "heal", "boot":
			class = "fault quiet"
		}
	}
	d.open(class, "")
	left, height := timeColumn-4, lineHeight*float64(len(lines))+5
	d.rect("", left, y-ascent-2, d.width-left, height)
	for n, line := range lines {
		d.text("mid", (left+d.width)/2, y+1+float64(n)*lineHeight, line)
	}
	d.shut()
	return true
}
