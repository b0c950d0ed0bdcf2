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
	if len(d.brackets) > 0 {
		item(6, "a system call, from its beginning to its end", func(x, y float64) {
			d.open("call", "")
			d.path("", fmt.Sprintf("M%s %sH%sV%sH%s", num(x+5), num(y-6), num(x), num(y+6), num(x+5)))
			d.shut()
		})
	}
	if len(d.timers) > 0 {
		item(6, "a timer, until it was due", func(x, y float64) {
			d.open("timer", "")
			d.line("", x+3, y-8, x+3, y+6)
			d.line("tip", x, y+6, x+6, y+6)
			d.shut()
		})
	}
	if slices.ContainsFunc(d.rows, func(w ladder.Row) bool {
		return w.Wire != nil && w.Wire.Packet != nil && w.Wire.Packet.Fate == record.FateLost
	}) {
		item(24, "lost on its way", func(x, y float64) {
			d.open("packet lost", "")
			d.line("", x, y, x+18, y)
			d.cross(x+18, y)
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
	d.shut()
	return y + legendLine + 6
}
