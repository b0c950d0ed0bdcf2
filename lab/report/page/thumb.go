package page

import (
	"fmt"
	"html/template"
	"math"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// A thumb's measures, in CSS pixels: all are of one size, to be compared.
const (
	thumbWidth  = 200
	thumbHeight = 132
	thumbEdge   = 10 // above the first row and below the last
	thumbClient = 34 // where the lifelines are
	thumbServer = thumbWidth - thumbClient
	thumbMiddle = thumbWidth / 2
	thumbSlope  = 3 // what an arrow falls on its way, at most
)

// mostArrows is how many a thumb can show apart from each other. Of more the
// middle is left out.
const mostArrows = 40

// oneFault is how far apart what belongs to a fault must be to be shown, in
// nanoseconds.
const oneFault = 50e6

// A stroke is a row of the ladder in a thumb.
type stroke struct {
	at    int64
	arrow *ladder.Arrow
	fault bool
	part  bool // what belongs to a fault, or takes it back
	told  bool
	left  bool // something is left out here
}

// thumb draws a ladder as small as it can be looked at beside many others: the
// order of the segments, which of them were lost, where the fault was, where
// the client was told. Pauses are the longer the longer they were, but by far
// not as much.
func thumb(r *record.Record, rows []ladder.Row) template.HTML {
	strokes := strokesOf(r, rows)
	y := heights(strokes)
	c := &canvas{width: thumbWidth, height: thumbHeight}
	lifeline(c, r, strokes, y, "client", thumbClient)
	lifeline(c, r, strokes, y, "server", thumbServer)
	sent, lost := 0, 0
	for i, s := range strokes {
		switch {
		case s.fault:
			c.line("thumb-fault", thumbClient-14, y[i], thumbServer+14, y[i])
		case s.part:
			c.line("thumb-fault part", thumbClient-14, y[i], thumbServer+14, y[i])
		case s.told:
			c.circle("thumb-told", thumbClient, y[i], 4.5)
		case s.left:
			for n := range 3 {
				c.circle("thumb-left", thumbMiddle, y[i]+float64(n-1)*3, 0.9)
			}
		default:
			sent++
			if s.arrow.Packet.Fate == record.FateLost {
				lost++
			}
			shoot(c, s.arrow, y[i])
		}
	}
	label := fmt.Sprintf("%s: %s, %d of them lost; gone: %s; the client: %s", r.Scenario, ladder.Count(sent, "segment"), lost, report.Gone(r), report.Saw(r))
	return c.drawn("thumb", bounded(label, maxText))
}

// strokesOf are those rows of the ladder that a thumb shows, in their order.
func strokesOf(r *record.Record, rows []ladder.Row) []stroke {
	var all []stroke
	arrows, told := 0, r.Detection.Error == ""
	begun := map[int64]bool{}
	for _, f := range faultsOf(r) {
		begun[f.Time] = true
	}
	for _, w := range rows {
		if !told && w.Time > r.Detection.Time {
			all = append(all, stroke{at: r.Detection.Time, told: true})
			told = true
		}
		switch {
		case w.Across != "" && r.Fault.Kind != "zero":
			begins := begun[w.Time]
			if n := len(all); begins || n == 0 || !all[n-1].fault && !all[n-1].part || w.Time-all[n-1].at > oneFault {
				all = append(all, stroke{at: w.Time, fault: begins, part: !begins})
			}
		case w.Left != nil:
			all = append(all, stroke{at: w.Time, left: true})
		case w.Wire != nil && w.Wire.Packet != nil:
			arrows++
			all = append(all, stroke{at: w.Time, arrow: w.Wire})
		}
	}
	if !told {
		all = append(all, stroke{at: r.Detection.Time, told: true})
	}
	return thinOut(all, arrows-mostArrows)
}

// thinOut leaves some arrows in the middle out, and says where.
func thinOut(all []stroke, tooMany int) []stroke {
	if tooMany <= 0 {
		return all
	}
	var out []stroke
	arrows := 0
	for _, s := range all {
		if s.arrow == nil {
			out = append(out, s)
			continue
		}
		arrows++
		switch first := mostArrows / 2; {
		case arrows <= first || arrows > first+tooMany:
			out = append(out, s)
		case arrows == first+1:
			out = append(out, stroke{at: s.at, left: true})
		}
	}
	return out
}

// heights are where the strokes are drawn, from above: each a step below the
// one before, and for a pause up to three more.
func heights(strokes []stroke) []float64 {
	steps := make([]float64, len(strokes))
	sum := 0.0
	for i := 1; i < len(strokes); i++ {
		pause := float64(strokes[i].at-strokes[i-1].at) / 1e6 // milliseconds
		sum += 1 + min(3, max(0, math.Log10(pause/10)))
		steps[i] = sum
	}
	const room = thumbHeight - 2*thumbEdge - thumbSlope
	unit := 12.0 // what a step is where there is room enough
	if sum > 0 {
		unit = min(unit, room/sum)
	}
	for i := range steps {
		steps[i] = thumbEdge + steps[i]*unit
	}
	return steps
}

// shoot draws a segment on its way: to the other side, to a cross where it was
// lost, or to what answered it in the middle.
func shoot(c *canvas, a *ladder.Arrow, y float64) {
	from, to := float64(thumbClient), float64(thumbServer)
	if !a.Right {
		from, to = to, from
	}
	way := math.Copysign(1, to-from)
	end, class := to-way*2, "thumb-arrow"
	fall := float64(thumbSlope)
	switch {
	case a.Packet.Flags&record.FlagRST != 0:
		class = "thumb-arrow rst"
	case a.Packet.Proto != "tcp" && !a.Packet.ICMPError():
		class = "thumb-arrow other"
	}
	if a.Heard { // from what lies between
		from = thumbMiddle
	}
	switch a.Packet.Fate {
	case record.FateLost:
		end, fall = from+way*0.7*math.Abs(to-from), fall*0.7
		c.line(class+" lost", from, y, end, y+fall)
		const arm = 2.6
		c.path("thumb-cross", fmt.Sprintf("M%s %sl%s %sm0 %sl%s %s", num(end-arm), num(y+fall-arm), num(2*arm), num(2*arm), num(-2*arm), num(-2*arm), num(2*arm)))
		return
	case record.FateAnswered:
		end, fall = thumbMiddle, fall/2
		c.line("thumb-stop", end, y+fall-3, end, y+fall+3)
	case "":
		if !a.Heard { // it was seen no further
			c.line(class, from, y, thumbMiddle, y+fall/2)
			return
		}
	}
	c.line(class, from, y, end, y+fall)
	c.path(class, fmt.Sprintf("M%s %sl%s -2.4m%s 2.4l%s 2.4", num(end), num(y+fall), num(-way*4), num(way*4), num(-way*4)))
}

// lifeline is a host's. It is broken off while the host is gone.
func lifeline(c *canvas, r *record.Record, strokes []stroke, y []float64, host string, x float64) {
	const top, bottom = 4.0, thumbHeight - 4.0
	at := func(t int64) float64 {
		for i, s := range strokes {
			if s.at >= t {
				return y[i]
			}
		}
		return bottom
	}
	from := top
	for _, f := range faultsOf(r) {
		if f.Host != host || placeOf(f) != atMachine {
			continue
		}
		c.line("thumb-life "+host, x, from, x, at(f.Time))
		if f.Back == 0 {
			c.line("thumb-life gone", x, at(f.Time), x, bottom)
			return
		}
		from = at(f.Back)
		c.line("thumb-life gone", x, at(f.Time), x, from)
	}
	c.line("thumb-life "+host, x, from, x, bottom)
}
