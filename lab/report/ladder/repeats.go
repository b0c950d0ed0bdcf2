package ladder

import (
	"strings"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// Of rows of one kind, between two things that the scenario did, no more than
// mostOfAKind are told one by one; of more, the first and the last.
const (
	mostOfAKind = 48
	endsOfAKind = 16
	// Fewer together are told: that they are left out takes a line, too.
	fewestLeft = 3
)

// repeats leaves out what is told again and again: probes that go on for hours,
// lines that a program keeps printing.
func (t *telling) repeats(rows []Row) []Row {
	if len(rows) <= mostOfAKind {
		return rows
	}
	shapes := make([]string, len(rows))
	left := make([]bool, len(rows))
	kinds := map[string][]int{}
	cut := func() {
		for _, of := range kinds {
			if len(of) > mostOfAKind {
				for _, i := range of[endsOfAKind : len(of)-endsOfAKind] {
					left[i] = true
				}
			}
		}
		clear(kinds)
	}
	for i := range rows {
		if shapes[i] = t.shape(&rows[i]); shapes[i] == "" {
			cut()
		} else {
			kinds[shapes[i]] = append(kinds[shapes[i]], i)
		}
	}
	cut()
	tellFew(left)
	return without(rows, left)
}

// tellFew has those told of which fewer than fewestLeft are together.
func tellFew(left []bool) {
	began := 0
	for i := 0; i <= len(left); i++ {
		if i < len(left) && left[i] {
			continue
		}
		if i-began < fewestLeft {
			clear(left[began:i])
		}
		began = i + 1
	}
}

// without puts in the place of rows that are left out how many they were.
func without(rows []Row, left []bool) []Row {
	var kept []Row
	var out *Left
	for i := range rows {
		if !left[i] {
			kept, out = append(kept, rows[i]), nil
			continue
		}
		if out == nil {
			out = &Left{From: rows[i].Time}
			kept = append(kept, Row{Left: out})
		}
		out.add(&rows[i])
		kept[len(kept)-1].Time = rows[i].Time
	}
	return kept
}

// mostRows is how many rows there are at most, but for faults.
const mostRows = 2000

// bound leaves the middle out of a timeline that is too long all the same.
func bound(rows []Row) []Row {
	if len(rows) <= mostRows {
		return rows
	}
	left := make([]bool, len(rows))
	for i := mostRows / 2; i < len(rows)-mostRows/2; i++ {
		left[i] = rows[i].Across == ""
	}
	return without(rows, left)
}

// add leaves a row out, too.
func (l *Left) add(w *Row) {
	if w.Left == nil {
		l.Rows++
		return
	}
	l.Rows += w.Left.Rows
	l.Segments += w.Left.Segments
	l.Calls += w.Left.Calls
}

// shape is what rows of a kind have in common: their words without the
// numbers. It is "" for what the scenario did.
func (t *telling) shape(w *Row) string {
	switch {
	case w.Left != nil:
		return "left out"
	case w.Across != "", w.Table:
		return ""
	}
	e := &t.r.Events[w.Events[0]]
	s := string(e.Source) + "/" + e.Kind + "/" + e.Host + "/" + e.Comm
	switch e.Source {
	case record.Step:
		return ""
	case record.Output:
		return s // whatever it says
	}
	wire := ""
	if w.Wire != nil {
		wire = w.Wire.Text
	}
	return s + "/" + strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r == '.' {
			return -1
		}
		return r
	}, w.Client+"/"+wire+"/"+w.Server)
}
