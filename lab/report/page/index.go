package page

import (
	"cmp"
	"fmt"
	"html/template"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// An Entry is a run of an index.
type Entry struct {
	Record *record.Record
	// Gone says what went away, in a few words; "" for the names of the faults.
	Gone string
	// Page is the run's own page, as a path from the index on; "" if there is
	// none.
	Page string
}

// A Chapter is a group of scenarios, by their names, and what to look at in
// them.
type Chapter struct {
	Title, Text string
	Names       []string
}

// An index is what its template shows.
type index struct {
	Title    string
	NotBegun string // "" if all were
	Kernels  []string
	Sums     []sum
	Legend   template.HTML
	Chapters []indexChapter
	All      []card
	Spreads  []spreadView
}

// A sum is how many of the runs came to an outcome.
type sum struct {
	Mark  mark
	Count int
}

type indexChapter struct {
	ID, Title, Text string
	Cards           []card
}

// A card is a run of the index.
type card struct {
	ID                            string
	Name, Title                   string
	Mark                          mark
	Gone, Saw, Expected, Measured string
	Then                          string // what the client was told next
	Page                          string
	Thumb                         template.HTML
	Circumstances                 string // what tells runs of one scenario apart
	Again                         bool   // there are several of its scenario
}

// Index writes the page of several runs: a chapter after the other, in which
// each run has a small drawing, and a table of all. What is in no chapter, for
// it is no built-in scenario, comes last. notBegun names the scenarios that were
// asked for, too, but not begun before an interrupt.
func Index(w io.Writer, entries []Entry, chapters []Chapter, notBegun ...string) error {
	v := index{Title: title(len(entries), len(notBegun)), NotBegun: bounded(strings.Join(notBegun, ", "), maxText), Legend: legend()}
	byName := map[string][]card{} // of built-in scenarios
	var rest []card
	outcomes := map[record.Outcome]int{}
	times := map[string]int{}
	for _, e := range entries {
		times[e.Record.Scenario]++
		if k := plain("Linux " + e.Record.Kernel.Release); !slices.Contains(v.Kernels, k) {
			v.Kernels = append(v.Kernels, k)
		}
	}
	v.Spreads = spreadsOf(entries)
	if len(v.Spreads) > 0 && len(times) == 1 {
		// They are about the seeds, and a scenario alone is no chapter.
		v.Title += " of " + bounded(entries[0].Record.Scenario, maxText)
		chapters = nil
	}
	for i, e := range entries {
		c := cardOf(e, len(v.Kernels) > 1)
		c.Again = times[e.Record.Scenario] > 1
		c.ID = fmt.Sprintf("run-%d", i+1)
		if name := e.Record.Scenario; e.Record.File == "" && inChapter(chapters, name) {
			byName[name] = append(byName[name], c)
		} else {
			rest = append(rest, c)
		}
		outcomes[e.Record.Outcome]++
	}
	for o, n := range outcomes {
		v.Sums = append(v.Sums, sum{outcomeMark(o), n})
	}
	slices.SortFunc(v.Sums, func(a, b sum) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Mark.Word, b.Mark.Word))
	})
	put := func(title, text string, cards []card) {
		if len(cards) > 0 {
			id := fmt.Sprintf("chapter-%d", len(v.Chapters)+1)
			v.Chapters = append(v.Chapters, indexChapter{id, title, text, cards})
			v.All = append(v.All, cards...)
		}
	}
	for _, ch := range chapters {
		var cards []card
		for _, name := range ch.Names {
			cards = append(cards, byName[name]...)
		}
		put(ch.Title, ch.Text, cards)
	}
	title := "Other runs"
	if len(v.Chapters) == 0 {
		title = "The runs"
	}
	put(title, "", rest)
	return execute(w, "index", v)
}

// title says how many runs there are, of how many that were asked for.
func title(runs, notBegun int) string {
	if notBegun == 0 {
		return ladder.Count(runs, "run")
	}
	return fmt.Sprintf("%d of %s", runs, ladder.Count(runs+notBegun, "run"))
}

func inChapter(chapters []Chapter, name string) bool {
	return slices.ContainsFunc(chapters, func(c Chapter) bool { return slices.Contains(c.Names, name) })
}

func cardOf(e Entry, kernels bool) card {
	r := e.Record
	circumstances := []string{r.Path, "IPv" + ladder.Thousands(r.Family)}
	if r.Timers == "real" {
		circumstances = append(circumstances, "the kernel's own timers")
	}
	if kernels {
		circumstances = append(circumstances, "Linux "+r.Kernel.Release)
	}
	if w := r.Kernel.Warp; w != nil {
		circumstances = append(circumstances, fmt.Sprintf("%s, seed %d", w.Engine, w.Seed))
	}
	return card{
		Name: cmp.Or(bounded(r.Scenario, maxText), "unnamed"), Title: bounded(r.Title, maxText), Mark: markOf(r),
		Gone: bounded(cmp.Or(e.Gone, report.Gone(r)), maxText), Saw: bounded(report.Saw(r), maxText),
		Expected: bounded(report.Expected(r), maxText), Measured: report.Measured(r),
		Then: bounded(report.Afterwards(r), maxText),
		Page: (&url.URL{Path: e.Page}).String(), Thumb: thumb(r, ladder.Rows(r)),
		Circumstances: bounded(strings.Join(circumstances, ", "), maxText),
	}
}

// markOf is that of a run's outcome.
func markOf(r *record.Record) mark {
	m := outcomeMark(r.Outcome)
	m.Word = plain(report.Outcome(r))
	return m
}

// outcomeMark is an outcome's, in its own words.
func outcomeMark(o record.Outcome) mark {
	switch o {
	case record.AsExpected:
		return mark{"✓", words(o), "good"}
	case record.NotAsExpected:
		return mark{"✕", words(o), "bad"}
	}
	return mark{"?", words(o), "unknown"}
}

// legend shows what a thumb is made of, on a run that never was.
func legend() template.HTML {
	const ms = int64(1e6)
	arrow := func(at int64, right bool, fate string) ladder.Row {
		return ladder.Row{Time: at * ms, Wire: &ladder.Arrow{Right: right, Packet: &record.Packet{Proto: "tcp", Fate: fate}}}
	}
	reset := arrow(3400, false, record.FateArrived)
	reset.Wire.Packet.Flags = record.FlagRST
	pale := arrow(0, true, record.FateArrived)
	pale.Wire.Packet.Proto = "arp"
	r := &record.Record{
		Scenario: "an example", Fault: record.FaultInfo{Kind: "reboot", Host: "server", Time: 40 * ms, Back: 1200 * ms},
		Detection: record.Detection{Error: "ECONNRESET", Syscall: "read", Time: 3401 * ms},
		Events:    []record.Event{{Source: record.Fault, Kind: "reboot"}},
	}
	return thumb(r, []ladder.Row{
		pale, arrow(10, true, record.FateArrived), arrow(20, false, record.FateArrived),
		{Time: 40 * ms, Across: "reboot", Events: []int{0}},
		arrow(200, true, record.FateLost), arrow(600, true, record.FateLost),
		{Time: 1200 * ms, Across: "reboot: link up", Events: []int{0}},
		arrow(3399, true, record.FateArrived), reset,
	})
}
