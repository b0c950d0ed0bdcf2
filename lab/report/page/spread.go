package page

import (
	"fmt"
	"html/template"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// A spreadView is what the runs of several seeds have come to.
type spreadView struct {
	ID, Title string
	Facts     []fact
	Says      string // of the drawing
	Drawing   template.HTML
}

func spreadsOf(entries []Entry) []spreadView {
	var records []*record.Record
	for _, e := range entries {
		records = append(records, e.Record)
	}
	var views []spreadView
	for i, s := range report.Spreads(records) {
		v := spreadView{
			ID: fmt.Sprintf("spread-%d", i+1), Title: bounded(s.Scenario, maxText) + ": " + ladder.Count(s.Runs, "seed"),
			Facts: []fact{{"kernel", bounded(s.Kernel, maxText)}, {"outcome", bounded(report.ShareText(s.Outcomes), maxText)}, {"told", bounded(report.ShareText(s.Answers), maxText)}},
		}
		if s.Ports > 0 {
			v.Facts = append(v.Facts, fact{"ports", ladder.Count(s.Ports, "different one") + " of the client's"})
		}
		if d := s.Sends; d.N > 0 {
			v.Facts = append(v.Facts, fact{"sent again", fmt.Sprintf("%d to %d times, %d in the median", d.Min, d.Max, d.Median)})
		}
		if d := s.Times; d.N > 0 {
			v.Facts = append(v.Facts, fact{"time", fmt.Sprintf("%.3f to %.3f s after %s, %.3f s in the median", inSeconds(d.Min), inSeconds(d.Max), s.From, inSeconds(d.Median))})
			v.Says = "How many of the runs took how long, in seconds after " + s.From + "; the line is the median"
			v.Drawing = histogram(d)
		}
		views = append(views, v)
	}
	return views
}

// histogram draws a bar a bin.
func histogram(d report.Distribution) template.HTML {
	c := &canvas{width: chartWidth, height: chartHeight}
	x := axis{low: inSeconds(d.Min), high: inSeconds(d.Max), from: chartLeft, to: chartWidth - chartRight}
	y := axis{from: chartHeight - chartBottom, to: chartTop}
	for _, b := range d.Bins {
		y.high = max(y.high, float64(b.N))
	}
	for _, t := range y.ticks(3) {
		c.line("grid", chartLeft, y.at(t), chartWidth-chartRight, y.at(t))
		c.text("label end", chartLeft-6, y.at(t)+4, spell(t))
	}
	for _, t := range x.ticks(8) {
		c.tick(x.at(t), chartHeight-8, spell(t)+" s")
	}
	width := (x.to - x.from) / float64(len(d.Bins))
	for i, b := range d.Bins {
		c.rect("bar", x.from+width*float64(i)+1, y.at(float64(b.N)), width-2, y.from-y.at(float64(b.N)))
	}
	if d.Min == d.Max {
		c.tick((x.from+x.to)/2, chartHeight-8, fmt.Sprintf("%.6f s", inSeconds(d.Min)))
	} else {
		c.line("median", x.at(inSeconds(d.Median)), chartTop-6, x.at(inSeconds(d.Median)), y.from)
	}
	return c.drawn("chart", fmt.Sprintf("%d runs, from %.6f to %.6f s, %.6f s in the median", d.N, inSeconds(d.Min), inSeconds(d.Max), inSeconds(d.Median)))
}
