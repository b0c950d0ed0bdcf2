package report_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
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

// golden holds a text against a file of testdata, or writes that anew.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("text differs (-want +got); go test -update writes it anew:\n%s", diff)
	}
}

// The text of real records, looked at by a person once.
func TestText(t *testing.T) {
	for _, scenario := range []string{"kill", "crash", "crash-lan", "unreachable-host", "reboot", "shutdown", "failover", "firewall-reject", "simultaneous-close", "crash-idle"} {
		t.Run(scenario, func(t *testing.T) {
			golden(t, scenario+".txt", text(t, load(t, scenario)))
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

// A record may be anybody's: none of its strings reaches a terminal as it is,
// whatever is printed of it.
func TestHostileRecordIsHarmless(t *testing.T) {
	const hostile = "\x1b[31m\u009b31m\rX\n\u202e"
	for _, scenario := range []string{"crash", "kill", "failover"} {
		for _, everything := range []bool{false, true} {
			r, demanded := load(t, scenario), load(t, scenario)
			demanded.Demand = &record.Demand{Server: []string{"s"}, Client: []string{"c"}, When: "connected", Expect: "EOF"}
			demanded.Actions = []record.Action{{Kind: record.ActExit, What: "exit 1"}}
			for _, r := range []*record.Record{r, demanded} {
				poison(reflect.ValueOf(r).Elem(), hostile, everything)
			}
			for _, s := range []report.Screen{{}, {Width: 80}, {Width: 200, Colour: true}} {
				var b bytes.Buffer
				for _, r := range []*record.Record{r, demanded} {
					err := errors.Join(report.Header(&b, r, s), report.Text(&b, r, s), report.Failure(&b, r), report.Diff(&b, r, load(t, "crash"), s),
						report.Summary(&b, []*record.Record{r}, s), report.Ways(&b, []*record.Record{r}, s))
					if err != nil {
						t.Fatal(err)
					}
				}
				got := b.String()
				if strings.Contains(got, "\x1b[31m\\x") || strings.Contains(got, "\x1b[31m\u009b") || !s.Colour && strings.Contains(got, "\x1b") || strings.ContainsAny(got, "\u009b\r\u202e") {
					t.Errorf("%s, screen %+v, everything %v: a control character of the record is in the text", scenario, s, everything)
				}
			}
		}
	}
}

// A wait tells of events, and names no error; a write that began before the
// fault is none after it.
func TestToldAsItWas(t *testing.T) {
	r := load(t, "keepalive")
	r.Detection.Syscall, r.Detection.Events = "ppoll", "POLLERR"
	if got := text(t, r); !strings.Contains(got, "verdict   as expected: ppoll() told POLLERR: ETIMEDOUT, 5.08 s after the last segment received before the\n") {
		t.Errorf("keepalive:\n%s", got)
	}
	if got := report.Saw(r); got != "ppoll() told POLLERR: ETIMEDOUT" {
		t.Errorf("keepalive: %s", got)
	}
	if got := report.Told(load(t, "zero-window-lost")); !strings.HasSuffix(got, " after the client's write, which began before the fault") {
		t.Errorf("zero-window-lost: %s", got)
	}
	if got := report.Told(load(t, "crash")); !strings.HasSuffix(got, " after the client's first write") {
		t.Errorf("crash: %s", got)
	}
}

// What was acknowledged ended by nothing of its own.
func TestNoEndAfterAnAnswer(t *testing.T) {
	if got := text(t, load(t, "zero-window-lost")); !strings.Contains(got, "tail loss probe") || strings.Contains(got, "tail loss probe, end after") {
		t.Errorf("zero-window-lost:\n%s", got)
	}
	if got := text(t, load(t, "crash")); !strings.Contains(got, ", end after") {
		t.Errorf("crash:\n%s", got)
	}
}

// poison appends to each string of a value, but, unless it is to everything, to
// those that say what kind of thing it is.
func poison(v reflect.Value, with string, everything bool) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + with)
	case reflect.Pointer:
		if !v.IsNil() {
			poison(v.Elem(), with, everything)
		}
	case reflect.Slice:
		for i := range v.Len() {
			poison(v.Index(i), with, everything)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			switch name := v.Type().Field(i).Name; {
			case !everything && (name == "Kind" || name == "Source" || name == "Model" || name == "From" || name == "Fate" || name == "Outcome" || name == "Proto"):
			default:
				poison(v.Field(i), with, everything)
			}
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			k, e := reflect.New(key.Type()).Elem(), reflect.New(v.Type().Elem()).Elem()
			k.Set(key)
			e.Set(v.MapIndex(key))
			poison(k, with, everything)
			poison(e, with, everything)
			v.SetMapIndex(key, reflect.Value{})
			v.SetMapIndex(k, e)
		}
	}
}
