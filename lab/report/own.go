package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// The pages of runs with the user's own programs.

// demanded says before the run what is run, and what is asked of it.
func demanded(p *printer, r *record.Record) {
	d := r.Demand
	side := func(name string, argv []string) {
		what := "lab's own"
		if len(argv) > 0 {
			what = Clean(strings.Join(argv, " "))
		}
		p.wrapped("  "+name+": ", what)
	}
	side("server", d.Server)
	side("client", d.Client)
	p.fitted("  the fault comes when: %s", Clean(d.When))
	p.fitted("  asked: %s", Asked(d))
	if r.Fault.Kind == "" {
		p.fitted("  prediction: to be made at the fault, of what the client's socket is set to")
	}
}

// Asked says a demand in a sentence.
func Asked(d *record.Demand) string {
	what := "the client does something about it"
	switch {
	case strings.HasPrefix(d.Expect, "exit="):
		what = "the client ends with " + strings.Replace(d.Expect, "=", " ", 1)
	case d.Expect != "":
		what = "the client is told " + d.Expect
	}
	return what + ", within " + record.Span(d.Within)
}

// noticed writes what the client was told, and what it did.
func noticed(p *printer, r *record.Record) {
	for _, c := range r.Connections {
		options := strings.Join(c.Options, " ")
		if options == "" {
			options = "no keepalive, no timeout of its own"
		}
		p.wrapped("socket    ", fmt.Sprintf("%s to %s: %s", c.Local, c.Remote, options))
	}
	p.wrapped("told      ", Told(r))
	label := "acted     "
	for _, a := range r.Actions {
		p.wrapped(label, Acted(&a))
		label = "          "
	}
	if len(r.Actions) == 0 && r.Fault.Kind != "" {
		p.wrapped(label, DidNothing(r))
	}
	if q := r.Prediction; q.Model != "" && r.Fault.Kind != "" && q.Max >= atOnce {
		p.wrapped("kernel    ", Predicted(&q))
	}
}

// ownAnswer says in a sentence what the client was told, and what it did.
func ownAnswer(r *record.Record) string {
	d := r.Detection
	s := "never told in the " + record.Span(r.Duration-r.Fault.Time) + " after the fault"
	if !r.Observed(record.ClientCalls) {
		s = "what told it is not known"
	}
	if d.Error != "" {
		s = fmt.Sprintf("told %s after %s", d.Error, record.Span(d.AfterFault))
	}
	switch {
	case len(r.Actions) > 0:
		return s + "; acted: " + actedShort(r)
	case d.Error != "":
		return s + ", ignored it"
	}
	return s + ", and did nothing"
}

// Told says which call told the client, and when.
func Told(r *record.Record) string {
	d := r.Detection
	switch {
	case r.Fault.Kind == "":
		return "the run did not come to its fault"
	case d.Error == "" && !r.Observed(record.ClientCalls):
		return "not known: see what is missing"
	case d.Error == "":
		return "never, in the " + record.Span(r.Duration-r.Fault.Time) + afterZero(r)
	}
	s := told(&d) + fmt.Sprintf(", in process %d, %s%s", d.PID, record.Span(d.AfterFault), afterZero(r))
	switch {
	case BeforeFault(&d):
		s += ", " + record.Span(d.AfterWrite) + " after the client's write, which began before the fault"
	case d.AfterWrite >= 0:
		s += ", " + record.Span(d.AfterWrite) + " after the client's first write"
	}
	return s
}

// afterZero says behind a span what it counts from.
func afterZero(r *record.Record) string {
	if r.Fault.Kind == "zero" {
		return " after the moment that the scenario counts from"
	}
	return " after the fault"
}

// DidNothing says that the client did nothing, and, if it was told, for how
// long after.
func DidNothing(r *record.Record) string {
	if r.Detection.Error != "" {
		return "nothing, in the " + record.Span(r.Duration-r.Detection.Time) + " after it was told"
	}
	return "nothing"
}

// Acted says an action of the client's, and when.
func Acted(a *record.Action) string {
	when := record.Span(a.AfterFault) + " after the fault"
	if a.AfterTold >= 0 {
		when = record.Span(a.AfterTold) + " after it was told"
	}
	switch a.Kind {
	case record.ActMessage:
		return fmt.Sprintf("it said %q, %s", a.What, when)
	case record.ActClose:
		return "it closed the connection, " + when
	case record.ActReconnect:
		return "it tried to connect again (" + a.What + "), " + when
	}
	return fmt.Sprintf("it ended (%s), %s", a.What, when)
}

// Ways writes the table of a client's ways of dying: what it was told, and
// when; what it did, and when; and what that comes to. On a screen that is too
// narrow for a table the cells stand below each other.
func Ways(w io.Writer, records []*record.Record, s Screen) error {
	p := &printer{w: w, screen: s}
	rows := [][]string{{"THE SERVER'S END", "TOLD", "ACTED", "VERDICT"}}
	for _, r := range records {
		rows = append(rows, []string{r.Scenario, toldShort(r), actedShort(r), judged(r)})
	}
	var widths [3]int
	for _, row := range rows {
		for i := range widths {
			widths[i] = max(widths[i], len([]rune(row[i])))
		}
	}
	if widest := widths[0] + widths[1] + widths[2] + 20; s.Width > 0 && s.Width < widest {
		for _, row := range rows[1:] {
			p.wrapped(row[0]+": ", row[3])
			p.wrapped("  told:  ", row[1])
			p.wrapped("  acted: ", row[2])
		}
		return p.err
	}
	for _, row := range rows {
		line := ""
		for i, cell := range row[:3] {
			line += cell + strings.Repeat(" ", widths[i]-len([]rune(cell))+2)
		}
		p.line("%s", line+row[3])
	}
	return p.err
}

func toldShort(r *record.Record) string {
	d := r.Detection
	switch {
	case r.Fault.Kind == "":
		return "-"
	case d.Error == "" && !r.Observed(record.ClientCalls):
		return "not known"
	case d.Error == "":
		return "never in " + record.Span(r.Duration-r.Fault.Time)
	}
	return fmt.Sprintf("%s after %s", d.Error, record.Span(d.AfterFault))
}

// actedShort is the most that the client did.
func actedShort(r *record.Record) string {
	best, rank := "nothing", -1
	if r.Fault.Kind == "" {
		best = "-"
	}
	for _, a := range r.Actions {
		n := map[string]int{record.ActMessage: 0, record.ActClose: 1, record.ActReconnect: 2, record.ActExit: 3}[a.Kind]
		if n <= rank {
			continue
		}
		rank = n
		what := map[string]string{
			record.ActMessage: "a message", record.ActClose: "closed", record.ActReconnect: "reconnect", record.ActExit: a.What,
		}[a.Kind]
		best = what + " after " + record.Span(a.AfterFault)
	}
	return best
}

// judged is the verdict, with the limit, or its first reason.
func judged(r *record.Record) string {
	switch {
	case r.Outcome == record.AsExpected && r.Demand != nil:
		return "ok"
	case r.Outcome == record.NotAsExpected && r.Demand != nil && r.Signature.OK:
		return "NOT OK: " + Asked(r.Demand)
	case len(r.Reasons) > 0:
		return strings.ToUpper(Outcome(r)) + ": " + Clean(r.Reasons[0])
	}
	return Outcome(r)
}
