package report

import (
	"io"
	"strings"
	"unicode/utf8"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// The columns of a comparison: its labels are broken beyond labelWidth, or a
// fifth of a wide terminal.
const (
	narrowest  = 60
	usualWidth = 80
	widest     = 160
	labelWidth = 22
)

// Diff writes two records side by side: what differs in full, what is the same
// in a few words. The width is a terminal's; 0 stands for 80 columns.
func Diff(w io.Writer, a, b *record.Record, width int) error {
	if width == 0 {
		width = usualWidth
	}
	width = min(max(width, narrowest), widest)
	c := Compare(a, b)
	p := &printer{w: w}
	for _, side := range []struct {
		name string
		r    *record.Record
	}{{"A", a}, {"B", b}} {
		p.within(width, side.name+"  ", clean(side.r.Scenario)+", Linux "+clean(side.r.Kernel.Release)+", "+clean(side.r.Started)+": "+clean(Answer(side.r)))
	}
	if a.Scenario != b.Scenario {
		p.line("")
		p.within(width, "", differentScenarios)
	}
	for _, g := range c.Groups {
		p.line("")
		p.line("%s", g.Title)
		g.write(p, width)
	}
	p.line("")
	p.within(width, "", c.Sum())
	return p.err
}

const differentScenarios = "These are two scenarios: what differs may be what they are about."

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
	s := "Outcome, error and number of retransmissions agree"
	if !c.Agree() {
		s = "Outcome, error or number of retransmissions differ, or are not known"
	}
	return s + "; " + plural(differ, "difference") + " in all."
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
		label, a, b := broken(row.Label, labels), broken(row.A, cell), broken(row.B, cell)
		for i := range max(len(label), len(a), len(b)) {
			at := func(lines []string) string {
				if i < len(lines) {
					return lines[i]
				}
				return ""
			}
			p.line("  %s  %s  %s", filled(at(label), labels), filled(at(a), cell), at(b))
		}
	}
	if len(same) > 0 {
		p.within(width, "  the same: ", strings.Join(same, "; "))
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

// broken breaks a text into lines, between words where there is a space.
func broken(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width {
			line += " " + word
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		rest := []rune(word)
		for ; len(rest) > width; rest = rest[width:] {
			lines = append(lines, string(rest[:width]))
		}
		line = string(rest)
	}
	return append(lines, line)
}

// filled fills a cell up.
func filled(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}
