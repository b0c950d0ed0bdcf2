package report_test

import (
	"bytes"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
)

// until is the record as it was at a time of its run.
func until(r *record.Record, t int64) *record.Record {
	part := *r
	if part.Fault.Time > t {
		part.Fault = record.FaultInfo{}
	}
	part.Events = slices.DeleteFunc(slices.Clone(r.Events), func(e record.Event) bool {
		return e.Time > t || e.Kind == record.KindEnter
	})
	return &part
}

// What is written while the run goes on is what the timeline says in the end:
// each line once, and from the fault on with the same times.
func TestFollower(t *testing.T) {
	for _, name := range []string{"crash", "kill", "crash-idle", "failover", "half-close"} {
		t.Run(name, func(t *testing.T) {
			r := load(t, name)
			var got bytes.Buffer
			f := report.Follower{}
			for at := int64(-5e7); at < r.Duration; at += 7e7 {
				if err := f.Write(&got, until(r, at), at); err != nil {
					t.Fatal(err)
				}
			}
			if err := f.End(&got, r); err != nil {
				t.Fatal(err)
			}
			var want bytes.Buffer
			if err := report.Text(&want, r, report.Screen{}); err != nil {
				t.Fatal(err)
			}
			timeline, _, _ := strings.Cut(strings.TrimPrefix(want.String(), "\n"), "\n\n")
			_, followed, _ := strings.Cut(got.String(), "anew from the fault\n")
			if diff := cmp.Diff(said(timeline), said(followed)); diff != "" {
				t.Errorf("followed (-timeline +followed):\n%s", diff)
			}
			for _, line := range strings.Split(timeline, "\n") {
				if at, _, _ := strings.Cut(strings.TrimSpace(line), " "); strings.HasPrefix(at, "0.") && strings.Contains(line, "✕") && !strings.Contains(got.String(), at) {
					t.Errorf("no line is of %s s", at)
				}
			}
			if strings.Count(got.String(), "   0.000000") != 1 {
				t.Errorf("not one line is of the fault's time:\n%s", got.String())
			}
		})
	}
}

// The heading comes again where the columns are others.
func TestFollowerResized(t *testing.T) {
	r := load(t, "crash")
	var b bytes.Buffer
	f := report.Follower{Screen: report.Screen{Width: 100}}
	for i, width := range []int{100, 140, 140} {
		f.Screen.Width = width
		if err := f.Write(&b, r, r.Fault.Time+int64(i+1)*2e9); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(b.String(), "time (s)"); n != 2 {
		t.Errorf("%d headings:\n%s", n, &b)
	}
}

// Who watches by hand is told at once that what comes will be shown, and how.
func TestFollowerByHand(t *testing.T) {
	r := load(t, "crash")
	r.ByHand = true
	var b bytes.Buffer
	f := report.Follower{}
	f.Skip(r.Fault.Time - 1)
	for _, at := range []int64{r.Fault.Time - 1, r.Fault.Time - 1, r.Fault.Time + 2e9} {
		if err := f.Write(&b, until(r, at), at); err != nil {
			t.Fatal(err)
		}
		for _, once := range []string{"times count from when the lab came up", "time (s)"} {
			if n := strings.Count(b.String(), once); n != 1 {
				t.Errorf("until %d %d times %q:\n%s", at, n, once, &b)
			}
		}
	}
	if n := strings.Count(b.String(), "fault crash: link down"); n != 1 {
		t.Errorf("%d times the fault:\n%s", n, &b)
	}
}

// said are the lines of a timeline in alphabetical order, without the times,
// and without what only the future told.
func said(timeline string) []string {
	var lines []string
	for _, line := range strings.Split(strings.TrimSuffix(timeline, "\n"), "\n") {
		if strings.Contains(line, "these calls began earlier") {
			continue
		}
		line = line[min(12, len(line)):]
		for _, future := range []string{", next after", ", end after"} {
			if i := strings.Index(line, future); i >= 0 {
				line = line[:i] + line[i+len(future)+len(" 0.42 s"):]
			}
		}
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	slices.Sort(lines)
	return lines
}

// The lines are the record's events, each once and in their order.
func TestLines(t *testing.T) {
	files, err := filepath.Glob("../testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no records:", err)
	}
	for _, file := range files {
		r := load(t, strings.TrimSuffix(filepath.Base(file), ".json"))
		var got []record.Event
		lines := report.Lines{}
		for at := int64(0); at < r.Duration; at += r.Duration/50 + 1 {
			for _, line := range lines.Next(until(r, at), at) {
				if line.Scenario != r.Scenario {
					t.Fatalf("%s: a line of %q", r.Scenario, line.Scenario)
				}
				got = append(got, line.Event)
			}
		}
		for _, line := range lines.Next(r, math.MaxInt64) {
			got = append(got, line.Event)
		}
		enter := func(e record.Event) bool { return e.Kind == record.KindEnter }
		want := slices.DeleteFunc(slices.Clone(r.Events), enter)
		if diff := cmp.Diff(want, slices.DeleteFunc(got, enter)); diff != "" {
			t.Errorf("%s (-record +lines):\n%s", r.Scenario, diff)
		}
	}
}

// What became known too late for its place is counted.
func TestLate(t *testing.T) {
	r := load(t, "crash")
	part := until(r, r.Duration/2)
	told := len(part.Events)
	part.Events = slices.Delete(part.Events, told/2, told/2+3)
	var out bytes.Buffer
	f, lines := report.Follower{}, report.Lines{}
	if err := f.Write(&out, part, r.Duration/2); err != nil {
		t.Fatal(err)
	}
	if err := f.End(&out, r); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), report.Late(3)) {
		t.Errorf("%q is not said in\n%s", report.Late(3), out.String())
	}
	lines.Next(part, r.Duration/2)
	lines.Next(r, math.MaxInt64)
	if lines.Late() != 3 {
		t.Errorf("%d lines are late, not 3", lines.Late())
	}
}
