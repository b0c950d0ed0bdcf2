package report

import (
	"io"
	"strings"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// Summary writes a line a run.
func Summary(w io.Writer, records []*record.Record) error {
	p := &printer{w: w}
	width := 0
	for _, r := range records {
		width = max(width, len(r.Scenario))
	}
	for _, r := range records {
		p.line("%-*s  %-15s  %s", width, r.Scenario, strings.ReplaceAll(string(r.Outcome), "-", " "), Answer(r))
	}
	return p.err
}
