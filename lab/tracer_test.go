package lab

import (
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab/observe"
	"github.com/seed-6fefc909/tcplab/lab/record"
)

// The last one to close unloads the programs, be it a run or who made the
// Tracer; who comes later has none.
func TestTracerIsClosedByItsLastUser(t *testing.T) {
	testenv.NeedRoot(t)
	clock, err := observe.NewClock()
	if err != nil {
		t.Fatal(err)
	}
	tracer := NewTracer()
	var runs []*observe.Tracing
	for i := range 2 {
		r, missing, err := tracer.watch(clock, func(record.Event) {}, i > 0)
		if err != nil {
			t.Fatal(err)
		}
		lacks := slices.ContainsFunc(missing, func(m record.Missing) bool { return m.Observer == ObserveEBPF+":text" })
		if wanted := i > 0; lacks != wanted { // the first did without
			t.Errorf("run %d lacks text: %v", i, lacks)
		}
		runs = append(runs, r)
	}
	if err := tracer.Close(); err != nil { // as its maker
		t.Fatal(err)
	}
	for i, r := range runs {
		if tracer.tracer == nil {
			t.Fatalf("the programs are gone before run %d ended", i)
		}
		if _, err := r.InFlight(); err != nil {
			t.Error(err)
		}
		if _, err := r.Close(); err != nil {
			t.Error(err)
		}
		if err := tracer.Close(); err != nil {
			t.Error(err)
		}
	}
	if tracer.tracer != nil {
		t.Error("the programs are still loaded")
	}
	if _, _, err := tracer.watch(clock, func(record.Event) {}, false); !errors.Is(err, os.ErrClosed) {
		t.Errorf("watch: %v", err)
	}
	if err := NewTracer().Close(); err != nil {
		t.Errorf("Close of one that was never used: %v", err)
	}
}
