package page

import (
	"html/template"
	"io"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// beside is two records side by side, as its template shows them.
type beside struct {
	Title  string
	Sum    string
	Note   string // "" where both are of one scenario
	Sides  []side
	Groups []comparedGroup
}

type side struct {
	Name, Scenario, Question, Answer string
	Mark                             mark
	Command                          string
	Facts                            []fact
	Ladder                           template.HTML
}

type comparedGroup struct {
	Title        string
	Differ, Same []report.ComparisonRow
	Agrees       string // how many rows are the same
}

// Diff writes two records side by side: what differs, what is the same, and
// both ladders.
func Diff(w io.Writer, a, b *record.Record) error {
	c := report.Compare(a, b)
	v := beside{
		Title: plain(a.Scenario) + " and " + plain(b.Scenario) + ", side by side",
		Sum:   c.Sum(), Sides: []side{oneSide("A", a), oneSide("B", b)},
	}
	if a.Scenario != b.Scenario {
		v.Note = report.DifferentScenarios
	}
	for _, g := range c.Groups {
		v.Groups = append(v.Groups, comparedOf(g))
	}
	return execute(w, "beside", v)
}

func oneSide(name string, r *record.Record) side {
	verdict := verdictOf(r)
	d := sceneOf(r, ladder.Rows(r)).drawing(false)
	return side{
		Name: name, Scenario: verdict.Scenario, Question: verdict.Title, Answer: verdict.Answer, Mark: verdict.Mark,
		Command: verdict.Command, Facts: verdict.Facts, Ladder: d.drawn("ladder", name+": "+d.draw()),
	}
}

func comparedOf(g report.ComparisonGroup) comparedGroup {
	out := comparedGroup{Title: g.Title}
	for _, row := range g.Rows {
		row.Label, row.A, row.B = bounded(row.Label, maxText), bounded(row.A, maxText), bounded(row.B, maxText)
		if row.Same {
			out.Same = append(out.Same, row)
		} else {
			out.Differ = append(out.Differ, row)
		}
	}
	out.Agrees = ladder.Count(len(out.Same), "line") + " the same"
	return out
}
