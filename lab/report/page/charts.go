package page

import (
	"fmt"
	"html/template"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// A chart is a value of the client's connection over the time of the run.
type chart struct {
	Name, Says string
	Drawing    template.HTML
}

// chartsOf draws what is known of the client's connection; what nothing is
// known of is left out. All have the same axis of time.
func chartsOf(r *record.Record) []chart {
	if r.Fault.Kind == "" {
		return nil
	}
	rto, cwnd, octets := timeouts(r), windows(r), unacknowledged(r)
	begin := r.Fault.Time
	for _, points := range [][]point{rto, cwnd, octets} {
		if len(points) > 0 {
			begin = min(begin, points[0].at)
		}
	}
	x := axis{low: inSeconds(begin - r.Fault.Time), high: inSeconds(r.Duration - r.Fault.Time), from: chartLeft, to: chartWidth - chartRight}
	var charts []chart
	if len(rto) > 1 {
		charts = append(charts, chart{
			"retransmission timeout (RTO)",
			"in seconds; each dot is the kernel's word, the line before it says that it was in force until then",
			plot(r, x, rto, "s", before),
		})
	}
	if len(cwnd) > 1 {
		charts = append(charts, chart{
			"congestion window (cwnd)",
			"in segments; each dot is the kernel's word, between them it may have been another",
			plot(r, x, cwnd, "segments", unsure),
		})
	}
	if len(octets) > 1 {
		says := "in octets, sent and not acknowledged; a SYN and a FIN count as one"
		if r.Spared.Segments > 0 {
			says += ". Not all segments were recorded: there may have been more"
		}
		charts = append(charts, chart{"unacknowledged", says, plot(r, x, octets, "octets", after)})
	}
	return charts
}

// For when a point's value holds: from it on, until it, or only then.
const (
	after = iota
	before
	unsure
)

// The size of a chart, and of its margins.
const (
	chartWidth  = 760
	chartHeight = 136
	chartLeft   = 58
	chartRight  = 14
	chartTop    = 20
	chartBottom = 24
)

// plot draws a value as steps.
func plot(r *record.Record, x axis, points []point, unit string, holds int) template.HTML {
	c := &canvas{width: chartWidth, height: chartHeight}
	y := axis{from: chartHeight - chartBottom, to: chartTop}
	most, last := 0.0, points[len(points)-1].value
	for _, p := range points {
		most = max(most, p.value)
	}
	y.high = max(most*1.08, 1e-9)
	for _, t := range x.ticks(8) {
		c.line("grid", x.at(t), chartTop, x.at(t), chartHeight-chartBottom)
		c.tick(x.at(t), chartHeight-8, spell(t)+" s")
	}
	for _, t := range y.ticks(3) {
		c.line("grid", chartLeft, y.at(t), chartWidth-chartRight, y.at(t))
		c.text("label end", chartLeft-6, y.at(t)+4, spell(t))
	}
	if x.low <= 0 && x.high >= 0 && r.Fault.Kind != "zero" {
		c.line("fault", x.at(0), chartTop, x.at(0), chartHeight-chartBottom)
		c.text("label fault", x.at(0)-3, chartTop-6, "fault")
	}
	thin := thinned(points, func(p point) int { return int(x.at(inSeconds(p.at-r.Fault.Time)) * 2) })
	d := ""
	for i, p := range thin {
		px, py := x.at(inSeconds(p.at-r.Fault.Time)), y.at(p.value)
		switch {
		case i == 0:
			d = "M" + num(px) + " " + num(py)
		case holds == unsure:
			d += "L" + num(px) + " " + num(py)
		case holds == before:
			d += "V" + num(py) + "H" + num(px)
		default:
			d += "H" + num(px) + "V" + num(py)
		}
	}
	if end, closed := closedAt(r); holds == after && closed {
		px := x.at(inSeconds(end - r.Fault.Time))
		d += "H" + num(px)
		c.line("closed", px, chartHeight-chartBottom-9, px, chartHeight-chartBottom)
		c.text("label end", px-4, chartHeight-chartBottom-5, "closed")
	} else if holds == after {
		d += "H" + num(x.to)
	}
	if holds == unsure {
		c.path("series unsure", d)
	} else {
		c.path("series", d)
	}
	if holds != after {
		for _, p := range thin {
			c.circle("series", x.at(inSeconds(p.at-r.Fault.Time)), y.at(p.value), 2.6)
		}
	}
	return c.drawn("chart", fmt.Sprintf("%d values, at most %s %s, in the end %s %s", len(points), spell(most), unit, spell(last), unit))
}

// thinned keeps of the points in a column the first, the last, the least and
// the greatest: no more can be seen.
func thinned(points []point, column func(point) int) []point {
	var kept []point
	for i := 0; i < len(points); {
		j, low, high := i, i, i
		for ; j < len(points) && column(points[j]) == column(points[i]); j++ {
			if points[j].value < points[low].value {
				low = j
			}
			if points[j].value > points[high].value {
				high = j
			}
		}
		last := -1
		for _, k := range []int{i, min(low, high), max(low, high), j - 1} {
			if k > last {
				kept = append(kept, points[k])
				last = k
			}
		}
		i = j
	}
	return kept
}
