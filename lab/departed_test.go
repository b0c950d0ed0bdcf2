package lab

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/predict"
	"github.com/seed-6fefc909/tcplab/lab/record"
)

// underway puts a segment of the server's into the record that left some time
// before the fault, or after, and arrived a while later.
func underway(r *record.Record, left, took time.Duration, seq uint32) {
	p := fromServer(record.FlagACK)
	p.Seq = seq
	add(r, left+took, "client", record.KindIn, p)
	p.Fate, p.Transit = record.FateArrived, int64(took)
	add(r, left, "server", record.KindOut, p)
}

// What had left before the fault is none of its signs, when it arrives after.
func TestArrivalsThatLeftBeforeTheFault(t *testing.T) {
	for _, scenario := range []string{"zero-window-lost", "crash", "reboot", "firewall-reject"} {
		r := load(t, scenario)
		underway(r, -time.Millisecond, 30*time.Millisecond, 7)
		rejudge(t, r, 0, nil)
		if r.Outcome != record.AsExpected {
			t.Errorf("%s: %s because of %q", scenario, r.Outcome, r.Reasons)
		}
		r = load(t, scenario)
		underway(r, time.Millisecond, 30*time.Millisecond, 7)
		rejudge(t, r, 0, nil)
		if r.Outcome != record.NotAsExpected {
			t.Errorf("%s, sent after the fault: %s", scenario, r.Outcome)
		}
	}
}

// A question for the neighbour's address was lost: what was due meanwhile left
// with the first segment, or not at all.
func TestSchedulesWhileAnAddressIsLookedFor(t *testing.T) {
	isSYN := func(e *record.Event) bool {
		return isTCP(e, record.KindOut, "client", record.FlagSYN)
	}
	r := load(t, "connect-silent")
	i := slices.IndexFunc(r.Events, func(e record.Event) bool { return isSYN(&e) })
	begin := r.Detection.Time - r.Detection.Blocked
	r.Events[i].Time = begin + r.Prediction.Sends[0].Max
	second := slices.IndexFunc(r.Events[i+1:], func(e record.Event) bool { return isSYN(&e) })
	r.Events = slices.Delete(r.Events, i+1+second, i+2+second)
	rejudge(t, r, 0, nil)
	if r.Outcome != record.AsExpected {
		t.Errorf("SYN: %s because of %q", r.Outcome, r.Reasons)
	}

	r = load(t, "syn-recv")
	var sent []*record.Event
	for i := range r.Events {
		if e := &r.Events[i]; isTCP(e, record.KindOut, "server", record.FlagSYN) {
			sent = append(sent, e)
		}
	}
	for _, e := range sent[:len(sent)-1] {
		e.Time = max(e.Time, sent[0].Time+int64(1030*time.Millisecond))
	}
	rejudge(t, r, 0, nil)
	if r.Outcome != record.AsExpected {
		t.Errorf("SYN+ACK: %s because of %q", r.Outcome, r.Reasons)
	}
}

// A TIME_WAIT that a RST ended shows nothing, where a segment was lost.
func TestTimeWaitThatAResetEnded(t *testing.T) {
	for _, loss := range []float64{0, 0.1} {
		r := load(t, "half-close")
		r.Delay.Loss = loss
		drop(r, func(e *record.Event) bool {
			return e.State != nil && e.State.To == "TIME_WAIT" || slices.ContainsFunc(e.Sockets, func(s record.SocketRow) bool { return s.State == "TIME_WAIT" })
		})
		add(r, time.Second, "client", record.KindIn, fromServer(record.FlagRST))
		if c := newView(r, netip.MustParseAddrPort("10.0.0.2:9998")).timeWait(); c.OK || c.Unknown != (loss > 0) {
			t.Errorf("loss %v: %+v", loss, c)
		}
	}
}

// A client that was not run in time says nothing of its kernel.
func TestHeldUp(t *testing.T) {
	later := func(r *record.Record, kernel bool) {
		end := r.Detection.Time
		for i := range r.Events {
			e := &r.Events[i]
			switch {
			case e.Time == end && e.Syscall != nil:
				e.Syscall.Duration += int64(2 * time.Second)
			case e.Time >= end, kernel && e.Source == record.TCP && e.Kind == record.KindError:
			default:
				continue
			}
			e.Time += int64(2 * time.Second)
		}
	}
	for kernel, want := range map[bool]record.Outcome{false: record.Inconclusive, true: record.NotAsExpected} {
		r := load(t, "crash")
		later(r, kernel)
		rejudge(t, r, 0, nil)
		if r.Outcome != want {
			t.Errorf("the kernel late: %v: %s, want %s, because of %q", kernel, r.Outcome, want, r.Reasons)
		}
	}
}

// An answer of which a part was lost twice comes two timeouts later, and one
// that no loss puts off does not.
func TestWhatLossesCost(t *testing.T) {
	p := predict.Defaults()
	for model, want := range map[string][2]time.Duration{
		"connect-refused": {2 * time.Second, 2 * time.Second},
		"reset":           {400 * time.Millisecond, time.Second},
		"silence":         {},
	} {
		if got := lossCosts(model, p); got < want[0] || got > want[1] {
			t.Errorf("%s: %v, want %v to %v", model, got, want[0], want[1])
		}
	}
}
