package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
)

// checkFollow tells what --follow cannot be combined with: of n runs at a time
// only lines can be told apart.
func (f *runFlags) checkFollow(n int, terminal bool) error {
	switch {
	case !f.follow:
	case f.output == outputJSON:
		return usageError(errors.New("--follow: --output json prints all at the end"), "for a line an event --output jsonl")
	case f.output == outputText && n > 1:
		return usageError(fmt.Errorf("--follow: %d runs beside each other cannot be told apart", n), "--parallel 1, or --output jsonl")
	case f.output == outputText && terminal:
		return usageError(errors.New("--follow: the client has the terminal, by --input -"), "give --input a file")
	}
	return nil
}

// follow prints what happens in a run while it goes on, if that is asked for; end
// prints the rest of it.
func (b *batch) follow(ctx context.Context, e *lab.Experiment) (end func(*record.Record)) {
	if !b.flags.follow {
		return func(*record.Record) {}
	}
	text, lines := report.Follower{Screen: b.streams.screenNow()}, report.Lines{}
	piece := func(w io.Writer, r *record.Record, until int64) error {
		switch {
		case b.flags.output == outputText && until == math.MaxInt64:
			return text.End(w, r)
		case b.flags.output == outputText:
			return text.Write(w, r, until)
		}
		enc := json.NewEncoder(w)
		for _, line := range lines.Next(r, until) {
			if err := enc.Encode(line); err != nil {
				return err
			}
		}
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		e.Follow(ctx, func(r *record.Record, until int64) {
			b.print(func(w io.Writer) error { return piece(w, r, until) })
		})
	}()
	return func(r *record.Record) {
		cancel()
		<-followed
		b.print(func(w io.Writer) error {
			err := piece(w, r, math.MaxInt64)
			if n := lines.Late(); n > 0 {
				fmt.Fprintf(b.streams.err, "lab: %s: %s\n", r.Scenario, report.Late(n))
			}
			return err
		})
	}
}
