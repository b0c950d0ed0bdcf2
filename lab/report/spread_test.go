package report_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/internal/testruns"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
)

// seeded makes runs of a record that differ in their seeds and, by these many
// nanoseconds, in when the client was told.
func seeded(r *record.Record, later ...int64) []*record.Record {
	var runs []*record.Record
	for i, by := range later {
		one := *r
		one.Kernel.Warp = &record.Warp{Engine: "uml", Seed: uint64(i)}
		one.Command = fmt.Sprintf("lab run %s --warp --seed %d", r.Scenario, i)
		one.Detection.AfterWrite += by
		runs = append(runs, &one)
	}
	return runs
}

// The runs of a command line that only the seed tells apart are one spread:
// its bins hold every run once.
func TestSpreads(t *testing.T) {
	fixtures := testruns.Read(t, "../claims/testdata/ipv4.json.gz")
	crash := fixtures["crash"]
	base := crash.Detection.AfterWrite
	runs := seeded(crash, 0, 100, 2400, 2500, 7, 2400)
	runs[3].Outcome = record.Inconclusive
	runs[3].Detection = record.Detection{AfterWrite: -1}
	alone := seeded(fixtures["kill"], 0)
	other := seeded(crash, 0, 0)
	for _, r := range other {
		r.Kernel.Release = "another"
	}
	onHost := []*record.Record{crash, crash}

	var all []*record.Record
	for _, some := range [][]*record.Record{runs, alone, other, onHost} {
		all = append(all, some...)
	}
	spreads := report.Spreads(all)
	if len(spreads) != 2 {
		t.Fatalf("%d spreads, want that of the six runs and that of the other kernel: %+v", len(spreads), spreads)
	}
	s := spreads[0]
	if want := []report.Share{{What: "as expected", Runs: 5}, {What: "inconclusive", Runs: 1}}; !cmp.Equal(s.Outcomes, want) {
		t.Errorf("outcomes %v, want %v", s.Outcomes, want)
	}
	d := s.Times
	if d.N != 5 || d.Min != base || d.Median != base+100 || d.Max != base+2400 {
		t.Errorf("times %+v, want 5 from %d to %d, the median 100 after the first", d, base, base+2400)
	}
	sum := 0
	for i, b := range d.Bins {
		sum += b.N
		if b.To < b.From || i > 0 && b.From != d.Bins[i-1].To {
			t.Errorf("bin %d is from %d to %d", i, b.From, b.To)
		}
	}
	if first, last := d.Bins[0].N, d.Bins[len(d.Bins)-1].N; sum != 5 || first != 3 || last != 2 || len(d.Bins) > 12 {
		t.Errorf("bins %v: want 3 of 5 in the first and 2 in the last", d.Bins)
	}
	if d := spreads[1].Times; d.N != 2 || d.Min != d.Max || len(d.Bins) != 1 || d.Bins[0].N != 2 {
		t.Errorf("two equal times: %+v", d)
	}

	var b bytes.Buffer
	if err := report.SpreadText(&b, spreads, report.Screen{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"crash, 6 runs", "as expected (5), inconclusive (1)", "after the client's write", "####"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in the text:\n%s", want, b.String())
		}
	}
}
