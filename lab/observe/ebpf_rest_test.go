package observe

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// At rest no call is seen. One that began meanwhile is told whole when it
// returns.
func TestRest(t *testing.T) {
	t.Setenv(tracedActEnv, "blocked")
	h, start, cmd := testTracedHost(t)
	var log eventLog
	tracing := testTracer(t, testClock(t), log.add, h)
	if err := tracing.Rest(); err != nil {
		t.Fatal(err)
	}
	start()
	// It exchanges data, and then waits for some that does not come.
	waits := func() bool {
		calls, err := Sockets(h)
		return err == nil && len(calls) > 0
	}
	testEventually(t, "it has sockets", waits)
	time.Sleep(300 * time.Millisecond) // nothing that is at rest can tell
	testTracerFlush(t, tracing)
	if n := log.count(func(e record.Event) bool { return e.Source == record.Syscall }); n > 0 {
		t.Errorf("%d calls were reported at rest", n)
	}
	if log.count(func(e record.Event) bool { return e.Source == record.Socket }) == 0 {
		t.Error("no change of a socket's state was reported at rest")
	}
	now := tracing.clock.Now()
	if err := tracing.Everything(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	testTracerFlush(t, tracing)
	found := log.count(func(e record.Event) bool {
		c := e.Syscall
		return c != nil && e.Kind == record.KindCall && c.Name == "read" && c.Remote == "127.0.0.1:7000" && c.Socket &&
			strings.HasPrefix(c.Error, "ERESTART") && e.Comm != "" && e.Time-c.Duration >= now-int64(time.Millisecond)
	})
	if found != 1 {
		t.Errorf("the read that was under way was reported %d times", found)
	}
}

// A run that rests does not keep another's calls from being seen.
func TestRestBesideOthers(t *testing.T) {
	t.Setenv(tracedActEnv, "flood")
	h, start, cmd := testTracedHost(t)
	var log, other eventLog
	resting := testTracer(t, testClock(t), other.add)
	if err := resting.Rest(); err != nil {
		t.Fatal(err)
	}
	tracing, err := resting.tracer.Watch(testClock(t), log.add)
	if err != nil {
		t.Fatal(err)
	}
	defer tracing.Close()
	if err := tracing.Add(h); err != nil {
		t.Fatal(err)
	}
	if err := resting.Rest(); err != nil { // again: now it may not
		t.Fatal(err)
	}
	start()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	testTracerFlush(t, tracing)
	if n := log.count(func(e record.Event) bool { return isData(&e) }); n < burst/2 {
		t.Errorf("%d calls were reported", n)
	}
}
