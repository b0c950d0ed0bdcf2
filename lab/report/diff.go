package report

import (
	"io"
	"strings"
	"unicode/utf8"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// The columns of a comparison: its labels are broken beyond labelWidth, or a
// fifth of a wide terminal.
const (
	usualWidth = 80
	widest     = 160
	labelWidth = 22
)

// Diff writes two records side by side: what differs in full, what is the same
// in a few words. Without a screen's width it takes 80 columns.
func Diff(w io.Writer, a, b *record.Record, s Screen) error {
	if s.Width == 0 {
		s.Width = usualWidth
	}
	s.Width = min(max(s.Width, minWidth), widest)
	c := Compare(a, b)
	p := &printer{w: w, screen: s}
	for _, side := range []struct {
		name string
		r    *record.Record
	}{{"A", a}, {"B", b}} {
		p.wrapped(side.name+"  ", Clean(side.r.Scenario)+", Linux "+Clean(side.r.Kernel.Release)+", "+Clean(side.r.Started)+": "+Clean(Answer(side.r)))
	}
	if a.Scenario != b.Scenario {
		p.line("")
		p.wrapped("", DifferentScenarios)
	}
	for _, g := range c.Groups {
		p.line("")
		p.line("%s", g.Title)
		g.write(p, s.Width)
	}
	p.line("")
	p.wrapped("", c.Sum())
	return p.err
}

// DifferentScenarios is said where the two are of different ones.
const DifferentScenarios = "These are two scenarios: what differs may be what they are about."

// Sum says what the comparison comes to.
func (c *Comparison) Sum() string {
	differ := 0
	for _, g := range c.Groups {
		for _, row := range g.Rows {
			if !row.Same {
				differ++
			}
		}
	}
	s := "outcome, error and number of retransmissions agree"
	if unequal, unknown := c.apart(); len(unequal)+len(unknown) == 0 {
		if c.byChance() {
			s = "outcome and error agree, and the number of retransmissions hung on when an address was asked for"
		}
	} else {
		var parts []string
		for _, p := range []struct {
			names     []string
			one, many string
		}{{unequal, " differs", " differ"}, {unknown, " is not known", " are not known"}} {
			switch n := len(p.names); n {
			case 0:
			case 1:
				parts = append(parts, p.names[0]+p.one)
			default:
				parts = append(parts, strings.Join(p.names[:n-1], ", ")+" and "+p.names[n-1]+p.many)
			}
		}
		s = strings.Join(parts, ", ")
	}
	return strings.ToUpper(s[:1]) + s[1:] + "; " + ladder.Count(differ, "difference") + " in all."
}

// write gives a line to what differs, and one for all that is the same.
func (g *ComparisonGroup) write(p *printer, width int) {
	labels := max(labelWidth, width/5)
	cell := (width - 2 - labels - 4) / 2
	var same []string
	for _, row := range g.Rows {
		if row.Same {
			same = append(same, row.short())
			continue
		}
		label, a, b := Wrap(row.Label, labels), Wrap(row.A, cell), Wrap(row.B, cell)
		for i := range max(len(label), len(a), len(b)) {
			at := func(lines []string) string {
				if i < len(lines) {
					return lines[i]
				}
				return ""
			}
			p.line("  %s  %s  %s", pad(at(label), labels), pad(at(a), cell), at(b))
		}
	}
	if len(same) > 0 {
		p.wrapped("  the same: ", strings.Join(same, "; "))
	}
}

// shortValue is how long a value may be that is told although it is the same.
const shortValue = 28

func (r *ComparisonRow) short() string {
	switch {
	case utf8.RuneCountInString(r.A) > shortValue:
		return r.Label
	case r.A != r.B:
		return r.Label + " about " + r.A
	}
	return r.Label + " " + r.A
}
