package observe

import (
	"testing"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// While a tracing goes from run to run nothing is lost, and each run has what
// happened in its time.
func TestRenew(t *testing.T) {
	client, server := testPair(t)
	tracer := testOpenTracer(t)
	const runs, dials = 5, 200
	logs := make([]eventLog, runs)
	clocks := make([]Clock, runs)
	clocks[0] = testClock(t)
	tracing := testWatch(t, tracer, clocks[0], logs[0].add, client, server)
	testListen(t, server.Net, "10.77.0.2:7000")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range dials {
			testDial(t, client.Net, "10.77.0.2:7000")
		}
	}()
	for i := 1; i < runs; i++ {
		// Each has seen something before the next begins.
		testEventually(t, "an event", func() bool { return len(logs[i-1].sorted()) > 0 })
		if i == 2 {
			if err := tracing.Everything(); err != nil {
				t.Fatal(err)
			}
		}
		var err error
		if clocks[i], err = tracing.Renew(t.Context(), logs[i].add); err != nil {
			t.Fatal(err)
		}
		if tracing.all {
			t.Error("it goes on to report everything")
		}
	}
	<-done
	testTracerFlush(t, tracing)
	made := 0
	for i := range logs {
		end := clocks[i].Now()
		if i+1 < runs {
			end = clocks[i+1].origin - clocks[i].origin
		}
		for _, e := range logs[i].sorted() {
			if e.Time < 0 || e.Time >= end {
				t.Errorf("run %d: an event at %d, the end is at %d", i, e.Time, end)
			}
			if e.State != nil && e.State.To == "ESTABLISHED" && e.Host == "client" {
				made++
			}
		}
	}
	if made != dials {
		t.Errorf("%d of %d connections are told of", made, dials)
	}
	if n, err := tracing.Dropped(); n != 0 || err != nil {
		t.Errorf("%d dropped, %v", n, err)
	}
	if tracing.former.sink != nil {
		t.Error("the former run's sink is held")
	}
}

// What was lost is that run's in which it was.
func TestRenewCounts(t *testing.T) {
	client, _ := testPair(t)
	tracer := testOpenTracer(t)
	var log eventLog
	tracing := testWatch(t, tracer, testClock(t), log.add, client)
	tracing.mu.Lock()
	tracing.lost = 3
	tracing.mu.Unlock()
	if n, err := tracing.Dropped(); n != 3 || err != nil {
		t.Errorf("before: %d dropped, %v", n, err)
	}
	if _, err := tracing.Renew(t.Context(), func(record.Event) {}); err != nil {
		t.Fatal(err)
	}
	if n, err := tracing.Dropped(); n != 0 || err != nil {
		t.Errorf("after: %d dropped, %v", n, err)
	}
	if n, err := tracing.Spared(); n != 0 || err != nil {
		t.Errorf("after: %d spared, %v", n, err)
	}
}
