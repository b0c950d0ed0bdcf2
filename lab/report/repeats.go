package report

import (
	"sort"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// Repeats are what a host sent after the fault that brought nothing new:
// retransmissions, tail loss probes, keepalive and zero window probes.
type Repeats struct {
	Host string
	// From tells from when the times count: the host's first segment with
	// something new after the fault, or the fault if there was none.
	From  string
	Times []int64 // nanoseconds
}

// RepeatsOf gives them of each host that sent any, by its name. They are read
// from the packets: where those were not observed, or not all of them are in
// the record, nothing is known, and ok is false.
func RepeatsOf(r *record.Record) (all []Repeats, ok bool) {
	if !r.Observed("wire") || r.LeftOut > 0 || r.Fault.Kind == "" {
		return nil, false
	}
	var streams record.Streams
	first := map[string]int64{}
	times := map[string][]int64{}
	for i := range r.Events {
		e := &r.Events[i]
		part := streams.Classify(e)
		if e.Kind != record.KindOut || e.Time < r.Fault.Time {
			continue
		}
		switch part {
		case record.Fresh:
			if _, begun := first[e.Host]; !begun {
				first[e.Host] = e.Time
			}
		case record.SentAgain, record.Probe:
			times[e.Host] = append(times[e.Host], e.Time)
		}
	}
	for host, at := range times {
		x := Repeats{Host: host, From: "the fault"}
		zero := r.Fault.Time
		if t, begun := first[host]; begun && t <= at[0] {
			x.From, zero = "the first segment after the fault", t
		}
		for _, t := range at {
			x.Times = append(x.Times, t-zero)
		}
		all = append(all, x)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Host < all[j].Host })
	return all, true
}
