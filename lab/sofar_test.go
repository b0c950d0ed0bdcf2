package lab

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

// What was told while the run went on is what the record has, in its order,
// and nothing of it changed from one look to the next.
func TestFollow(t *testing.T) {
	testenv.NeedRoot(t)
	t.Parallel()
	for name, o := range map[string]Options{
		"crash":            {},
		"unreachable-host": {Delay: 30 * time.Millisecond},
		"failover":         {},
		"reboot":           {},
		"shutdown":         {},
		"zero-window-lost": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sc, _ := scenarios.Find(name)
			e, err := New(sc, o)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := e.Close(); err != nil {
					t.Error(err)
				}
			}()
			var looks []look
			var waits []*Wait
			var following sync.WaitGroup
			following.Go(func() {
				e.Follow(t.Context(), func(r *record.Record, until int64) {
					looks = append(looks, look{r, until})
					waits = append(waits, e.Status().Wait)
				})
			})
			whole, err := e.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			following.Wait()
			if r, _ := e.SoFar(); r != nil {
				t.Error("after the run SoFar gives a record")
			}
			checkLooks(t, looks, whole)
			if name == "crash" {
				checkWaits(t, waits)
			}
		})
	}
}

// checkWaits wants each retransmission of crash to have been waited for, and
// the end of the wait to come nearer.
func checkWaits(t *testing.T, waits []*Wait) {
	t.Helper()
	waits = slices.DeleteFunc(waits, func(w *Wait) bool { return w == nil || w.Timer == "" })
	var sent []int
	const late = 500 * time.Millisecond // by which timers of a busy machine may be, together
	for i, w := range waits {
		if w.Timer != "retransmit" || w.State != "ESTABLISHED" || w.Of != 5 || w.Decider != "net.ipv4.tcp_retries2=5" || !slices.Equal(w.Errors, []string{"ETIMEDOUT"}) {
			t.Errorf("wait %d: %+v", i, w)
		}
		if w.Earliest > w.Latest || i > 0 && w.Latest >= waits[i-1].Latest {
			t.Errorf("wait %d: the end is expected in %v to %v, before it was in %v", i, w.Earliest, w.Latest, waits[i-1].Latest)
		}
		if w.Sent == w.Of && (w.Next < w.Earliest-late || w.Next > w.Latest+late) {
			t.Errorf("wait %d: the last, of %v, the end is expected in %v to %v", i, w.Next, w.Earliest, w.Latest)
		}
		sent = append(sent, w.Sent)
	}
	if sent = slices.Compact(sent); !slices.IsSorted(sent) || !slices.Contains(sent, 3) || !slices.Contains(sent, 5) {
		t.Errorf("there were %v retransmissions while it was waited", sent)
	}
}

// A look is what SoFar gave.
type look struct {
	r     *record.Record
	until int64
}

func checkLooks(t *testing.T, looks []look, whole *record.Record) {
	t.Helper()
	if len(looks) == 0 {
		t.Fatalf("no look at a run of %v", time.Duration(whole.Duration))
	}
	early := false // an event was told of more than a second before the end
	for i, l := range looks {
		if i > 0 && l.until < looks[i-1].until {
			t.Errorf("look %d: until %d after %d", i, l.until, looks[i-1].until)
		}
		// A call that never returned is told of when the run is over only.
		want := slices.DeleteFunc(slices.Clone(whole.Events), func(ev record.Event) bool {
			return ev.Time > l.until || ev.Kind == record.KindEnter
		})
		got := l.r.Events
		for j := range want {
			if j >= len(got) || !cmp.Equal(got[j], want[j]) {
				have := "nothing"
				if j < len(got) {
					have = got[j].Host + " " + got[j].String()
				}
				t.Fatalf("look %d, until %d: event %d at %d is %s, in the record %s %s\n%s", i, l.until, j, want[j].Time, have,
					want[j].Host, want[j].String(), cmp.Diff(want[j], got[min(j, len(got)-1)]))
			}
		}
		if len(got) != len(want) {
			t.Fatalf("look %d: %d events, the record has %d until then", i, len(got), len(want))
		}
		early = early || len(got) > 0 && whole.Duration-l.until > int64(time.Second)
		if known := l.r.Fault.Kind != ""; known && l.r.Fault.Time != whole.Fault.Time {
			t.Errorf("look %d: fault at %d, in the record at %d", i, l.r.Fault.Time, whole.Fault.Time)
		} else if !known && l.until >= whole.Fault.Time {
			t.Errorf("look %d, until %d: no fault is known, it was at %d", i, l.until, whole.Fault.Time)
		}
	}
	if whole.Duration > int64(8*time.Second) && !early {
		t.Errorf("nothing was told before the end of %v", time.Duration(whole.Duration))
	}
}

// Who follows leaves the run the most of the time, however long a look takes.
func TestFollowPace(t *testing.T) {
	sc, _ := scenarios.Find("crash")
	e, err := New(sc, Options{})
	if err != nil {
		t.Fatal(err)
	}
	const takes = 30 * time.Millisecond
	var at []time.Time
	ctx, cancel := context.WithCancel(t.Context())
	e.Follow(ctx, func(r *record.Record, until int64) {
		if r.Scenario != "crash" || r.Prediction.Model == "" || len(r.Events) != 0 || until != 0 {
			t.Errorf("before the run: %+v until %d", r, until)
		}
		time.Sleep(takes)
		if at = append(at, time.Now()); len(at) == 2 {
			cancel()
		}
	})
	if gap := at[1].Sub(at[0]); gap < 19*takes {
		t.Errorf("a look that takes %v was followed by another after %v", takes, gap)
	}
}
