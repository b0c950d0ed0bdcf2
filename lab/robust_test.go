package lab_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/record"
)

// A hundred runs one after the other, by four who do so, end as one run
// does, and leave nothing.
func TestHundredRuns(t *testing.T) {
	testenv.NeedRoot(t)
	repeat(t, "kill", lab.Options{}, 100, 4)
}

// So do twenty at once, which all have the same addresses and ports.
func TestTwentyRunsAtOnce(t *testing.T) {
	testenv.NeedRoot(t)
	repeat(t, "kill", lab.Options{}, 20, 20)
}

// So do twenty that share the eBPF programs.
func TestTwentyRunsShareATracer(t *testing.T) {
	testenv.NeedRoot(t)
	repeat(t, "kill", lab.Options{Tracer: lab.NewTracer()}, 20, 20)
}

// Nor does one leave anything that was interrupted in the middle.
func TestInterruptedRuns(t *testing.T) {
	testenv.NeedRoot(t)
	before := testenv.Take()
	var running sync.WaitGroup
	for i := range 12 {
		for _, name := range []string{"crash", "reboot", "shutdown"} {
			// By now some are building their network, the last are waiting.
			after := time.Duration(i+1) * 80 * time.Millisecond
			running.Go(func() {
				r, err := runOnce(t.Context(), name, lab.Options{}, after)
				if err != nil {
					t.Errorf("%s, interrupted after %v: %v", name, after, err)
				}
				if err := validate(r); err != nil {
					t.Errorf("%s, interrupted after %v: the record: %v", name, after, err)
				}
				if r.Outcome != record.Inconclusive && name != "reboot" { // which may have ended
					t.Errorf("%s, interrupted after %v: outcome %s, want inconclusive", name, after, r.Outcome)
				}
			})
		}
		if i%4 == 3 {
			running.Wait() // twelve at a time
		}
	}
	for _, left := range before.Left() {
		t.Error("left behind:", left)
	}
}

// repeat runs a scenario n times, some at a time, and wants every run to be
// as expected and nothing to be left of all of them.
func repeat(t *testing.T, name string, o lab.Options, n, atOnce int) {
	t.Helper()
	before, namespaces := testenv.Take(), countNamespaces()
	todo := make(chan int)
	var runners sync.WaitGroup
	for range atOnce {
		runners.Go(func() {
			for i := range todo {
				r, err := runOnce(t.Context(), name, o, 0)
				if err != nil {
					t.Errorf("run %d: %v", i, err)
				}
				if r.Outcome != record.AsExpected {
					t.Errorf("run %d: outcome %s, want as-expected, because:\n  %s", i, r.Outcome, strings.Join(r.Reasons, "\n  "))
				}
			}
		})
	}
	begun := time.Now()
	for i := range n {
		todo <- i
	}
	close(todo)
	runners.Wait()
	if o.Tracer != nil {
		if err := o.Tracer.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d runs, %d at a time: %.2f s", n, atOnce, time.Since(begun).Seconds())
	for _, left := range before.Left() {
		t.Error("left behind:", left)
	}
	if namespaces < 0 {
		t.Log("the kernel does not tell its number of network namespaces")
		return
	}
	// Others make some at the same time; n leaks would be more. The kernel
	// frees them a while after their end.
	const others = 60
	for deadline := time.Now().Add(10 * time.Second); n > others; time.Sleep(50 * time.Millisecond) {
		now := countNamespaces()
		if now <= namespaces+others {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("the kernel has %d network namespaces, there were %d", now, namespaces)
			return
		}
	}
}

// runOnce is a run from beginning to end; it is interrupted after a while
// unless that is 0. The error is what went wrong other than the interruption.
func runOnce(ctx context.Context, name string, o lab.Options, interruptAfter time.Duration) (*record.Record, error) {
	sc, err := findScenario(name)
	if err != nil {
		return nil, err
	}
	e, err := lab.New(sc, o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if interruptAfter > 0 {
		timer := time.AfterFunc(interruptAfter, cancel)
		defer timer.Stop()
	}
	r, err := e.Run(ctx)
	if interruptAfter > 0 && ctx.Err() == context.Canceled {
		err = nil
	}
	if closed := e.Close(); closed != nil {
		err = fmt.Errorf("close: %w", closed)
	}
	return r, err
}

// countNamespaces is how many network namespaces the kernel has, as far as
// its allocator knows (some slots are counted before they are used), or -1.
func countNamespaces() int {
	slabs, err := os.ReadFile("/proc/slabinfo")
	if err != nil {
		return -1
	}
	for line := range strings.Lines(string(slabs)) {
		var active int
		if _, err := fmt.Sscanf(line, "net_namespace %d", &active); err == nil {
			return active
		}
	}
	return -1
}
