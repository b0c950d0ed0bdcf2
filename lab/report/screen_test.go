package report_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/seed-6fefc909/tcplab/internal/testruns"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
)

// everyRun gives the records of runs of nearly every scenario.
func everyRun(t *testing.T) map[string]*record.Record {
	t.Helper()
	records := map[string]*record.Record{}
	for _, family := range []string{"ipv4", "ipv6"} {
		for name, r := range testruns.Read(t, "../claims/testdata/"+family+".json.gz") {
			records[family+" "+name] = r
		}
	}
	return records
}

func onScreen(t *testing.T, r *record.Record, s report.Screen) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Header(&b, r, s); err != nil {
		t.Fatal(err)
	}
	if err := report.Text(&b, r, s); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestFitsTheScreen(t *testing.T) {
	for name, r := range everyRun(t) {
		for _, width := range []int{80, 100, 120, 200} {
			for line := range strings.Lines(onScreen(t, r, report.Screen{Width: width})) {
				line = strings.TrimSuffix(line, "\n")
				if n := utf8.RuneCountInString(line); n > width {
					t.Errorf("%s at %d columns: a line of %d: %s", name, width, n, line)
				}
			}
		}
	}
}

// A wide screen is used: nothing is broken that fits beside the others.
func TestWideScreenIsUsed(t *testing.T) {
	r := load(t, "crash")
	narrow, wide := onScreen(t, r, report.Screen{Width: 80}), onScreen(t, r, report.Screen{Width: 160})
	const cell = "retransmit 1, next after 0.42 s"
	if strings.Contains(narrow, cell) || !strings.Contains(wide, cell) {
		t.Errorf("at 80 columns:\n%s\nat 160:\n%s", narrow, wide)
	}
	if n, w := strings.Count(narrow, "\n"), strings.Count(wide, "\n"); w >= n {
		t.Errorf("%d lines at 160 columns, %d at 80", w, n)
	}
}

var sequence = regexp.MustCompile("\x1b\\[[0-9]*m")

// Without its colours a text is the same, so that no colour says anything alone.
func TestColourAddsNothing(t *testing.T) {
	for _, name := range []string{"crash", "kill", "unreachable-host"} {
		for _, outcome := range []record.Outcome{record.AsExpected, record.NotAsExpected, record.Inconclusive} {
			r := load(t, name)
			r.Outcome = outcome
			plain := onScreen(t, r, report.Screen{Width: 80})
			painted := onScreen(t, r, report.Screen{Width: 80, Colour: true})
			if !sequence.MatchString(painted) || sequence.MatchString(plain) {
				t.Errorf("%s: colours: %v, without any: %v", name, sequence.MatchString(painted), sequence.MatchString(plain))
			}
			if sequence.ReplaceAllString(painted, "") != plain {
				t.Errorf("%s: the text differs with colours:\n%s", name, painted)
			}
		}
	}
}

// What is to be run next stays apart where a line is too short for all of it.
func TestNextIsReadable(t *testing.T) {
	r := load(t, "crash")
	r.Next = []string{"keepalive-user-timeout", "read-timeout", "user-timeout", "crash-lan"}
	text := onScreen(t, r, report.Screen{Width: 80})
	if !strings.Contains(text, "next      lab run keepalive-user-timeout, lab run read-timeout, lab run\n          user-timeout, lab run crash-lan") {
		t.Errorf("text:\n%s", text)
	}
}

// Of a recording in which nothing was asked for it is not said that it was expected.
func TestRecordedClaimsNoExpectation(t *testing.T) {
	r := load(t, "crash")
	r.ByHand, r.Expectations, r.Prediction = true, nil, record.Prediction{}
	_, text, _ := strings.Cut(onScreen(t, r, report.Screen{}), "\nverdict   ")
	if !strings.HasPrefix(text, "recorded: read() = ETIMEDOUT, ") || !strings.Contains(text, "signature ok: the fault was what it is called") || strings.Contains(text, "expected") {
		t.Errorf("the verdict: %s", text)
	}
	r.Fault, r.Detection = record.FaultInfo{}, record.Detection{}
	if _, text, _ := strings.Cut(onScreen(t, r, report.Screen{}), "\nverdict   "); !strings.HasPrefix(text, "recorded: no fault came meanwhile\n") {
		t.Errorf("without a fault: %s", text)
	}
	r.Outcome = record.NotAsExpected
	if said := report.Outcome(r); said != "not as expected" {
		t.Errorf("what is not what it is called is %q", said)
	}
}
