package report

import (
	"io"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// Summary writes a line a run.
func Summary(w io.Writer, records []*record.Record, s Screen) error {
	p := &printer{w: w, screen: s}
	width := 0
	for _, r := range records {
		width = max(width, len(r.Scenario))
	}
	for _, r := range records {
		outcome := Outcome(r)
		label := pad(r.Scenario, width) + "  " + pad(outcome, 15) + "  "
		if s.Width == 0 {
			p.line("%s", label+Answer(r))
			continue
		}
		p.painted(outcomeColour(r.Outcome), outcome, label, Answer(r))
	}
	return p.err
}
