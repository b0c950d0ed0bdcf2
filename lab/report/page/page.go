// Package page shows a record as one HTML file: no network, no script, light
// and dark, to be read, printed and kept. It looks at nothing but the record.
//
// Whatever a program or a packet said is text on the page and nothing else:
// html/template escapes it, and what is drawn is escaped where it is drawn.
package page

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"io/fs"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

//go:embed *.tmpl *.css
var files embed.FS

// Options are what a page shows that is not in the record.
type Options struct {
	// Claims are what a book says that such a run shows. Without any the
	// section is left out.
	Claims []Claim
}

// A view is what the template shows.
type view struct {
	Title    string
	Zero     string // what times count from
	Verdict  verdict
	Network  network
	Ladder   ladders
	Measured *measured
	Charts   []chart
	Judged   judged
	Timeline timeline
	Programs []program
	Settings settings
	Unseen   unseen
	Claims   []Claim
	Copy     kept
}

// Write writes the page of a run.
func Write(w io.Writer, r *record.Record, o Options) error {
	rows := ladder.Rows(r)
	places := placesOf(r, rows)
	copied, err := keep(r, rows)
	if err != nil {
		return err
	}
	judged := judgedOf(r, places) // before the timeline, to which it leads
	v := view{
		Title:    titleOf(r),
		Zero:     zero(r),
		Verdict:  verdictOf(r),
		Network:  networkOf(r),
		Ladder:   laddersOf(r, rows),
		Measured: measuredOf(r),
		Charts:   chartsOf(r),
		Judged:   judged,
		Timeline: timelineOf(r, rows, places.led),
		Programs: programsOf(r),
		Settings: settingsOf(r),
		Unseen:   unseenOf(r),
		Claims:   claimsOf(o.Claims),
		Copy:     copied,
	}
	return execute(w, "page", v)
}

// titleOf is what a run is called, and how it went.
func titleOf(r *record.Record) string {
	if handmade(r) {
		return plain(r.Scenario) + ", by hand: " + plain(report.Outcome(r))
	}
	return plain(r.Scenario) + ": " + plain(report.Outcome(r))
}

// execute writes a kind of page: "page", "index" or "beside". All have a Title,
// and the style of all.
func execute(w io.Writer, kind string, v any) error {
	t, err := template.New("").Funcs(template.FuncMap{"style": style}).ParseFS(files, "*.tmpl")
	if err != nil {
		return fmt.Errorf("parse templates of the page: %w", err)
	}
	if err := t.ExecuteTemplate(w, kind, v); err != nil {
		return fmt.Errorf("write %s: %w", kind, err)
	}
	return nil
}

// style is all style sheets, in the order of their names.
func style() (template.CSS, error) {
	names, err := fs.Glob(files, "*.css")
	if err != nil {
		return "", fmt.Errorf("find style of the page: %w", err)
	}
	var all template.CSS
	for _, name := range names {
		css, err := files.ReadFile(name)
		if err != nil {
			return "", fmt.Errorf("read style of the page: %w", err)
		}
		all += template.CSS(css)
	}
	return all, nil
}
