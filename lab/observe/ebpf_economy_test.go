package observe

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// burst is BUDGET_BURST of bpf/economy.h, and BURST of bpf/wire.bpf.c.
const burst = 2048

// allowed is how many calls or segments a budget lets through.
func allowed(took time.Duration) int { return burst + int(took.Seconds()*256) + 64 }

func isData(e *record.Event) bool {
	return e.Kind == record.KindCall && e.Syscall.Socket && (e.Syscall.Name == "read" || e.Syscall.Name == "write")
}

// A flood of calls is counted, and its end is told whole.
func TestFloodIsCounted(t *testing.T) {
	events, spared := testAct(t, "flood")
	const calls = 4*floodRounds + 2
	data := 0
	var first, last int64
	var ends []string
	for i := range events {
		e := &events[i]
		if e.Syscall == nil || !isData(e) {
			continue
		}
		if data++; first == 0 {
			first = e.Time
		}
		last = e.Time
		if strings.HasPrefix(e.Syscall.Error, "ERESTART") {
			continue // the Go runtime interrupts its own threads
		}
		if e.Syscall.Error != "" || e.Syscall.EndOfFile() {
			if e.Syscall.Local == "" || e.Syscall.Duration <= 0 || e.Comm == "" {
				t.Errorf("the end is told without its addresses, or its duration: %+v of %+v", e.Syscall, e)
			}
			ends = append(ends, fmt.Sprintf("%s from %s", e, e.Syscall.Remote))
		}
	}
	if most := allowed(time.Duration(last - first)); data > most || data < burst/2 {
		t.Errorf("%d calls were reported, want %d at most", data, most)
	}
	// Waits of the Go runtime are among those that are counted.
	if sum := data + int(spared); sum < calls || sum > calls+400 {
		t.Errorf("%d calls were reported, %d counted: want %d in all", data, spared, calls)
	}
	want := []string{"read() = ECONNRESET from 127.0.0.1:7000", "read() = 0 (end of file) from 127.0.0.1:7000"}
	if diff := cmp.Diff(want, ends); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What begins lightly and blocks is in flight.
func TestInFlightAfterFlood(t *testing.T) {
	t.Setenv(tracedActEnv, "blocked")
	h, start, _ := testTracedHost(t)
	var log eventLog
	tracing := testTracer(t, testClock(t), log.add, h)
	start()
	testEventually(t, "a read in progress that began lightly", func() bool {
		if spared, err := tracing.Spared(); err != nil || spared == 0 {
			return false
		}
		calls, err := tracing.InFlight()
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(calls, func(e record.Event) bool {
			return e.Kind == record.KindEnter && e.Syscall.Name == "read" && e.Syscall.Socket && e.PID > 1 && e.Comm != "" &&
				e.Syscall.Remote == "127.0.0.1:7000" && e.Time > 0 && tracing.clock.Now()-e.Time > int64(50*time.Millisecond)
		})
	})
}

// After Everything, Economize makes the economy as it was, with the count of
// before; for a host that was added meanwhile too.
func TestEconomize(t *testing.T) {
	for _, first := range []bool{true, false} {
		t.Run(fmt.Sprintf("added before: %v", first), func(t *testing.T) {
			t.Setenv(tracedActEnv, "flood")
			h, start, cmd := testTracedHost(t)
			var log eventLog
			tracing := testTracer(t, testClock(t), log.add)
			if first {
				if err := tracing.Add(h); err != nil {
					t.Fatal(err)
				}
			}
			if err := tracing.Everything(); err != nil {
				t.Fatal(err)
			}
			if !first {
				if err := tracing.Add(h); err != nil {
					t.Fatal(err)
				}
			}
			if err := tracing.Economize(); err != nil {
				t.Fatal(err)
			}
			start()
			if err := cmd.Wait(); err != nil {
				t.Fatal(err)
			}
			testTracerFlush(t, tracing)
			spared, err := tracing.Spared()
			data := log.count(func(e record.Event) bool { return isData(&e) })
			const calls = 4*floodRounds + 2
			if sum := data + int(spared); err != nil || spared == 0 || data < burst/2 || sum < calls || sum > calls+400 {
				t.Errorf("%d calls were reported, %d counted, %v: want %d in all", data, spared, err, calls)
			}
		})
	}
}

// Everything ends the economy in the middle of a flood, to the very next call.
func TestEverythingIsReported(t *testing.T) {
	t.Setenv(tracedActEnv, "flood")
	h, start, cmd := testTracedHost(t)
	var log eventLog
	tracing := testTracer(t, testClock(t), log.add, h)
	start()
	spared := func() uint64 {
		n, err := tracing.Spared()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	testEventually(t, "a call that is only counted", func() bool { return spared() > 0 })
	if err := tracing.Everything(); err != nil {
		t.Fatal(err)
	}
	before := spared()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	testTracerFlush(t, tracing)
	if n := spared(); n > before+4 { // those that were under way
		t.Errorf("%d calls were only counted after Everything", n-before)
	}
	data := log.count(func(e record.Event) bool { return isData(&e) })
	const calls = 4*floodRounds + 2
	if sum := data + int(spared()); sum < calls || sum > calls+400 || data < 2*burst {
		t.Errorf("%d calls were reported, %d counted: want %d in all", data, spared(), calls)
	}
}
