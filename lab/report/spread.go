package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// A Spread is how far runs of the same scenario on the same kernel went apart,
// which differ in nothing but their seeds.
type Spread struct {
	Scenario string
	Kernel   string
	Runs     int
	Outcomes []Share
	// Answers are what told the client, without the time.
	Answers []Share
	// From is what Times count from.
	From  string
	Times Distribution // until the client was told, in nanoseconds
	Sends Distribution // retransmissions of the client
	// Ports is how many different ports the client got.
	Ports int
}

// A Share is how many of the runs have something in common.
type Share struct {
	What string
	Runs int
}

// A Distribution is of what was measured in some runs: N of them have it. Of an
// even number the median is the upper of the two in the middle.
type Distribution struct {
	N                int
	Min, Median, Max int64
	Bins             []Bin // of the same width, from Min to Max; one if all are the same
}

// A Bin is how many values are at least From and less than To; the last has
// To, too.
type Bin struct {
	From, To int64
	N        int
}

// Spreads puts those records together that only the seed of their machine tells
// apart, and tells how far they spread. What was run once is left out, and so
// is what ran on the host: there more differs than a seed.
func Spreads(records []*record.Record) []Spread {
	type kind struct{ command, kernel string }
	var kinds []kind
	of := map[kind][]*record.Record{}
	for _, r := range records {
		if r.Kernel.Warp == nil {
			continue
		}
		seed := fmt.Sprintf(" --seed %d", r.Kernel.Warp.Seed)
		k := kind{strings.Replace(r.Command, seed, "", 1), kernelOf(r)}
		if of[k] == nil {
			kinds = append(kinds, k)
		}
		of[k] = append(of[k], r)
	}
	var spreads []Spread
	for _, k := range kinds {
		if len(of[k]) > 1 {
			spreads = append(spreads, spread(of[k]))
		}
	}
	return spreads
}

// kernelOf names a kernel without the seed.
func kernelOf(r *record.Record) string {
	k, engine := r.Kernel, r.Kernel.Warp.Engine
	k.Warp = nil
	return k.String() + ", virtual time (" + engine + ")"
}

func spread(runs []*record.Record) Spread {
	s := Spread{Scenario: runs[0].Scenario, Kernel: kernelOf(runs[0]), Runs: len(runs)}
	outcomes, answers, ports := map[string]int{}, map[string]int{}, map[string]bool{}
	var times, sends []int64
	for _, r := range runs {
		outcomes[Outcome(r)]++
		answers[Saw(r)]++
		if t, from, ok := MeasuredTime(r); ok && (s.From == "" || s.From == from) {
			s.From = from
			times = append(times, t)
		}
		if r.Observed("ebpf") && r.Observed("ebpf:tcp_retransmit_skb") && r.Fault.Kind != "" {
			sends = append(sends, int64(retransmissions(r)))
		}
		for _, e := range r.Events {
			if c := e.Syscall; c != nil && e.Host == "client" && c.Name == "connect" && c.Local != "" {
				ports[c.Local] = true
			}
		}
	}
	s.Outcomes, s.Answers = shares(outcomes), shares(answers)
	s.Times, s.Sends, s.Ports = distribution(times), distribution(sends), len(ports)
	return s
}

// MeasuredTime is how long it took until the client was told, in nanoseconds,
// and what that counts from, as the prediction does; false where nothing told
// it.
func MeasuredTime(r *record.Record) (t int64, from string, ok bool) {
	d := &r.Detection
	if d.Error == "" {
		return 0, "", false
	}
	switch from := r.Prediction.From; {
	case from == "call":
		return d.Blocked, "the call", true
	case from == "heard" && d.AfterHeard >= 0:
		return d.AfterHeard, "the last segment received before the fault", true
	case from == "write" && d.AfterWrite >= 0:
		return d.AfterWrite, "the client's write", true
	}
	return d.AfterFault, "the fault", true
}

// retransmissions counts what the client's kernel sent again.
func retransmissions(r *record.Record) int {
	n := 0
	for i := range r.Events {
		if e := &r.Events[i]; e.Host == "client" && e.Kind == record.KindRetransmit {
			n++
		}
	}
	return n
}

// shares puts the most frequent first.
func shares(counts map[string]int) []Share {
	var all []Share
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		all = append(all, Share{what, counts[what]})
	}
	slices.SortStableFunc(all, func(a, b Share) int { return cmp.Compare(b.Runs, a.Runs) })
	return all
}

// mostBins is how fine a distribution is told at most.
const mostBins = 12

func distribution(values []int64) Distribution {
	if len(values) == 0 {
		return Distribution{}
	}
	slices.Sort(values)
	d := Distribution{N: len(values), Min: values[0], Median: values[len(values)/2], Max: values[len(values)-1]}
	width := (d.Max-d.Min)/mostBins + 1 // that of whole numbers; the last bin ends at Max or after it
	for from := d.Min; from <= d.Max; from += width {
		d.Bins = append(d.Bins, Bin{From: from, To: min(from+width, d.Max)})
	}
	for _, v := range values {
		d.Bins[(v-d.Min)/width].N++
	}
	return d
}

// SpreadText writes spreads as text.
func SpreadText(w io.Writer, spreads []Spread, s Screen) error {
	p := &printer{w: w, screen: s}
	for i, one := range spreads {
		if i > 0 {
			p.line("")
		}
		p.line("%s, %d runs, each with a seed of its own", Clean(one.Scenario), one.Runs)
		p.wrapped("  kernel      ", Clean(one.Kernel))
		p.wrapped("  outcome     ", ShareText(one.Outcomes))
		p.wrapped("  told        ", ShareText(one.Answers))
		if one.Ports > 0 {
			p.wrapped("  ports       ", fmt.Sprintf("%d different ones of the client's", one.Ports))
		}
		if d := one.Sends; d.N > 0 {
			p.wrapped("  sent again  ", fmt.Sprintf("%d times at least, %d in the median, %d at most", d.Min, d.Median, d.Max))
		}
		if d := one.Times; d.N > 0 {
			p.wrapped("  time        ", fmt.Sprintf("min %s, median %s, max %s after %s; %s between the first and the last",
				exact(d.Min), exact(d.Median), exact(d.Max), one.From, record.Span(d.Max-d.Min)))
			histogram(p, d)
		}
	}
	return p.err
}

// exact is a time with a millisecond's digits, where whole seconds would hide
// how far it spreads.
func exact(ns int64) string {
	if ns < 1e9 {
		return record.Span(ns)
	}
	return fmt.Sprintf("%.3f s", float64(ns)/1e9)
}

// ShareText lists shares in a line.
func ShareText(all []Share) string {
	var parts []string
	for _, s := range all {
		parts = append(parts, fmt.Sprintf("%s (%d)", Clean(s.What), s.Runs))
	}
	return strings.Join(parts, ", ")
}

// histogram draws a bar a bin.
func histogram(p *printer, d Distribution) {
	const widest = 40
	most := 0
	for _, b := range d.Bins {
		most = max(most, b.N)
	}
	for _, b := range d.Bins {
		p.line("    %12s  %5d  %s", exact(b.From), b.N, strings.Repeat("#", (b.N*widest+most-1)/most))
	}
}
