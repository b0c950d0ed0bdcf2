package page

import (
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
)

// What was judged, and how.
type judged struct {
	Prediction   []fact
	Held         *mark
	Detection    []fact
	Told         jump
	Expectations []expectation
	Checked      string // what the signature's checks are of
	Signature    []check
}

// Any tells whether anything was.
func (j judged) Any() bool {
	return len(j.Prediction)+len(j.Detection)+len(j.Expectations)+len(j.Signature) > 0
}

type expectation struct {
	Mark              mark
	What, Place       string
	Actual, Tolerance string
	At                jump
}

type check struct {
	Mark       mark
	Name, Seen string
}

func judgedOf(r *record.Record, p places) judged {
	j := judged{Detection: detectionOf(r)}
	if r.Detection.Error != "" {
		j.Told = p.to(r, r.Detection.Time)
	}
	if q := &r.Prediction; q.Model != "" && (r.Demand == nil || report.Rule(r) != "") {
		j.Prediction = append(j.Prediction, fact{"predicted", bounded(report.Predicted(q), maxText)}, fact{"rule", bounded(q.Model, maxText)})
		if q.Held != nil {
			m := marked(*q.Held, false)
			m.Word = map[bool]string{true: "it held", false: "it did not hold"}[*q.Held]
			j.Held = &m
		}
	}
	for _, x := range r.Expectations {
		e := expectation{
			Mark: marked(x.OK, x.Unknown), What: bounded(x.What, maxText), Place: bounded(x.Place, maxText),
			Actual: bounded(x.Actual, maxText), Tolerance: toleranceOf(&x),
		}
		if x.Optional && !x.OK {
			e.Mark = mark{"–", "not judged", "unknown"}
		}
		if x.Time != 0 {
			e.At = p.to(r, x.Time)
		}
		j.Expectations = append(j.Expectations, e)
	}
	j.Checked = "The fault's signature: was it what it is called?"
	if r.Fault.Kind == "zero" {
		j.Checked = "The signature: was there what had to be seen?"
	}
	for _, c := range r.Signature.Checks {
		j.Signature = append(j.Signature, check{marked(c.OK, c.Unknown), bounded(c.Name, maxText), bounded(c.Seen, maxText)})
	}
	return j
}

// toleranceOf is the window in which something had to be seen.
func toleranceOf(x *record.Expectation) string {
	switch {
	case x.After > 0 && x.Within > 0:
		return record.Span(x.After) + " to " + record.Span(x.Within)
	case x.After > 0:
		return "not before " + record.Span(x.After)
	case x.Within > 0:
		return "within " + time.Duration(x.Within).String()
	}
	return ""
}

// detectionOf says which call told the client, and counts the time in every
// way that a reader may.
func detectionOf(r *record.Record) []fact {
	d := &r.Detection
	if r.Fault.Kind == "" {
		return nil
	}
	facts := []fact{{"told", bounded(report.Told(r), maxText)}}
	if d.Error == "" {
		return facts
	}
	add := func(name string, ns int64) {
		if ns >= 0 {
			facts = append(facts, fact{name, fine(ns) + " s"})
		}
	}
	add("after "+zero(r), d.AfterFault)
	write := "after the first write after it"
	if report.BeforeFault(d) {
		write = "after the client's write, which began before it"
	}
	add(write, d.AfterWrite)
	add("after the last segment before it", d.AfterHeard)
	add("the call had lasted", d.Blocked)
	return facts
}
