package page

import (
	"fmt"
	"strings"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// lifelines are the hosts', dashed while they are down.
func (d *drawing) lifelines() {
	for i, h := range d.r.Hosts {
		if i == 2 {
			break // a standby stands beside the server
		}
		x, anchor := d.clientLine, "end"
		if sideOf(h.Name) == "server" {
			x, anchor = d.serverLine, "start"
		}
		d.text("head "+anchor, x, 18, h.Name+" "+h.Address+d.successor(h))
		y := headHeight - 8
		for _, o := range d.down {
			if o.host != h.Name {
				continue
			}
			from, to := d.axis.of(o.from), d.axis.end
			if o.to < d.r.Duration {
				to = d.axis.of(o.to)
			}
			d.line("life", x, y, x, from)
			d.open("down", h.Name+" is down")
			d.line("dead", x, from, x, to)
			d.shut()
			y = to
		}
		d.line("life", x, y, x, d.axis.end)
	}
	d.text("head mid", (d.clientLine+d.serverLine)/2, 18, "wire")
	d.text("head end", timeColumn-12, 18, "time (s)")
}

// successor says who has a host's address after it, and since when.
func (d *drawing) successor(h record.Host) string {
	for _, f := range faultsOf(d.r) {
		if f.Kind == "failover" && f.Host == h.Name && f.Back > 0 && len(d.r.Hosts) > 2 {
			return "; from " + since(d.r, f.Back) + " s on " + d.r.Hosts[2].Name
		}
	}
	return ""
}

// unseen says what was not observed, where nothing is therefore drawn.
func (d *drawing) unseen() {
	middle, y := (d.clientLine+d.serverLine)/2, headHeight+2
	if !d.r.Observed("wire") {
		d.rect("unseen", d.clientLine+1, headHeight-8, d.serverLine-d.clientLine-2, d.axis.end-headHeight+8)
		d.room("wire", y-ascent, y+4)
		d.text("mid unseen", middle, y-2, "packets were not observed")
	}
	if !d.r.Observed("ebpf") {
		d.text("end unseen", d.clientText, 30, "calls and kernel not observed")
		d.text("start unseen", d.serverText, 30, "calls and kernel not observed")
	}
}

// cross marks where something ends for good.
func (d *drawing) cross(x, y float64) {
	const n = 5
	d.path("cross", fmt.Sprintf("M%s %sL%s %sM%s %sL%s %s", num(x-n), num(y-n), num(x+n), num(y+n), num(x-n), num(y+n), num(x+n), num(y-n)))
}

// How often a strip says its state at most, and all together about.
const (
	mostWords = 40
	allWords  = 1000
)

// strip draws the time in a state, with its name where there is room for it.
func (d *drawing) strip(s *strip) {
	x := d.clientLine - laneWidth*float64(s.lane+1)
	if sideOf(s.host) == "server" {
		x = d.serverLine + laneWidth*float64(s.lane)
	}
	top, bottom := d.axis.of(s.from), d.axis.of(s.to)
	if s.to >= d.r.Duration {
		bottom = d.axis.end
	}
	bottom = max(bottom, top+2)
	who := s.local
	if s.remote != "" && s.remote != "0.0.0.0:0" {
		who += " to " + s.remote
	}
	class, kind := stateClass(s.state), ""
	if s.mini {
		class, kind = class+" mini", ", without a process"
	}
	d.open(class, strings.TrimSpace(s.host+": "+s.state+" for "+record.Span(s.to-s.from)+", "+who+kind))
	d.rect("", x+1, top, laneWidth-2, bottom-top)
	long := float64(len(s.state))*6.6 + 8
	const again = 420.0 // so that it is on every screen
	words := min(mostWords, max(2, allWords/max(1, len(d.strips))))
	for y, n := d.below(top+long, long), 0; y <= bottom && n < words; y, n = d.below(y+again, long), n+1 {
		d.upright("word", x+laneWidth/2+3.2, y-4, s.state)
	}
	d.shut()
}

// below is where an upright text may end that is not to end before y, so that
// no fault's bar covers it.
func (d *drawing) below(y, long float64) float64 {
	for i := range d.rows {
		if d.rows[i].Across == "" {
			continue
		}
		top := d.axis.at[i] - ascent - 2
		bottom := top + lineHeight*float64(len(d.across(&d.rows[i]))) + 5
		if y > top && y-long < bottom {
			y = bottom + long
		}
	}
	return y
}

func (d *drawing) timer(t *timer) {
	x := d.clientTimers - timerWidth*float64(t.lane)
	if sideOf(t.host) == "server" {
		x = d.serverTimers + timerWidth*float64(t.lane)
	}
	top, bottom := d.axis.of(t.from), d.axis.of(t.to)
	if t.beyond {
		bottom = d.axis.end
	}
	if bottom-top < 3 {
		return
	}
	d.open("timer", t.what)
	d.line("", x, top, x, bottom)
	if t.beyond {
		d.path("tip", fmt.Sprintf("M%s %sL%s %sL%s %s", num(x-3), num(bottom-5), num(x), num(bottom), num(x+3), num(bottom-5)))
	} else if t.off {
		d.path("tip", fmt.Sprintf("M%s %sl6 6m0 -6l-6 6", num(x-3), num(bottom-3)))
	} else {
		d.line("tip", x-3, bottom, x+3, bottom)
	}
	d.shut()
}

// silence marks where the axis is shorter than the time.
func (d *drawing) silence(s silence) {
	middle := (s.top + s.bottom) / 2
	x := timeColumn - 12
	d.open("silence", "nothing happened for "+record.Span(s.long)+": drawn shorter")
	d.text("end", x, middle+2, "⋮ "+record.Span(s.long))
	d.path("", fmt.Sprintf("M%s %sl4 -3l4 6l4 -6l4 6l4 -3", num(timeColumn-8), num(middle-2)))
	d.shut()
}

func (d *drawing) bracket(b *bracket) {
	x, inner := d.clientCalls-callWidth*float64(b.lane+1), callWidth-2
	if b.side == "server" {
		x, inner = d.serverCalls+callWidth*float64(b.lane+1), -(callWidth - 2)
	}
	at := d.axis.at[b.row]
	top, bottom := min(d.axis.of(b.from), at-4), at+3
	if b.open {
		top, bottom = at-4, max(d.axis.of(b.to), at+3)
		if b.to >= d.r.Duration {
			bottom = d.axis.end
		}
	}
	class := "call"
	if b.to-b.from >= breakFrom {
		class = "call blocked"
	}
	d.open(class, b.title)
	shape := fmt.Sprintf("M%s %sH%sV%s", num(x+inner), num(top), num(x), num(bottom))
	if !b.open {
		shape += "H" + num(x+inner)
	}
	d.path("", shape)
	d.shut()
}
