package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// Annotations writes a workflow command of GitHub Actions for each run that is
// not as expected: an error, or a warning of what is inconclusive. Where the
// scenario is a file, the command points into it; where says how that file is
// called in the repository.
func Annotations(w io.Writer, records []*record.Record, where func(file string) string) error {
	p := &printer{w: w}
	for _, r := range records {
		level := "warning"
		switch r.Outcome {
		case record.AsExpected:
			continue
		case record.NotAsExpected:
			level = "error"
		}
		place := ""
		if file, line := userPlace(r); file != "" {
			place = "file=" + property(clip(where(file))) + ","
			if line > 0 {
				place += fmt.Sprintf("line=%d,", line)
			}
		}
		title := caseName(r) + ": " + Clean(Outcome(r))
		message := Clean(firstReason(r))
		for i, reason := range r.Reasons {
			if i > 0 {
				message += "\n" + Clean(clip(reason))
			}
		}
		message = bounded(message, maxMessage) + "\nrepeat: sudo " + Clean(clip(r.Command))
		p.line("::%s %stitle=%s::%s", level, place, property(bounded(title, maxName)), data(message))
	}
	return p.err
}

// userPlace is where in a file of the user's a run failed: at an expectation,
// else the scenario as a whole, with line 0. It is "" for a built-in scenario.
func userPlace(r *record.Record) (file string, line int) {
	for _, x := range r.Expectations {
		if x.OK || x.Optional {
			continue
		}
		i := strings.LastIndexByte(x.Place, ':')
		if i <= 0 {
			continue // an option of the command line
		}
		file, number := x.Place[:i], x.Place[i+1:]
		if r.File == "" && file == r.Scenario+".lab" {
			continue
		}
		if n, err := strconv.Atoi(number); err == nil && n > 0 {
			return file, n
		}
	}
	return r.File, 0
}

// data escapes what follows a workflow command, property what it is told.
// (toolkit, packages/core/src/command.ts)
func data(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

func property(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace(strings.ToValidUTF8(s, "\uFFFD"))
}

// Markdown writes runs as a table, for a step's summary on GitHub.
func Markdown(w io.Writer, records []*record.Record) error {
	p := &printer{w: w}
	count := map[record.Outcome]int{}
	for _, r := range records {
		count[r.Outcome]++
	}
	p.line("### lab: %d as expected, %d not as expected, %d inconclusive", count[record.AsExpected], count[record.NotAsExpected],
		len(records)-count[record.AsExpected]-count[record.NotAsExpected])
	p.line("")
	p.line("| | Scenario | Outcome | What was seen |")
	p.line("|---|---|---|---|")
	for _, r := range records {
		mark, seen := "⚠️", firstReason(r)
		switch r.Outcome {
		case record.AsExpected:
			mark, seen = "✅", Answer(r)
		case record.NotAsExpected:
			mark = "❌"
		}
		p.line("| %s | %s | %s | %s |", mark, cell(caseName(r)), cell(Outcome(r)), cell(seen))
	}
	p.line("")
	return p.err
}

// maxCell bounds a cell of a table, in octets.
const maxCell = 400

// cell is a text that Markdown shows as it is.
func cell(s string) string {
	var b strings.Builder
	for _, c := range Clean(bounded(s, maxCell)) {
		if strings.ContainsRune("\\`*_[]<>|~&#!@", c) {
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
	return b.String()
}
