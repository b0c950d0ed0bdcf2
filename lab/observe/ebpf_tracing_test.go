package observe

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// Two runs share a tracer: each hears of its own hosts, which have the same
// names, on its own clock, and numbers its own sockets.
func TestTracingsAreApart(t *testing.T) {
	tracer := testOpenTracer(t)
	type run struct {
		log            eventLog
		clock          Clock
		client, server Host
		tracing        *Tracing
	}
	var runs [2]*run
	for i := range runs {
		r := &run{clock: testClock(t)}
		r.client, r.server = testPair(t)
		r.tracing = testWatch(t, tracer, r.clock, r.log.add, r.client, r.server)
		runs[i] = r
	}
	for _, r := range runs {
		testListen(t, r.server.Net, "10.77.0.2:7000")
		testDial(t, r.client.Net, "10.77.0.2:7000")
	}
	states := func(r *run) []string {
		var got []string
		for _, e := range r.log.sorted() {
			if e.State != nil {
				got = append(got, fmt.Sprintf("%s %d %s %s", e.Host, e.State.Sock, e.State.From, e.State.To))
			}
		}
		slices.Sort(got)
		return got
	}
	want := []string{
		"client 2 CLOSE SYN_SENT", "client 2 SYN_SENT ESTABLISHED", "server 1 CLOSE LISTEN",
		"server 3 LISTEN SYN_RECV", "server 3 SYN_RECV ESTABLISHED",
	}
	for i, r := range runs {
		testTracerFlush(t, r.tracing)
		if diff := cmp.Diff(want, states(r)); diff != "" {
			t.Errorf("run %d (-want +got):\n%s", i, diff)
		}
	}
	if first, now := runs[1].log.sorted()[0].Time, runs[1].clock.Now(); first < 0 || first > now {
		t.Errorf("the second run's first event is at %d, now is %d", first, now)
	}

	// One ends; the other goes on.
	if dropped, err := runs[0].tracing.Close(); err != nil || dropped != 0 {
		t.Errorf("Close() = %d, %v, want 0, nil", dropped, err)
	}
	before := len(states(runs[0]))
	for _, r := range runs {
		testDial(t, r.client.Net, "10.77.0.2:7000")
	}
	testTracerFlush(t, runs[1].tracing)
	if n := len(states(runs[0])); n != before {
		t.Errorf("%d events after Close", n-before)
	}
	if n := len(states(runs[1])); n != 9 {
		t.Errorf("%d states in the other run, want 9", n)
	}
	if n := len(*tracer.hosts.Load()); n != 2 {
		t.Errorf("the tracer knows %d hosts, want 2", n)
	}
	if _, err := runs[0].tracing.InFlight(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("InFlight after Close: %v", err)
	}
}

// The kernel gives the inode of a namespace that is gone to a new one: when
// the host that had it first is removed, the one that has it now stays.
func TestRemoveSparesTheNextOwner(t *testing.T) {
	client, server := testPair(t)
	tracer := testOpenTracer(t)
	var log, old eventLog
	was := testWatch(t, tracer, testClock(t), old.add, client)
	now := testWatch(t, tracer, testClock(t), log.add, client)
	if err := was.Remove(client); err != nil {
		t.Fatal(err)
	}
	testListen(t, server.Net, "10.77.0.2:7000")
	testDial(t, client.Net, "10.77.0.2:7000")
	testTracerFlush(t, now)
	isState := func(e record.Event) bool { return e.State != nil }
	if log.count(isState) != 2 || old.count(isState) != 0 {
		t.Errorf("%d events of the host that is there, want 2; %d of the removed, want 0", log.count(isState), old.count(isState))
	}
}

// A sink that blocks holds up nobody else.
func TestBlockedSinkHurtsOnlyItself(t *testing.T) {
	tracer := testOpenTracer(t)
	blocked, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var told int
	stuck, other := testPair(t)
	a := testWatch(t, tracer, testClock(t), func(record.Event) {
		once.Do(func() { close(blocked) })
		<-release
		told++
	}, stuck)
	var log eventLog
	b := testWatch(t, tracer, testClock(t), log.add, other)

	testListen(t, other.Net, "10.77.0.2:7000")
	testDial(t, stuck.Net, "10.77.0.2:7000")
	<-blocked
	testTracerFlush(t, b)
	if log.count(func(e record.Event) bool { return e.State != nil }) != 3 {
		t.Errorf("got %v", log.sorted())
	}
	close(release)
	if _, err := a.Close(); err != nil {
		t.Error(err)
	}
	if told < 2 {
		t.Errorf("the sink was called %d times, want 2 at least", told)
	}
}

// What there is no room for is dropped, and counted for its run alone.
func TestTracingDropsWhatNobodyTakes(t *testing.T) {
	r := &Tracing{decoder: newBPFDecoder(Clock{}, 1)}
	r.more.L = &r.mu
	raw := ringSock(bpfState, 1, 7, 0, 0, 0, 0, [4]byte{})
	head, _ := decodeHead(raw)
	for i := range maxWaiting + 3 {
		if first := r.give(&tracedHost{}, head, raw); first != (i == 0) {
			t.Fatalf("event %d: first = %v", i, first)
		}
	}
	if len(r.waiting) != maxWaiting || r.lost != 3 {
		t.Errorf("%d wait, %d lost, want %d, 3", len(r.waiting), r.lost, maxWaiting)
	}
}

// What a removed host and an ended run left is given up, and Close of the
// tracer ends those that are open.
func TestTracerCloseEndsTracings(t *testing.T) {
	client, _ := testPair(t)
	tracer := testOpenTracer(t)
	var log eventLog
	r := testWatch(t, tracer, testClock(t), log.add, client)
	if err := tracer.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.Add(client); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Add: %v", err)
	}
	if _, err := tracer.Watch(testClock(t), log.add); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Watch: %v", err)
	}
	if n := len(*tracer.hosts.Load()); n != 0 {
		t.Errorf("the tracer knows %d hosts", n)
	}
}

// Where time is virtual, the reader is woken for a single event, and by nothing
// else: there is no deadline and no Flush.
func TestWokenForEachEvent(t *testing.T) {
	client, server := testPair(t)
	tracer := testOpenTracerOf(t, true)
	told := make(chan record.Event, 16)
	testWatch(t, tracer, testClock(t), func(e record.Event) { told <- e }, server)
	testListen(t, server.Net, "10.77.0.2:7000")
	testDial(t, client.Net, "10.77.0.2:7000")
	for _, want := range []string{"LISTEN", "SYN_RECV", "ESTABLISHED"} {
		select {
		case e := <-told:
			if e.State == nil || e.State.To != want {
				t.Errorf("told of %+v, want a change to %s", e, want)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("not told of a change to %s within 5 s", want)
		}
	}
}
