package ladder_test

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// Pieces that follow on one another tell what the whole does, wherever it is
// cut, but for what each of them leaves out.
func TestBetween(t *testing.T) {
	files, err := filepath.Glob("../../testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no records:", err)
	}
	whole := 0
	for _, file := range files {
		r := load(t, strings.TrimSuffix(filepath.Base(file), ".json"))
		rows := ladder.Rows(r)
		if slices.ContainsFunc(rows, func(w ladder.Row) bool { return w.Left != nil }) {
			continue
		}
		whole++
		for cuts := 1; cuts <= 40; cuts += 13 {
			from, pieces := int64(math.MinInt64), []ladder.Row{}
			for i := range cuts {
				to := r.Events[i*len(r.Events)/cuts].Time
				pieces = append(pieces, ladder.Between(r, from, to)...)
				from = to
			}
			pieces = append(pieces, ladder.Between(r, from, math.MaxInt64)...)
			if diff := cmp.Diff(rows, pieces); diff != "" {
				t.Errorf("%s in %d pieces (-whole +pieces):\n%s", r.Scenario, cuts+1, diff)
			}
		}
	}
	if whole < 10 {
		t.Errorf("%d of %d records leave nothing out", whole, len(files))
	}
}

// What a piece leaves out is counted in it, and what another has told is not.
func TestBetweenCounts(t *testing.T) {
	r := &record.Record{Hosts: []record.Host{{Name: "client", MAC: "c"}, {Name: "server", MAC: "s"}}}
	for i := range 200 {
		r.Events = append(r.Events, record.Event{
			Time: int64(i) * 1e9, Host: "client", Source: record.Wire, Kind: record.KindOut,
			Packet: &record.Packet{Proto: "tcp", Src: "10.0.0.1:1", Dst: "10.0.0.2:2", Flags: record.FlagACK, Len: 1, Seq: uint32(i)},
		})
	}
	const half = 100e9 - 1
	for _, part := range [][]ladder.Row{ladder.Between(r, math.MinInt64, half), ladder.Between(r, half, math.MaxInt64)} {
		told := 0
		for _, w := range part {
			told += len(w.Events)
			if w.Left != nil {
				told += w.Left.Segments
			}
		}
		if told != 100 {
			t.Errorf("%d of 100 segments are told or counted", told)
		}
	}
}
