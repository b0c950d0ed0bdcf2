package page

import (
	"html/template"
	"slices"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// What was predicted to be sent, beside what was.
type measured struct {
	// From says what both count from, Notes what else is to be known.
	From  string
	Notes []string
	Ends  bool // with an error
	Rows  []measuredRow
	Chart template.HTML
}

type measuredRow struct {
	Kind      string
	Predicted string // "" if it was not
	Measured  string // "" if it was not seen
	Against   string // how the two stand to each other
	Pause     string // since what was sent before
}

// kinds are what is sent, in words.
var kinds = map[string]string{
	"tlp": "tail loss probe", "retransmit": "retransmission", "keepalive": "keepalive probe",
	"syn": "SYN again", "synack": "SYN+ACK again", "probe": "zero window probe",
}

func measuredOf(r *record.Record) *measured {
	if len(r.Prediction.Sends) == 0 || r.Fault.Kind == "" {
		return nil
	}
	from, origin, ok := originOf(r)
	if !ok {
		return &measured{Notes: []string{"When the schedule began was not seen: there is nothing to compare."}}
	}
	m := &measured{From: from}
	list, later := compared(r, origin)
	if !r.Observed("wire") || !r.Observed("ebpf") {
		m.Notes = append(m.Notes, "An observer was missing: what is not seen here may have been sent all the same.")
	}
	end, ends := endOf(r, origin)
	cut := ends && !end.seen && origin+end.low > r.Duration // no bar then, as of what else was due later
	switch {
	case later > 0 && cut:
		m.Notes = append(m.Notes, ladder.Thousands(later)+" more, and "+report.Possible(&r.Prediction)+", would have been due after the end of the run.")
	case later > 0:
		m.Notes = append(m.Notes, ladder.Thousands(later)+" more would have been due after the end of the run.")
	case cut:
		m.Notes = append(m.Notes, report.Possible(&r.Prediction)+" would have been due after the end of the run.")
	}
	if slices.ContainsFunc(list, func(d due) bool { return d.predicted && !d.seen }) {
		m.Notes = append(m.Notes, "What was predicted and not seen need not have come: the list is that of the outcome with the most of them.")
	}
	var before int64
	for _, d := range list {
		row := measuredRow{Kind: kinds[d.kind]}
		if d.predicted {
			row.Predicted = seconds(d.low) + " to " + seconds(d.high)
		}
		if d.seen {
			row.Measured, row.Pause = seconds(d.at), seconds(d.at-before)
			before = d.at
		}
		row.Against = d.against()
		m.Rows = append(m.Rows, row)
	}
	if ends && !cut {
		row := measuredRow{Kind: "the error", Against: end.against()}
		if t := r.Prediction.Tolerance; end.predicted && end.seen && end.at > end.high && end.at <= end.high+t {
			row.Against += ", within its tolerance of " + record.Span(t)
		}
		if end.predicted {
			row.Kind, row.Predicted = report.Possible(&r.Prediction)+" returned", seconds(end.low)+" to "+seconds(end.high)
		}
		if end.seen {
			row.Measured, row.Pause = seconds(end.at), seconds(end.at-before)
		}
		m.Rows, m.Ends = append(m.Rows, row), true
		list = append(list, end)
	}
	m.Chart = schedule(list)
	return m
}
