package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/page"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

// indexName is what the page of several runs is called.
const indexName = "index.html"

// writeIndex writes the page of several runs, in the chapters of the built-in
// scenarios. pages are where the runs' own pages are, from there; "" for none.
// notBegun are the scenarios of those that were not.
func writeIndex(w io.Writer, records []*record.Record, pages, notBegun []string) error {
	var chapters []page.Chapter
	for _, c := range scenarios.Chapters() {
		chapters = append(chapters, page.Chapter{Title: c.Title, Text: c.Text, Names: c.Names})
	}
	var entries []page.Entry
	for i, r := range records {
		e := page.Entry{Record: r, Page: filepath.ToSlash(pages[i])}
		if sc, _ := scenarios.Find(r.Scenario); sc != nil && r.File == "" {
			e.Gone = sc.Dies
		}
		entries = append(entries, e)
	}
	return page.Index(w, entries, chapters, notBegun...)
}

// saveIndex writes the page of all runs, if there are several.
func (b *batch) saveIndex() error {
	if b.flags.out == "" || !b.several {
		return nil
	}
	pages := make([]string, len(b.records))
	for i, r := range b.records {
		if dir, saved := b.dirs[r]; saved {
			pages[i] = filepath.Join(dir, pageName)
		}
	}
	var notBegun []string
	for _, r := range b.notBegun {
		notBegun = append(notBegun, r.Scenario)
	}
	return saveFile(filepath.Join(b.flags.out, indexName), func(w io.Writer) error { return writeIndex(w, b.records, pages, notBegun) })
}

// pageBeside finds the page of a record's file, as a path from a directory on;
// "" if there is none.
func pageBeside(dir, file string) (string, error) {
	name := filepath.Join(filepath.Dir(file), pageName)
	if _, err := os.Stat(name); err != nil {
		return "", nil // it was moved without its page, or lab left none yet
	}
	from, err := filepath.Abs(dir)
	if err == nil {
		name, err = filepath.Abs(name)
	}
	if err == nil {
		name, err = filepath.Rel(from, name)
	}
	if err != nil {
		return "", fmt.Errorf("find %s: %w", name, err)
	}
	return name, nil
}
