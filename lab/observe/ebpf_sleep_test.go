package observe

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// isAsleep is what the reader says to the programs.
func isAsleep(t *testing.T, tracer *Tracer) bool {
	t.Helper()
	var yes uint32
	if err := tracer.object.maps["asleep"].Lookup(uint32(0), &yes); err != nil {
		t.Fatal(err)
	}
	return yes != 0
}

// The reader of a ring that nothing comes into waits without looking, and an
// event wakes it, also one that comes while it goes to sleep.
func TestSleepingReaderIsWoken(t *testing.T) {
	const times = 150
	client, _ := testPair(t)
	tracer := testOpenTracer(t)
	told := make(chan record.Event, 2*times)
	testWatch(t, tracer, testClock(t), func(e record.Event) { told <- e }, client)
	const looks = quietLooks * readEvery
	for i := range times {
		// Without a flush, which would wake it.
		began := time.Now()
		testListen(t, client.Net, "127.0.0.1:0")
		select {
		case e := <-told:
			if e.State == nil || e.State.To != "LISTEN" {
				t.Fatalf("told of %+v", e)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("event %d was not told within 5 s; asleep: %v", i, isAsleep(t, tracer))
		}
		if i%10 == 0 {
			testEventually(t, "the reader sleeps", func() bool { return isAsleep(t, tracer) })
			continue
		}
		// The others come before, while and after it goes to sleep.
		time.Sleep(time.Until(began.Add(looks + time.Duration(i-times/2)*20*time.Microsecond)))
	}
}

// While it sleeps, it takes no time.
func TestSleepingReaderIsIdle(t *testing.T) {
	client, _ := testPair(t)
	tracer := testOpenTracer(t)
	testWatch(t, tracer, testClock(t), func(record.Event) {}, client)
	testEventually(t, "the reader sleeps", func() bool { return isAsleep(t, tracer) })
	// The process has threads that do other things, now and then.
	const span = 300 * time.Millisecond
	testEventually(t, "it does not look again and again", func() bool {
		before := contextSwitches(t)
		time.Sleep(span)
		return contextSwitches(t)-before < int64(span/readEvery)/2
	})
}

// contextSwitches are how often the process has waited for something.
func contextSwitches(t *testing.T) int64 {
	t.Helper()
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return r.Nvcsw
}
