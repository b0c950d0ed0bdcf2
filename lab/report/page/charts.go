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
			"in seconds; each dot is the kernel's word, a line before it is the timer that ran out then",
			plot(r, x, rto, "s", false),
		})
	}
	if len(cwnd) > 1 {
		charts = append(charts, chart{
			"congestion window (cwnd)",
			"in segments; each dot is the kernel's word, between them it may have been another",
			plot(r, x, cwnd, "segments", false),
		})
	}
	if len(octets) > 1 {
		says := "in octets, sent and not acknowledged; a SYN and a FIN count as one"
		if r.Spared.Segments > 0 {
			says += ". Not all segments were recorded: there may have been more"
		}
		charts = append(charts, chart{"unacknowledged", says, plot(r, x, octets, "octets", true)})
	}
	return charts
}

// The size of a chart, and of its margins.
const (
	chartWidth  = 760
	chartHeight = 136
	chartLeft   = 58
	chartRight  = 14
	chartTop    = 20
	chartBottom = 24
)

// plot draws a value: as steps, if it is known from each point to the next, or
// as dots.
func plot(r *record.Record, x axis, points []point, unit string, steps bool) template.HTML {
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
	at := func(t int64) float64 { return x.at(inSeconds(t - r.Fault.Time)) }
	thin := thinned(points, func(p point) int { return int(at(p.at) * 2) })
	if steps {
		stairs(c, r, thin, at, y)
	} else {
		dots(c, thin, at, y)
	}
	return c.drawn("chart", fmt.Sprintf("%d values, at most %s %s, in the end %s %s", len(points), spell(most), unit, spell(last), unit))
}

// stairs draws a value that holds from each point to the next, until the
// connection was closed.
func stairs(c *canvas, r *record.Record, points []point, at func(int64) float64, y axis) {
	d := "M" + num(at(points[0].at)) + " " + num(y.at(points[0].value))
	for _, p := range points[1:] {
		d += "H" + num(at(p.at)) + "V" + num(y.at(p.value))
	}
	end, closed := closedAt(r)
	if !closed {
		c.path("series", d+"H"+num(at(r.Duration)))
		return
	}
	x := at(end)
	c.path("series", d+"H"+num(x))
	c.line("closed", x, y.from-9, x, y.from)
	c.text("label end", x-4, y.from-5, "closed")
}

// dots draws values of which nothing is known in between, and before them the
// timers that ran out.
func dots(c *canvas, points []point, at func(int64) float64, y axis) {
	d := ""
	for i, p := range points {
		if i == 0 || p.ran > 0 {
			d += "M"
		} else {
			d += "L"
		}
		d += num(at(p.at)) + " " + num(y.at(p.value))
	}
	c.path("series unsure", d)
	for _, p := range points {
		if p.ran > 0 {
			c.line("series", max(chartLeft, at(p.at-p.ran)), y.at(p.value), at(p.at), y.at(p.value))
		}
		c.circle("series", at(p.at), y.at(p.value), 2.6)
	}
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
