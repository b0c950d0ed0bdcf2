package report

import (
	"io"
	"math"
	"slices"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// A Follower writes the timeline of a run that goes on, as far as it is known,
// in pieces that follow on one another. Times count from the run's beginning,
// and anew from the fault: when that will be is not known before.
type Follower struct {
	Screen Screen
	begun  bool   // something was told
	headed string // the last heading
	joined bool   // or is not to be, until told
	told   int64  // until when everything was
	busy   bool   // something was left out of the last piece
	count  int    // the events until then
}

// busyEvery is how often so much is told that some of it is left out.
const busyEvery = 2 * time.Second

// Skip leaves out what was before a time. It comes before all else.
func (f *Follower) Skip(until int64) { f.joined, f.told = true, until-int64(ladder.Settled) }

// Write writes what came since the last time, of a record that is complete
// until a time.
func (f *Follower) Write(w io.Writer, r *record.Record, until int64) error {
	until -= int64(ladder.Settled)
	if f.busy && until-f.told < int64(busyEvery) {
		return nil
	}
	return f.piece(w, r, until)
}

// End writes the rest, of the record of the whole run. Of calls that never
// returned it is known only then.
func (f *Follower) End(w io.Writer, r *record.Record) error {
	told, begun := f.told, f.begun
	late := between(r, math.MinInt64, told) - f.count
	if err := f.piece(w, r, math.MaxInt64); err != nil || !begun {
		return err
	}
	unreturned := slices.DeleteFunc(ladder.Rows(r), func(row ladder.Row) bool {
		return row.Time > told || len(row.Events) == 0 || r.Events[row.Events[0]].Kind != record.KindEnter
	})
	p := &printer{w: w, screen: f.Screen}
	if len(unreturned) > 0 {
		p.fitted("%*s these calls began earlier, and never returned:", timeWidth, "")
		f.rows(p, r, unreturned)
	}
	if late > 0 {
		p.fitted("%*s %s", timeWidth, "", Late(late))
	}
	return p.err
}

// Late says how many events became known only when their place was over.
func Late(n int) string {
	return ladder.Count(n, "event") + " came too late for their place: they are in the record alone"
}

// between counts the events after from, up to to, but for calls that never
// returned.
func between(r *record.Record, from, to int64) (n int) {
	for i := range r.Events {
		if e := &r.Events[i]; e.Time > from && e.Time <= to && e.Kind != record.KindEnter {
			n++
		}
	}
	return n
}

func (f *Follower) piece(w io.Writer, r *record.Record, until int64) error {
	from := int64(math.MinInt64)
	if f.begun || f.joined {
		from = f.told
	}
	begins := r.ByHand && !f.begun // whatever comes, and when: who watches sees that it can
	if until <= from && !begins {
		return nil
	}
	rows := ladder.Between(r, from, until)
	p := &printer{w: w, screen: f.Screen}
	if !f.begun && len(rows) > 0 || begins {
		f.begun = true
		p.line("")
		if r.ByHand {
			p.fitted("times count from when the lab came up, or the recording began, and anew from each fault")
		} else {
			p.fitted("times count from the beginning of the run, and anew from the fault")
		}
	}
	if h := f.columns().heading(); (len(rows) > 0 || begins) && h != f.headed { // the screen may have been resized
		f.headed = h
		p.line("%s", h)
	}
	if f.begun {
		f.told = until
		f.count += between(r, from, until)
	}
	f.rows(p, r, rows)
	f.busy = slices.ContainsFunc(rows, func(row ladder.Row) bool { return row.Left != nil })
	return p.err
}

func (f *Follower) rows(p *printer, r *record.Record, rows []ladder.Row) {
	c := f.columns()
	for i := range rows {
		for _, line := range c.row(r, &rows[i]) {
			p.put(line)
		}
	}
}

func (f *Follower) columns() columns {
	c := columnsOf(f.Screen)
	c.anew = true
	return c
}

// A Lines follower gives the events of a run one by one, in the order of their
// times.
type Lines struct {
	told  int64
	begun bool
	count int // of the events until told
	late  int
}

// A Line is an event, and which run it is of.
type Line struct {
	Scenario string       `json:"scenario"`
	Event    record.Event `json:"event"`
}

// Skip leaves out what was before a time. It comes before all else.
func (l *Lines) Skip(until int64) { l.begun, l.told = true, until }

// Next gives those that came since the last time, of a record that is complete
// until a time; at the end that is math.MaxInt64.
func (l *Lines) Next(r *record.Record, until int64) []Line {
	from := int64(math.MinInt64)
	if l.begun {
		from = l.told
	}
	var lines []Line
	for _, e := range r.Events {
		if (!l.begun || e.Time > l.told) && e.Time <= until {
			lines = append(lines, Line{r.Scenario, e})
		}
	}
	if until == math.MaxInt64 && l.begun {
		l.late = max(0, between(r, math.MinInt64, l.told)-l.count)
	}
	l.count += between(r, from, until)
	l.begun, l.told = true, until
	return lines
}

// Late is how many events became known only when their place was over, and are
// in no line; it is known at the end.
func (l *Lines) Late() int { return l.late }
