package report

import (
	"slices"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// A Comparison is two records beside each other, in groups of rows.
type Comparison struct {
	A, B   *record.Record
	Groups []ComparisonGroup
}

// A ComparisonGroup is what is compared of one part of the records.
type ComparisonGroup struct {
	Title string
	Rows  []ComparisonRow
}

// A ComparisonRow is one thing, as the two records have it. Same is set where
// they agree; of times, where they are near to each other.
type ComparisonRow struct {
	Label string
	A, B  string
	Same  bool
}

// Compare lays two records beside each other. They may be of different
// scenarios.
func Compare(a, b *record.Record) *Comparison {
	c := &Comparison{A: a, B: b}
	for _, g := range []struct {
		title string
		rows  func(a, b *record.Record) []ComparisonRow
	}{
		{"the run", runRows},
		{"what was set", settingRows},
		{"what came of it", resultRows},
		{"what the client did", actionRows},
		{"prediction", predictionRows},
		{"sent again after the fault", repeatRows},
		{"signature", checkRows},
	} {
		if rows := g.rows(a, b); len(rows) > 0 {
			c.Groups = append(c.Groups, ComparisonGroup{g.title, rows})
		}
	}
	return c
}

// Agree tells whether both runs came to the same: the outcome, what told the
// client, and how often each host tried to send something again after the
// fault, unless chance decided that. What is not known of either does not agree.
func (c *Comparison) Agree() bool {
	differ, unknown := c.apart()
	return len(differ)+len(unknown) == 0
}

// apart names what does not agree.
func (c *Comparison) apart() (differ, unknown []string) {
	if c.A.Outcome != c.B.Outcome {
		differ = append(differ, "outcome")
	}
	switch {
	case !toldKnown(c.A) || !toldKnown(c.B):
		unknown = append(unknown, "error")
	case c.A.Detection.Error != c.B.Detection.Error:
		differ = append(differ, "error")
	}
	const repeats = "number of retransmissions"
	a, b, okA, okB := c.repeats()
	switch {
	case !okA || !okB:
		unknown = append(unknown, repeats)
	case !slices.EqualFunc(a, b, func(x, y Repeats) bool { return x.Host == y.Host && (len(x.Times) == len(y.Times) || excused(&x, &y)) }):
		differ = append(differ, repeats)
	}
	return differ, unknown
}

// excused tells whether a number may differ by chance: in both runs some attempts
// did not go out. Such a one undoes a step of the timer's backoff (RFC 6069), so
// their number hangs on when the kernel came to ask for the address, which is
// random (neigh_rand_reach_time).
func excused(x, y *Repeats) bool { return x.Sent < len(x.Times) && y.Sent < len(y.Times) }

// byChance tells whether a number of retransmissions differs, and is excused.
func (c *Comparison) byChance() bool {
	a, b, _, _ := c.repeats()
	return len(a) == len(b) && !slices.EqualFunc(a, b, func(x, y Repeats) bool { return len(x.Times) == len(y.Times) })
}

// repeats are those of both runs, counted alike.
func (c *Comparison) repeats() (a, b []Repeats, okA, okB bool) {
	told := toldOfRepeats(c.A) && toldOfRepeats(c.B)
	a, okA = repeatsOf(c.A, told)
	b, okB = repeatsOf(c.B, told)
	return a, b, okA, okB
}

// toldKnown tells whether it is known what told the client, or that nothing
// did.
func toldKnown(r *record.Record) bool {
	switch {
	case r.Detection.Error != "":
		return true
	case r.Fault.Kind == "":
		return false
	}
	return r.Observed("ebpf") && r.Observed("ebpf:sys_enter") && r.Observed("ebpf:sys_exit") && r.Observed(record.ClientCalls)
}

// What of two times makes no difference: the kernel's timers are as coarse, and
// a machine is as slow to run a program.
const (
	nearTime  = int64(10e6) // nanoseconds
	nearShare = 20          // or a twentieth of the longer
)

// near tells whether two spans are about the same.
func near(a, b int64) bool {
	apart := max(a, b) - min(a, b)
	return apart <= nearTime || apart <= max(a, b)/nearShare
}

// notKnown stands where a record does not tell.
const notKnown = "not known"

// textRow compares two texts; an empty one is "-".
func textRow(label, a, b string) ComparisonRow {
	if a == "" {
		a = "-"
	}
	if b == "" {
		b = "-"
	}
	return ComparisonRow{Clean(label), Clean(a), Clean(b), a == b}
}

// spanRow compares two spans; one below 0 is none. Where both are there and
// differ, the second says by how much.
func spanRow(label string, a, b int64) ComparisonRow {
	row := ComparisonRow{Label: Clean(label), A: "-", B: "-"}
	if a >= 0 {
		row.A = record.Span(a)
	}
	if b >= 0 {
		row.B = record.Span(b)
	}
	switch {
	case a >= 0 && b >= 0:
		if row.Same = near(a, b); !row.Same {
			row.B += ", " + apart(a, b)
		}
	default:
		row.Same = a < 0 && b < 0
	}
	return row
}

// apart says how much sooner or later than the first the second is.
func apart(a, b int64) string {
	if b < a {
		return record.Span(a-b) + " sooner"
	}
	return record.Span(b-a) + " later"
}
