package page

import (
	"fmt"
	"slices"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// legend explains what is drawn, and returns where it ends.
func (d *drawing) legend(y float64) float64 {
	d.open("legend", "")
	x := timeColumn
	item := func(width float64, text string, draw func(x, y float64)) {
		long := width + 6 + float64(len([]rune(text)))*letter + 18
		if x+long > d.width {
			x, y = timeColumn, y+legendLine
		}
		draw(x, y+8)
		d.text("", x+width+6, y+12, text)
		x += long
	}
	var states []string
	for _, s := range d.strips {
		if !slices.Contains(states, s.state) {
			states = append(states, s.state)
		}
	}
	for _, state := range states {
		item(12, state, func(x, y float64) {
			d.open(stateClass(state), "")
			d.rect("", x, y-6, 12, 12)
			d.shut()
		})
	}
	if slices.ContainsFunc(d.strips, func(s strip) bool { return s.mini }) {
		item(12, "dashed: FIN_WAIT2 or TIME_WAIT without a process", func(x, y float64) {
			d.open("state mini", "")
			d.rect("", x, y-6, 12, 12)
			d.shut()
		})
	}
	span := func(class string) func(x, y float64) {
		return func(x, y float64) {
			d.open(class, "")
			d.path("", fmt.Sprintf("M%s %sH%sV%sH%s", num(x+5), num(y-6), num(x), num(y+6), num(x+5)))
			d.shut()
		}
	}
	if len(d.brackets) > 0 {
		item(6, "a system call, from its beginning to its end", span("call"))
	}
	if slices.ContainsFunc(d.brackets, func(b bracket) bool { return b.to-b.from >= breakFrom }) {
		item(6, "thick: one that lasted 0.1 s or more", span("call blocked"))
	}
	if len(d.timers) > 0 {
		item(6, "a timer, until it ran out", func(x, y float64) {
			d.open("timer", "")
			d.line("", x+3, y-8, x+3, y+6)
			d.line("tip", x, y+6, x+6, y+6)
			d.shut()
		})
	}
	if slices.ContainsFunc(d.timers, func(t timer) bool { return t.off }) {
		item(6, "or was taken back", func(x, y float64) {
			d.open("timer", "")
			d.line("", x+3, y-8, x+3, y+5)
			d.path("tip", fmt.Sprintf("M%s %sl6 6m0 -6l-6 6", num(x), num(y+2)))
			d.shut()
		})
	}
	if d.any(func(w *ladder.Arrow) bool { return w.Packet.Fate == record.FateLost }) {
		item(24, "lost on its way", func(x, y float64) {
			d.open("packet lost", "")
			d.line("", x, y, x+18, y)
			d.cross(x+18, y)
			d.shut()
		})
	}
	if d.any(func(w *ladder.Arrow) bool { return w.Packet.Flags&record.FlagRST != 0 }) {
		item(24, "a reset (RST)", func(x, y float64) {
			d.open("packet rst", "")
			d.line("", x, y, x+20, y)
			d.path("tip", fmt.Sprintf("M%s %sl-7 -3.5v7Z", num(x+20), num(y)))
			d.shut()
		})
	}
	between := func(w *ladder.Arrow) bool {
		return w.Packet.Fate == record.FateAnswered || w.Packet.Fate == "" && !w.Heard && w.Packet.Proto != "tcp"
	}
	if d.any(between) {
		item(24, "for what lies between, or answered by it", func(x, y float64) {
			d.open("packet other", "")
			d.line("", x, y, x+18, y)
			d.line("", x+18, y-6, x+18, y+6)
			d.shut()
		})
	}
	if d.any(func(w *ladder.Arrow) bool { return w.Heard }) {
		item(24, "comes from what lies between", func(x, y float64) {
			d.open("packet other", "")
			d.circle("origin", x+3, y, 3)
			d.line("", x+3, y, x+20, y)
			d.path("tip", fmt.Sprintf("M%s %sl-7 -3.5v7Z", num(x+20), num(y)))
			d.shut()
		})
	}
	if d.any(func(w *ladder.Arrow) bool { return w.Packet.Fate == "" && !w.Heard && !between(w) }) {
		item(24, "seen no further", func(x, y float64) {
			d.open("packet other", "")
			d.line("", x, y, x+18, y)
			d.shut()
		})
	}
	if len(d.down) > 0 {
		item(20, "a host that is down", func(x, y float64) {
			d.line("dead", x, y, x+16, y)
		})
	}
	if d.r.Detection.Error != "" {
		item(30, "the call that told the client", func(x, y float64) {
			d.open("row tells", "")
			d.text("", x, y+4, "bold")
			d.shut()
		})
	}
	if len(d.axis.breaks) > 0 {
		item(22, "a silence, drawn shorter than it was", func(x, y float64) {
			d.open("silence", "")
			d.path("", fmt.Sprintf("M%s %sl4 -3l4 6l4 -6l4 6l4 -3", num(x), num(y)))
			d.shut()
		})
	}
	if more := d.moreStrips; more > 0 {
		item(0, "the shortest "+ladder.Count(more, "state")+" are not drawn", func(float64, float64) {})
	}
	if more := d.moreTimers; more > 0 {
		item(0, "the shortest "+ladder.Count(more, "timer")+" are not drawn", func(float64, float64) {})
	}
	d.shut()
	return y + legendLine + 6
}

// any tells whether there is such an arrow.
func (d *drawing) any(is func(w *ladder.Arrow) bool) bool {
	for i := range d.rows {
		if w := d.rows[i].Wire; w != nil && w.Packet != nil && is(w) {
			return true
		}
	}
	return false
}
