package report_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
)

var update = flag.Bool("update", false, "write the golden files anew")

func load(t *testing.T, scenario string) *record.Record {
	t.Helper()
	r, err := record.ReadFile(filepath.Join("..", "testdata", scenario+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func text(t *testing.T, r *record.Record) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Header(&b, r, report.Screen{}); err != nil {
		t.Fatal(err)
	}
	if err := report.Text(&b, r, report.Screen{}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The text of real records, looked at by a person once.
func TestText(t *testing.T) {
	for _, scenario := range []string{"kill", "crash", "crash-lan", "unreachable-host", "reboot", "shutdown", "failover", "firewall-reject", "simultaneous-close", "crash-idle"} {
		t.Run(scenario, func(t *testing.T) {
			golden := filepath.Join("testdata", scenario+".txt")
			got := text(t, load(t, scenario))
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("text differs (-want +got); go test -update writes it anew:\n%s", diff)
			}
		})
	}
}

// What programs and packets say must not reach a terminal as it is.
func TestHostileOutputIsHarmless(t *testing.T) {
	r := load(t, "crash")
	hostile := "\x1b[2J\x1b]0;owned\x07 \u009b31m \r\n"
	r.Reasons = []string{hostile}
	for i := range r.Events {
		switch e := &r.Events[i]; {
		case e.Source == record.Output:
			e.Text = hostile
		case e.Process != nil:
			e.Process.Argv = []string{hostile}
			e.Comm = hostile
		case e.Syscall != nil:
			e.Syscall.Arg = hostile
		}
	}
	for _, c := range text(t, r) {
		if c != '\n' && c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 {
			t.Fatalf("the text contains the control character %q", c)
		}
	}
}

func TestNoTrailingSpaceAndNoLongProse(t *testing.T) {
	for i, line := range strings.Split(text(t, load(t, "kill")), "\n") {
		if strings.HasSuffix(line, " ") {
			t.Errorf("line %d ends in a space: %q", i+1, line)
		}
		if n := len([]rune(line)); n > 140 {
			t.Errorf("line %d has %d characters: %q", i+1, n, line)
		}
	}
}

func TestEveryOutcomeIsSaid(t *testing.T) {
	for _, c := range []struct {
		outcome record.Outcome
		want    string
	}{
		{record.AsExpected, "verdict   as expected: read() = ETIMEDOUT"},
		{record.NotAsExpected, "verdict   not as expected: read() = ETIMEDOUT"},
		{record.Inconclusive, "verdict   inconclusive: read() = ETIMEDOUT"},
	} {
		r := load(t, "crash")
		r.Outcome = c.outcome
		if got := text(t, r); !strings.Contains(got, c.want) {
			t.Errorf("%s: the text does not say %q", c.outcome, c.want)
		}
	}
}

func TestUnknownChecksAreNotFailures(t *testing.T) {
	r := load(t, "kill")
	r.Signature.OK = false
	r.Signature.Checks[0].OK, r.Signature.Checks[0].Unknown = false, true
	got := text(t, r)
	if !strings.Contains(got, "signature unknown: 1 of 5 checks could not be made") || strings.Contains(got, "NOT ok") {
		t.Errorf("text:\n%s", got)
	}
}

// Without a fault there is none that could be another.
func TestNoFault(t *testing.T) {
	r := load(t, "simultaneous-close")
	if got := text(t, r); !strings.Contains(got, "signature ok: what had to be seen was seen") || strings.Contains(got, " fault") {
		t.Errorf("text:\n%s", got)
	}
	r.Outcome, r.Signature.OK, r.Signature.Checks[0].OK = record.NotAsExpected, false, false
	if got := text(t, r); !strings.Contains(got, "signature NOT ok: 1 of 1 checks failed") || strings.Contains(got, "what it is called") {
		t.Errorf("text:\n%s", got)
	}
	r.Signature = record.Signature{Checks: []record.Check{}}
	if got := text(t, r); strings.Contains(got, "signature") {
		t.Errorf("text:\n%s", got)
	}
}

// Where no check failed, the fault is not to blame.
func TestNoCheckFailed(t *testing.T) {
	r := load(t, "crash")
	r.Outcome, r.Signature.OK, r.Signature.Checks[0].OK, r.Signature.Checks[0].Unknown = record.NotAsExpected, false, false, true
	if got := text(t, r); strings.Contains(got, "what it is called") {
		t.Errorf("text:\n%s", got)
	}
}

func TestSummary(t *testing.T) {
	var b bytes.Buffer
	if err := report.Summary(&b, []*record.Record{load(t, "crash"), load(t, "unreachable-net")}, report.Screen{}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "crash            as expected") || !strings.Contains(lines[1], "ENETUNREACH") {
		t.Errorf("summary:\n%s", b.String())
	}
}
