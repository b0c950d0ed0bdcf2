// Package report shows a record: as text, for a terminal. It looks at nothing
// but the record.
package report

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// Header writes what is known before the run: what is asked, the path, the
// kernel, what differs from its defaults, and the prediction.
func Header(w io.Writer, r *record.Record) error {
	p := &printer{w: w}
	p.line("%s: %s", r.Scenario, r.Title)
	p.line("  %s      Linux %s, HZ=%d", path(r), r.Kernel.Release, r.Kernel.HZ)
	if len(r.Changed) == 0 {
		p.line("  the kernel's default timers")
	}
	for i, c := range r.Changed {
		hint := ""
		if i == 0 && r.Timers == "quick" {
			hint = "      (--real: all of the kernel's own)"
		}
		p.line("  %s%s", c, hint)
	}
	p.line("  prediction: %s", predicted(&r.Prediction))
	return p.err
}

func path(r *record.Record) string {
	if len(r.Hosts) != 2 {
		return r.Path
	}
	middle := " -- " + r.Path + " -- "
	if r.Path == "direct" {
		middle = " ---- "
	}
	return r.Hosts[0].Name + " " + r.Hosts[0].Address + middle + r.Hosts[1].Address + " " + r.Hosts[1].Name
}

// predicted says a prediction in a sentence.
func predicted(p *record.Prediction) string {
	what := p.Error
	if len(p.Errors) > 1 {
		what = strings.Join(p.Errors, " or ")
	}
	after := "the client's next write"
	if p.From == "fault" {
		after = "the fault"
	} else if p.Max < int64(time.Millisecond)*100 {
		after = "its next write"
	}
	if p.Max < int64(time.Millisecond)*100 {
		return fmt.Sprintf("the client's read returns %s at once after %s", what, strings.TrimPrefix(after, "the client's "))
	}
	s := fmt.Sprintf("%s %s after %s", what, window(p), after)
	if p.Decider != "" {
		s += ", by " + p.Decider
	}
	return s
}

func window(p *record.Prediction) string {
	low, high := time.Duration(p.Min), time.Duration(p.Max)
	if high >= 2*time.Minute {
		return low.Round(time.Second).String() + " to " + high.Round(time.Second).String()
	}
	return fmt.Sprintf("%.1f to %.1f s", low.Seconds(), high.Seconds())
}

// Text writes the timeline and the verdict.
func Text(w io.Writer, r *record.Record) error {
	p := &printer{w: w}
	timeline(p, r)
	p.line("")
	verdict(p, r)
	return p.err
}

// verdict writes what it all comes to, and why.
func verdict(p *printer, r *record.Record) {
	sum := answer(r)
	if r.Outcome == record.NotAsExpected && !r.Signature.OK {
		sum = "the fault was not what it is called, so this is no result: " + sum
	}
	p.wrapped("verdict   ", strings.ReplaceAll(string(r.Outcome), "-", " ")+": "+sum)
	for _, reason := range r.Reasons {
		p.wrapped("          - ", clean(reason))
	}
	failed, unknown := 0, 0
	for _, c := range r.Signature.Checks {
		switch {
		case c.Unknown:
			unknown++
		case !c.OK:
			failed++
		}
	}
	switch {
	case len(r.Signature.Checks) == 0:
	case r.Signature.OK:
		p.line("signature ok: the fault was what it is called")
	case failed > 0:
		p.line("signature NOT ok: %d of %d checks failed", failed, len(r.Signature.Checks))
	default:
		p.line("signature unknown: %d of %d checks could not be made", unknown, len(r.Signature.Checks))
	}
	for _, c := range r.Signature.Checks {
		mark := "ok     "
		switch {
		case c.Unknown:
			mark = "unknown"
		case !c.OK:
			mark = "NOT OK "
		}
		p.wrapped("  "+mark+" ", c.Name+": "+clean(c.Seen))
	}
	if r.Missed > 0 {
		p.wrapped("missed    ", fmt.Sprintf("up to %d events of the whole machine, seldom of this run", r.Missed))
	}
	for _, m := range r.Missing {
		p.wrapped("missing   ", m.Observer+": "+clean(m.Why)+"; "+m.Cost)
	}
	if r.Prediction.Why != "" && r.Fault.Kind != "" {
		p.wrapped("rule      ", r.Prediction.Why)
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
		p.line("next      %s", strings.Join(next, "      "))
	}
}

// answer says in a sentence what the client saw.
func answer(r *record.Record) string {
	d, p := r.Detection, r.Prediction
	if r.Fault.Kind == "" {
		return "the run did not come to its fault"
	}
	switch {
	case d.Error != "":
	case r.Observed("ebpf") && r.Observed("ebpf:sys_enter") && r.Observed("ebpf:sys_exit"):
		return "the client was told nothing while the run lasted"
	default:
		return "which system call told the client was not observed"
	}
	s := d.Syscall + "() = " + d.Error
	switch {
	case p.From == "write" && d.AfterWrite >= 0:
		s += ", " + record.Span(d.AfterWrite) + " after the client's write"
	default:
		s += ", " + record.Span(d.AfterFault) + " after the fault"
	}
	if p.Max >= int64(100*time.Millisecond) {
		s += " (predicted: " + p.Error + " after " + window(&p) + ")"
	} else {
		s += " (predicted: " + p.Error + " at once)"
	}
	return s
}

// A printer remembers the first error, so that callers check once.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err != nil {
		return
	}
	_, p.err = fmt.Fprintln(p.w, strings.TrimRight(fmt.Sprintf(format, args...), " "))
}

// textWidth is where prose is broken: that of the timeline, about.
const textWidth = 110

// wrapped writes prose behind a label, broken into lines with an indent as
// wide as the label.
func (p *printer) wrapped(label, text string) {
	room := textWidth - utf8.RuneCountInString(label)
	line, used := label, 0
	for _, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		if used > 0 && used+1+n > room {
			p.line("%s", line)
			line, used = strings.Repeat(" ", utf8.RuneCountInString(label)), 0
		}
		if used > 0 {
			line += " "
			used++
		}
		line += word
		used += n
	}
	p.line("%s", line)
}

// clean makes text of programs and packets harmless to a terminal: what is
// not printable is shown as its number.
func clean(s string) string {
	safe := true
	for _, r := range s {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			safe = false
			break
		}
	}
	if safe {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
