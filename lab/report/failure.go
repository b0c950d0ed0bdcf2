package report

import (
	"io"
	"slices"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// Failure writes what a reader needs of an experiment by hand that somebody,
// a test, found wrong: the network, the timeline around what was expected and
// not seen, around each fault and at the end, and what was not observed.
func Failure(w io.Writer, r *record.Record) error {
	p := &printer{w: w}
	p.line("  %s      %s", path(r), r.Kernel)
	for _, c := range r.Changed {
		p.line("  %s", c)
	}
	times := decisive(r)
	for _, f := range append([]record.FaultInfo{r.Fault}, r.Later...) {
		if f.Kind != "" && len(times) < maxDecisive {
			times = append(times, f.Time)
		}
	}
	times = append(times, r.Duration)
	slices.Sort(times)
	excerpt(p, r, slices.Compact(times))
	differences(p, r)
	for _, m := range r.Missing {
		p.wrapped("missing   ", m.Observer+": "+Clean(m.Why)+"; "+m.Cost)
	}
	return p.err
}
