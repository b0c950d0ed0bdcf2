package report

import (
	"strings"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// differences writes what was expected and was not so, or is not known, beside
// what was seen.
func differences(p *printer, r *record.Record) {
	pair := func(expected, actual string) {
		p.line("")
		p.line("expected  %s", clip(expected))
		p.line("actual    %s", clip(actual))
	}
	for _, x := range r.Expectations {
		if x.OK || x.Optional {
			continue
		}
		what := x.What + ", at " + x.Place
		if x.Within > 0 {
			what += ", within " + record.Span(x.Within)
		}
		actual := x.Actual
		if x.Unknown {
			actual = "not known: " + actual
		}
		pair(what, actual)
	}
	for _, c := range r.Signature.Checks {
		switch {
		case c.Unknown:
			pair("signature: "+c.Name, "not known: "+c.Seen)
		case !c.OK:
			pair("signature: "+c.Name, c.Seen)
		}
	}
	if held := r.Prediction.Held; held != nil && !*held {
		pair("prediction: "+Predicted(&r.Prediction), Answer(r))
	}
}

// decisive are the times at which an outcome that is not as expected was
// decided: of the events that expectations name, or of the run's end where
// they waited for nothing, and of what told the client where the prediction
// did not hold. The fault's, if nothing else is known.
func decisive(r *record.Record) []int64 {
	var times []int64
	for _, x := range r.Expectations {
		switch {
		case x.OK || x.Optional:
		case x.Time != 0:
			times = append(times, x.Time)
		default:
			times = append(times, r.Duration)
		}
	}
	if held := r.Prediction.Held; held != nil && !*held && r.Detection.Time != 0 {
		times = append(times, r.Detection.Time)
	}
	if len(times) == 0 {
		times = append(times, r.Fault.Time)
	}
	return times[:min(len(times), maxDecisive)]
}

// maxDecisive is how many times are shown at most.
const maxDecisive = 8

// neighbours is how many lines of the timeline are shown on each side of one
// that decides.
const neighbours = 5

// excerpt writes the lines of the timeline around some times.
func excerpt(p *printer, r *record.Record, times []int64) {
	type line struct {
		at   int64
		text string
	}
	var lines []line
	c := columnsOf(p.screen)
	rows := ladder.Rows(r)
	for i := range rows {
		for _, text := range c.row(r, &rows[i]) {
			lines = append(lines, line{rows[i].Time, text})
		}
	}
	if len(lines) == 0 {
		return
	}
	shown := make([]bool, len(lines))
	for _, at := range times {
		nearest := 0
		for i, l := range lines {
			if l.at <= at {
				nearest = i
			}
		}
		for i := max(0, nearest-neighbours); i < min(len(lines), nearest+neighbours+1); i++ {
			shown[i] = true
		}
	}
	p.line("")
	p.line("%s", c.heading())
	gap := false
	for i, l := range lines {
		if shown[i] {
			p.line("%s", clip(l.text))
		} else if !gap {
			p.line("         ...")
		}
		gap = !shown[i]
	}
}

// maxLine bounds a line of an excerpt, in octets.
const maxLine = 1000

// clip bounds a text to a line.
func clip(s string) string {
	return bounded(strings.ReplaceAll(s, "\n", `\n`), maxLine)
}
