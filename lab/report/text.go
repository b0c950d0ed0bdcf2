// Package report shows a record: as text, for a terminal. It looks at nothing
// but the record.
package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// Header writes what is known before the run: what is asked, the path, the
// kernel, what differs from its defaults, and the prediction.
func Header(w io.Writer, r *record.Record, s Screen) error {
	p := &printer{w: w, screen: s}
	p.fitted("%s", strings.TrimSuffix(r.Scenario+": "+r.Title, ": "))
	p.fitted("  %s      %s", path(r), r.Kernel)
	if len(r.Changed) == 0 {
		p.fitted("  the kernel's default timers")
	}
	hint := ""
	if r.Timers == "quick" {
		hint = "      (--real: all of the kernel's own)"
	}
	for _, c := range r.Changed {
		if !strings.Contains(c, " net.ipv4.tcp_") { // it is no timer
			p.fitted("  %s", c)
			continue
		}
		p.fitted("  %s%s", c, hint)
		hint = "" // once
	}
	if r.Delay.By != "" {
		p.fitted("  the client's link is delayed by %s", r.Delay.By)
	}
	if r.Demand != nil {
		demanded(p, r)
		return p.err
	}
	if !unasked(r) {
		p.fitted("  prediction: %s", Predicted(&r.Prediction))
	}
	return p.err
}

// unasked tells whether nothing was asked for: a person did this and that, and
// looks what came of it.
func unasked(r *record.Record) bool {
	return r.ByHand && r.Prediction.Model == "" && len(r.Expectations) == 0
}

// Outcome is a run's for a reader. What was recorded in a lab by hand, without
// anything being asked for, cannot be as expected.
func Outcome(r *record.Record) string {
	if unasked(r) && r.Outcome == record.AsExpected {
		return "recorded"
	}
	return strings.ReplaceAll(string(r.Outcome), "-", " ")
}

// path draws the network in a line.
func path(r *record.Record) string {
	if len(r.Hosts) < 2 {
		return r.Path
	}
	middle := " -- "
	if d := r.Delay; d.Time > 0 || d.Loss > 0 {
		var adds []string
		if d.Time > 0 {
			adds = append(adds, record.Span(d.Time)+" each way")
		}
		if d.Loss > 0 {
			adds = append(adds, fmt.Sprintf("%g%% lost", 100*d.Loss))
		}
		middle += "(" + strings.Join(adds, ", ") + ") -- "
	}
	switch {
	case r.Path == "direct" && middle == " -- ":
		middle = " ---- "
	case r.Path == "direct":
	case r.Firewall != "":
		middle += r.Path + " with a firewall -- "
	default:
		middle += r.Path + " -- "
	}
	s := r.Hosts[0].Name + " " + r.Hosts[0].Address + middle + r.Hosts[1].Address + " " + r.Hosts[1].Name
	for _, h := range r.Hosts[2:] {
		s += ", " + h.Name
	}
	return s
}

// atOnce is what a prediction calls so: no timer is waited for.
const atOnce = int64(100 * time.Millisecond)

// Predicted says a prediction in a sentence.
func Predicted(p *record.Prediction) string {
	switch {
	case p.Model == "":
		return "none: the scenario says what must be seen"
	case p.Error == "":
		return "nothing tells the client, ever"
	case p.Max < atOnce:
		return fmt.Sprintf("%s, at once after %s (%s)", Possible(p), since(p.From), tolerance(p))
	}
	s := fmt.Sprintf("%s, %s (%s) after %s", Possible(p), window(p), tolerance(p), since(p.From))
	if p.Decider != "" {
		s += ", by " + p.Decider
	}
	return s
}

// tolerance is what is allowed beyond a prediction's window.
func tolerance(p *record.Prediction) string {
	return fmt.Sprintf("+%.1f s of tolerance", time.Duration(p.Tolerance).Seconds())
}

// Possible names the errors that are predicted.
func Possible(p *record.Prediction) string {
	if len(p.Errors) > 1 {
		return strings.Join(p.Errors, " or ")
	}
	return p.Error
}

// since says what a prediction counts from.
func since(from string) string {
	switch from {
	case "write":
		return "the client's next write"
	case "call":
		return "the call began"
	case "heard":
		return "the last segment that the client received before the fault"
	}
	return "the fault"
}

func window(p *record.Prediction) string {
	low, high := time.Duration(p.Min), time.Duration(p.Max)
	if high >= 2*time.Minute {
		return fromTo(low.Round(time.Second).String(), high.Round(time.Second).String(), "")
	}
	digits := 1
	if high < 10*time.Second {
		digits = 2
	}
	return fromTo(strconv.FormatFloat(low.Seconds(), 'f', digits, 64), strconv.FormatFloat(high.Seconds(), 'f', digits, 64), " s")
}

// fromTo says what may be anything between two, of what is the same once.
func fromTo(low, high, unit string) string {
	if low == high {
		return low + unit
	}
	return low + " to " + high + unit
}

// Text writes the timeline and the verdict.
func Text(w io.Writer, r *record.Record, s Screen) error {
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	if err := Timeline(w, r, ladder.Rows(r), s); err != nil {
		return err
	}
	return Verdict(w, r, s)
}

// Verdict writes what it all comes to, below the timeline.
func Verdict(w io.Writer, r *record.Record, s Screen) error {
	p := &printer{w: w, screen: s}
	p.line("")
	verdict(p, r)
	return p.err
}

// verdict writes what it all comes to, and why.
func verdict(p *printer, r *record.Record) {
	failed, unknown := 0, 0
	for _, c := range r.Signature.Checks {
		switch {
		case c.Unknown:
			unknown++
		case !c.OK:
			failed++
		}
	}
	outcome := Outcome(r)
	p.painted(outcomeColour(r.Outcome), outcome, "verdict   ", outcome+": "+Conclusion(r))
	for _, reason := range r.Reasons {
		p.wrapped("          - ", Clean(reason))
	}
	if r.Demand != nil {
		noticed(p, r)
	}
	switch {
	case len(r.Signature.Checks) == 0:
	case r.Signature.OK:
		what := "the fault was what it is called"
		if r.Fault.Kind == "zero" {
			what = "what had to be seen was seen"
		}
		p.line("signature ok: %s", what)
	case failed > 0:
		p.line("signature NOT ok: %d of %d checks failed", failed, len(r.Signature.Checks))
	default:
		p.line("signature unknown: %d of %d checks could not be made", unknown, len(r.Signature.Checks))
	}
	for _, c := range r.Signature.Checks {
		mark, colour := "ok", green
		switch {
		case c.Unknown:
			mark, colour = "unknown", yellow
		case !c.OK:
			mark, colour = "NOT OK", red
		}
		p.painted(colour, mark, "  "+pad(mark, 8), c.Name+": "+Clean(c.Seen))
	}
	if r.LeftOut > 0 {
		p.wrapped("excerpt   ", fmt.Sprintf("this copy of the record lacks %s events of long stretches of the same", ladder.Thousands(r.LeftOut)))
	}
	if r.Missed > 0 {
		p.wrapped("missed    ", fmt.Sprintf("up to %d events of the whole machine, seldom of this run", r.Missed))
	}
	if s := r.Spared; s.Calls+s.Segments > 0 {
		text := fmt.Sprintf("not recorded: %s calls and %s segments of the steady exchange before the fault", ladder.Thousands(s.Calls), ladder.Thousands(s.Segments))
		if s.Rest > 0 {
			text += "; the last " + record.Span(s.Rest) + " of it were not even counted"
		}
		p.wrapped("counted   ", text)
	}
	for _, m := range r.Missing {
		p.wrapped("missing   ", m.Observer+": "+Clean(m.Why)+"; "+m.Cost)
	}
	if rule := Rule(r); rule != "" {
		p.wrapped("rule      ", rule)
	}
	why := r.Why
	if r.Outcome != record.AsExpected {
		why = nil // it explains what did not happen
	}
	for i, why := range why {
		label := ""
		if i == 0 {
			label = "why"
		}
		p.wrapped(fmt.Sprintf("%-9s ", label), why)
	}
	if len(r.Next) > 0 {
		var next []string
		for _, n := range r.Next {
			next = append(next, "lab run "+n)
		}
		const label = "next      "
		if line := label + strings.Join(next, "      "); utf8.RuneCountInString(line) <= p.screen.prose() {
			p.line("%s", line)
		} else {
			p.wrapped(label, strings.Join(next, ", "))
		}
	}
}

func outcomeColour(o record.Outcome) colour {
	switch o {
	case record.AsExpected:
		return green
	case record.NotAsExpected:
		return red
	}
	return yellow
}

// Rule says what the prediction rests on, "" where that is not to the point: of
// the user's own programs it is not known what they wait for, only how long at
// most.
func Rule(r *record.Record) string {
	if r.Fault.Kind == "" || r.Demand != nil && r.Prediction.Max < atOnce && r.Prediction.Error != "" {
		return ""
	}
	return r.Prediction.Why
}

// Conclusion is the answer, or says first why there is none.
func Conclusion(r *record.Record) string {
	wrong := slices.ContainsFunc(r.Signature.Checks, func(c record.Check) bool { return !c.OK && !c.Unknown })
	if r.Outcome == record.NotAsExpected && wrong && r.Fault.Kind != "zero" {
		return "the fault was not what it is called, so this is no result: " + Answer(r)
	}
	return Answer(r)
}

// Answer says in a sentence what the client saw, or what the run ended at.
func Answer(r *record.Record) string {
	d, p := r.Detection, r.Prediction
	for _, x := range r.Expectations {
		if !x.OK && !x.Unknown && !x.Optional && r.Demand == nil {
			return "the run ended at " + x.Place + ", an expectation that was not met"
		}
	}
	switch {
	case r.Fault.Kind == "" && !r.ByHand:
		return "the run did not come to its fault"
	case r.Demand != nil:
		return ownAnswer(r)
	case unasked(r) && r.Fault.Kind == "":
		return "no fault came meanwhile"
	case unasked(r) && d.Error != "":
		return told(&d) + ", " + after(&d, "fault")
	case p.Model == "" && !unasked(r):
		met := 0
		for _, x := range r.Expectations {
			if x.OK {
				met++
			}
		}
		return fmt.Sprintf("%d of %d expectations were met", met, len(r.Expectations))
	case d.Error != "":
	case r.Observed("ebpf") && r.Observed("ebpf:sys_enter") && r.Observed("ebpf:sys_exit"):
		since := " after the fault"
		if r.Fault.Kind == "zero" {
			since = ""
		}
		return "nothing told the client in the " + record.Span(r.Duration-r.Fault.Time) + since
	default:
		return "which system call told the client was not observed"
	}
	return told(&d) + ", " + after(&d, p.From) + " (predicted: " + expected(&p) + ")"
}

// told says by which call the client was told what. A wait names no error: it
// tells of events, and the error is what the kernel had set.
func told(d *record.Detection) string {
	if d.Events != "" {
		return d.Syscall + "() told " + d.Events + ": " + d.Error
	}
	return d.Syscall + "() = " + d.Error
}

// BeforeFault tells whether the write that a detection counts from began before
// the fault, and ended after it.
func BeforeFault(d *record.Detection) bool { return d.AfterWrite > d.AfterFault }

// after is how long a detection took, counted as its prediction is.
func after(d *record.Detection, from string) string {
	switch {
	case from == "write" && d.AfterWrite >= 0:
		return record.Span(d.AfterWrite) + " after the client's write"
	case from == "heard" && d.AfterHeard >= 0:
		return record.Span(d.AfterHeard) + " after the last segment received before the fault"
	case from == "call":
		return record.Span(d.Blocked) + " after it was called"
	}
	return record.Span(d.AfterFault) + " after the fault"
}

// expected is a prediction in the fewest words.
func expected(p *record.Prediction) string {
	switch {
	case p.Error == "":
		return "nothing"
	case p.Max < atOnce:
		return Possible(p) + " at once"
	}
	return fmt.Sprintf("%s after %s, %s", Possible(p), window(p), tolerance(p))
}

// A printer remembers the first error, so that callers check once. Whatever it
// is given is made harmless (Clean), as the record may be anybody's; the colours
// are its own.
type printer struct {
	w      io.Writer
	screen Screen
	err    error
}

func (p *printer) line(format string, args ...any) { p.put(Clean(fmt.Sprintf(format, args...))) }

// put writes a line that was made harmless before it was painted.
func (p *printer) put(line string) {
	if p.err != nil {
		return
	}
	_, p.err = fmt.Fprintln(p.w, strings.TrimRight(line, " "))
}

// fitted writes a line, and breaks it if it is longer than the screen is wide.
func (p *printer) fitted(format string, args ...any) {
	text := strings.TrimRight(Clean(fmt.Sprintf(format, args...)), " ")
	if p.screen.Width == 0 || utf8.RuneCountInString(text) <= p.screen.Width {
		p.put(text)
		return
	}
	body := strings.TrimLeft(text, " ")
	p.wrapped(text[:len(text)-len(body)], body)
}

// wrapped writes prose behind a label, broken into lines with an indent as
// wide as the label.
func (p *printer) wrapped(label, text string) { p.painted("", "", label, text) }

// painted does so with a word in a colour: the first of its kind.
func (p *printer) painted(c colour, word, label, text string) {
	word, label = Clean(word), Clean(label)
	indent := utf8.RuneCountInString(label)
	for i, line := range Wrap(Clean(strings.Join(strings.Fields(text), " ")), p.screen.prose()-indent) {
		if i == 0 && word != "" {
			line = strings.Replace(label+line, word, p.screen.paint(c, word), 1)
		} else {
			line = label + line
		}
		p.put(line)
		label = strings.Repeat(" ", indent)
	}
}

// Clean makes text of programs and packets harmless to a terminal, and a line.
func Clean(s string) string { return ladder.Clean(s) }
