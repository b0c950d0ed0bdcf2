package page

import (
	"fmt"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// texts are the lines of a row on both sides.
func (s *scene) texts(w *ladder.Row) (client, server []string) {
	if w.Table {
		lines := tableLines(w)
		if sideOf(w.Host) == "client" {
			return lines, nil
		}
		return nil, lines
	}
	return fold(w.Client, sideColumn), fold(w.Server, sideColumn)
}

// across are the lines of a fault.
func (s *scene) across(w *ladder.Row) []string {
	return fold(w.Across, s.right-timeColumn-24)
}

// left are the lines of what was left out.
func left(w *ladder.Row) []string { return fold(w.Left.String(), wireColumn-20) }

// mostSockets is how many rows of a socket table are drawn.
const mostSockets = 4

func tableLines(w *ladder.Row) []string {
	lines := []string{"socket table:"}
	if len(w.Sockets) == 0 {
		return []string{"socket table: empty"}
	}
	for i, s := range w.Sockets {
		if i == mostSockets {
			lines = append(lines, fmt.Sprintf("and %d more", len(w.Sockets)-i))
			break
		}
		text := s.State + " " + s.Local
		if s.RecvQueue > 0 {
			text += fmt.Sprintf(", Recv-Q %d", s.RecvQueue)
		}
		if s.SendQueue > 0 {
			text += fmt.Sprintf(", Send-Q %d", s.SendQueue)
		}
		if s.Timer != "" && s.Expires > 0 {
			text += ", " + s.Timer + " in " + record.Span(s.Expires)
		}
		lines = append(lines, fold(text, sideColumn)...)
	}
	return lines
}

// mostLines bounds a text's.
const mostLines = 4

// fold breaks a text into lines that fit into a width.
func fold(text string, width float64) []string {
	if text == "" {
		return nil
	}
	lines := report.Wrap(text, int(width/letter))
	if len(lines) > mostLines {
		lines = append(lines[:mostLines-1], lines[mostLines-1]+" …")
	}
	return lines
}
