package page

import (
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// A bracket spans a system call of a program, from its beginning to its end.
type bracket struct {
	row      int
	side     string // "client" or "server"
	from, to int64
	lane     int  // from the lifeline outwards
	open     bool // it never returned
	title    string
}

// mostCalls is how many calls stand beside each other on a side.
const mostCalls = 4

// brackets are those of the calls that have rows.
func brackets(r *record.Record, rows []ladder.Row) []bracket {
	var all []bracket
	until := map[string][]int64{} // by side: how long each lane is taken
	for i := range rows {
		if len(rows[i].Events) == 0 || rows[i].Table {
			continue
		}
		e := &r.Events[rows[i].Events[0]]
		if e.Syscall == nil {
			continue
		}
		b := bracket{row: i, side: sideOf(e.Host), from: e.Time - e.Syscall.Duration, to: e.Time, title: e.String() + ", took " + record.Span(e.Syscall.Duration)}
		if e.Kind == record.KindEnter {
			b.from, b.to, b.open = e.Time, lastOf(r, e), true
			b.title = e.Syscall.String() + " never returned"
		}
		all = append(all, b)
	}
	// Lanes are given in the order in which the calls began.
	for _, i := range orderBy(len(all), func(i int) int64 { return all[i].from }) {
		b := &all[i]
		taken := until[b.side]
		for b.lane = 0; b.lane < len(taken) && b.lane < mostCalls-1 && taken[b.lane] > b.from; b.lane++ {
		}
		if b.lane == len(taken) {
			taken = append(taken, 0)
		}
		taken[b.lane] = max(taken[b.lane], b.to)
		until[b.side] = taken
	}
	return all
}

// lastOf is until when a call may have lasted that never returned: to the end of
// its process, if that is known.
func lastOf(r *record.Record, call *record.Event) int64 {
	for i := range r.Events {
		e := &r.Events[i]
		if e.Source == record.Process && e.Kind == record.KindExit && e.Host == call.Host && e.Boot == call.Boot && e.PID == call.PID && e.Time >= call.Time {
			return e.Time
		}
	}
	return r.Duration
}

// sideOf is on which side of the wire a host stands.
func sideOf(host string) string {
	if host == "client" {
		return host
	}
	return "server"
}
