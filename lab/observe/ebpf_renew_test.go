package observe

import (
	"errors"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// While a tracing goes from run to run nothing is lost, and each run has what
// happened in its time.
func TestRenew(t *testing.T) {
	client, server := testPair(t)
	tracer := testOpenTracer(t)
	const runs, dials = 5, 200 // at least
	logs := make([]eventLog, runs)
	clocks := make([]Clock, runs)
	clocks[0] = testClock(t)
	tracing := testWatch(t, tracer, clocks[0], logs[0].add, client, server)
	testListen(t, server.Net, "10.77.0.2:7000")
	dialled, begun := 0, make(chan struct{}) // all runs have
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ; ; dialled++ {
			select {
			case <-begun:
				if dialled >= dials {
					return
				}
			case <-t.Context().Done():
				return
			default:
			}
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
	close(begun)
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
	if made != dialled {
		t.Errorf("%d of %d connections are told of", made, dialled)
	}
	if n, err := tracing.Dropped(); n != 0 || err != nil {
		t.Errorf("%d dropped, %v", n, err)
	}
	if tracing.former.sink != nil {
		t.Error("the former run's sink is held")
	}
}

// A host may boot any number of times: of a boot that was removed nothing stays
// but what was counted.
func TestRemovedBoots(t *testing.T) {
	t.Setenv(tracedActEnv, "flood")
	h, start, cmd := testTracedHost(t)
	_, server := testPair(t)
	var log eventLog
	tracing := testTracer(t, testClock(t), log.add, h)
	start()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	spared := func() uint64 {
		n, err := tracing.Spared()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := spared()
	if err := tracing.Remove(h); err != nil {
		t.Fatal(err)
	}
	const boots = 1100 // the maps have room for 1024
	for boot := range boots {
		again := Host{Name: "server", Boot: boot, Net: server.Net, PIDNS: h.PIDNS, Text: true}
		if err := tracing.Add(again); err != nil {
			t.Fatal(err)
		}
		if boot == 0 {
			testListen(t, server.Net, "127.0.0.1:7000")
		}
		if err := tracing.Remove(again); err != nil {
			t.Fatal(err)
		}
	}
	testTracerFlush(t, tracing)
	if n := spared(); before == 0 || n != before {
		t.Errorf("%d calls were only counted, %d before the host was removed", n, before)
	}
	listens := func(e record.Event) bool { return e.State != nil && e.State.To == "LISTEN" }
	if n := log.count(func(e record.Event) bool { return e.Host == "server" && listens(e) }); n != 1 {
		t.Errorf("%d sockets of the first boot listen", n)
	}
	d := tracing.decoder
	if n := len(d.socks) + len(d.ended) + len(d.told) + len(d.epolls) + len(d.printers.processes); n != 0 {
		t.Errorf("%d things are known of boots that are gone", n)
	}
	if n := len(*tracing.tracer.hosts.Load()) + len(tracing.hosts); n != 0 {
		t.Errorf("%d hosts are known that are gone", n)
	}
	for _, name := range []string{"nets", "pids", "texts", "budgets", "spared", "muted"} {
		var key uint64
		if err := tracing.tracer.object.maps[name].NextKey(nil, &key); !errors.Is(err, ebpf.ErrKeyNotExist) {
			t.Errorf("the map %s has an entry: %v", name, err)
		}
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
