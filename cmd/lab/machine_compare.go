package main

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
	"github.com/seed-6fefc909/tcplab/lab/report/page"
)

// tellSpread writes how far the runs of the seeds spread, and which were not as
// expected.
func (b *batch) tellSpread(w io.Writer) error {
	screen := b.streams.screenNow()
	var odd []*record.Record
	for _, r := range b.records {
		if r.Outcome != record.AsExpected {
			odd = append(odd, r)
		}
	}
	if err := report.SpreadText(w, report.Spreads(b.records), screen); err != nil || len(odd) == 0 {
		return err
	}
	fmt.Fprintln(w, "\nnot as expected:")
	for _, r := range odd {
		fmt.Fprintf(w, "  --seed %d  ", r.Kernel.Warp.Seed)
		if err := report.Summary(w, []*record.Record{r}, report.Screen{}); err != nil {
			return err
		}
	}
	return nil
}

// tellKernels compares each scenario's run of the first kernel with those of
// the others.
func (b *batch) tellKernels(w io.Writer) error {
	screen := b.streams.screenNow()
	err := b.compareKernels(func(first, other *record.Record) error {
		defer fmt.Fprintln(w)
		return report.Diff(w, first, other, screen)
	})
	if err != nil {
		return err
	}
	return report.Summary(w, b.records, screen)
}

// saveDiffs writes the pages of the same comparisons.
func (b *batch) saveDiffs() error {
	if b.flags.out == "" || len(b.flags.virtual.kernels) < 2 || b.flags.virtual.seeds != "" {
		return nil
	}
	return b.compareKernels(func(first, other *record.Record) error {
		dir, saved := b.dirs[other]
		if !saved {
			return nil
		}
		name := filepath.Join(b.flags.out, dir, diffName)
		return saveFile(name, func(w io.Writer) error { return page.Diff(w, first, other) })
	})
}

// compareKernels calls compare with each scenario's run of the first kernel and
// each of the others', until it fails.
func (b *batch) compareKernels(compare func(first, other *record.Record) error) error {
	firsts := map[string]*record.Record{}
	for _, r := range b.records {
		first := firsts[r.Scenario]
		if first == nil {
			firsts[r.Scenario] = r
			continue
		}
		if err := compare(first, r); err != nil {
			return err
		}
	}
	return nil
}

// diffName is what the page is called that compares a run with that of the
// first kernel.
const diffName = "diff.html"
