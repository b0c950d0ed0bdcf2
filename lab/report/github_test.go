package report_test

import (
	"bytes"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
)

func annotations(t *testing.T, records ...*record.Record) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Annotations(&b, records, func(file string) string { return path.Join("tests", file) }); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestAnnotations(t *testing.T) {
	mine := wrong(t)
	mine.File, mine.Scenario, mine.Command = "a,b:c.lab", "mine", "lab run a,b:c.lab"
	for i := range mine.Expectations {
		mine.Expectations[i].Place = strings.Replace(mine.Expectations[i].Place, "crash.lab", mine.File, 1)
	}
	mine.Reasons = []string{"100% wrong: it, and\nthat", "second"}
	unsure := load(t, "kill")
	unsure.Outcome, unsure.Reasons = record.Inconclusive, []string{"the observers lost 3 events"}
	checked := wrong(t)
	checked.Reasons = checked.Reasons[1:]
	for i := range checked.Expectations {
		if x := &checked.Expectations[i]; !x.OK {
			x.Place = "lab.check:7"
		}
	}
	whole := wrong(t)
	whole.Expectations, whole.File, whole.Reasons = nil, "x.lab", []string{"signature: one"}
	option := wrong(t)
	option.Expectations, option.Reasons = []record.Expectation{{Place: "--expect"}}, []string{"no"}
	got := strings.Split(annotations(t, load(t, "reboot"), wrong(t), mine, unsure, checked, whole, option), "\n")
	want := []string{
		"::error title=crash%3A not as expected::crash.lab:25: expect -told client read() = EOF: seen instead: read() = ETIMEDOUT%0Asecond%0Arepeat: sudo lab run crash",
		"::error file=tests/a%2Cb%3Ac.lab,line=25,title=mine%3A not as expected::100%25 wrong: it, and\\nthat%0Asecond%0Arepeat: sudo lab run a,b:c.lab",
		"::warning title=kill%3A inconclusive::the observers lost 3 events%0Arepeat: sudo lab run kill",
		"::error file=tests/lab.check,line=7,title=crash%3A not as expected::second%0Arepeat: sudo lab run crash",
		"::error file=tests/x.lab,title=crash%3A not as expected::signature: one%0Arepeat: sudo lab run crash",
		"::error title=crash%3A not as expected::no%0Arepeat: sudo lab run crash",
		"",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
}

// What a program says must not become a command, nor another cell.
func TestHostileRecordsOnGitHub(t *testing.T) {
	for _, text := range []string{hostile, "x\n::stop-commands::y", "x\r\n::error::y", strings.Repeat("::error::|", 100000)} {
		r := load(t, "reboot")
		spoil(r, text)
		r.Outcome, r.File = record.NotAsExpected, text
		got := annotations(t, r)
		if !strings.HasPrefix(got, "::error file=") || strings.Count(got, "\n") != 1 || strings.Contains(got, "\r") || len(got) > 1<<20 {
			t.Errorf("%.200q", got)
		}
		var b bytes.Buffer
		if err := report.Markdown(&b, []*record.Record{r, r}); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(b.String(), "\n")
		if len(lines) != 8 || b.Len() > 10000 {
			t.Errorf("%d lines, %d octets:\n%.500q", len(lines), b.Len(), b.String())
		}
		bare := strings.NewReplacer(`\\`, "", `\|`, "").Replace(lines[4])
		if strings.Count(bare, "|") != 5 {
			t.Errorf("cells %q", lines[4])
		}
	}
}

func TestMarkdown(t *testing.T) {
	unsure := load(t, "reboot")
	unsure.Outcome, unsure.Reasons = record.Inconclusive, []string{"tcp_retries2 | <b>"}
	var b bytes.Buffer
	if err := report.Markdown(&b, []*record.Record{load(t, "kill"), wrong(t), unsure}); err != nil {
		t.Fatal(err)
	}
	want := `### lab: 1 as expected, 1 not as expected, 1 inconclusive

| | Scenario | Outcome | What was seen |
|---|---|---|---|
| ✅ | kill | as expected | read() = EOF, 92.3 µs after the client's write (predicted: EOF at once) |
| ❌ | crash | not as expected | crash.lab:25: expect -told client read() = EOF: seen instead: read() = ETIMEDOUT |
| ⚠️ | reboot | inconclusive | tcp\_retries2 \| \<b\> |

`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}
