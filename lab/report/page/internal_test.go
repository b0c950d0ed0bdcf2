package page

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// What is in flight is counted beyond the end of the sequence numbers, and what
// is sent again, or acknowledged again, changes nothing.
func TestUnacknowledged(t *testing.T) {
	const last = 1<<32 - 1
	at := int64(0)
	r := &record.Record{Connections: []record.Connection{{Local: "a:1", Remote: "b:2"}}}
	add := func(kind string, seq, ack uint32, n, flags int) {
		at++
		p := &record.Packet{Proto: "tcp", Src: "a:1", Dst: "b:2", Seq: seq, Ack: ack, Len: n, Flags: flags}
		if kind == record.KindIn {
			p.Src, p.Dst = p.Dst, p.Src
		}
		r.Events = append(r.Events, record.Event{Time: at, Host: "client", Source: record.Wire, Kind: kind, Packet: p})
	}
	add(record.KindOut, last-2, 0, 0, record.FlagSYN)               // 1
	add(record.KindIn, 7, last-1, 0, record.FlagSYN|record.FlagACK) // 0
	add(record.KindOut, last-1, 8, 10, record.FlagACK)              // 10
	add(record.KindOut, 8, 8, 5, record.FlagACK)                    // 15
	add(record.KindOut, last-1, 8, 10, record.FlagACK)              // sent again
	add(record.KindIn, 8, 8, 0, record.FlagACK)                     // 5
	add(record.KindIn, 8, last, 0, record.FlagACK)                  // old
	add(record.KindIn, 8, 5000, 0, record.FlagACK)                  // of what was never sent
	add(record.KindOut, 13, 8, 0, record.FlagACK|record.FlagFIN)    // 6
	add(record.KindIn, 8, 14, 0, record.FlagACK)                    // 0
	add(record.KindIn, 8, 99, 0, record.FlagACK|record.FlagRST)     // counts nothing
	add(record.KindOut, 3e9, 0, 0, record.FlagSYN)                  // 1, of another connection
	add(record.KindOut, 3e9, 0, 0, record.FlagSYN)                  // sent again
	add(record.KindIn, 9, 3e9+1, 0, record.FlagSYN|record.FlagACK)  // 0
	want := []point{
		{1, 0, 0},
		{1, 1, 0},
		{2, 0, 0},
		{3, 10, 0},
		{4, 15, 0},
		{6, 5, 0},
		{9, 6, 0},
		{10, 0, 0},
		{12, 0, 0},
		{12, 1, 0},
		{14, 0, 0},
	}
	if diff := cmp.Diff(want, unacknowledged(r), cmp.AllowUnexported(point{})); diff != "" {
		t.Errorf("in flight (-want +got):\n%s", diff)
	}
}

// The timeouts that ran out are those of the timer, not that of a tail loss
// probe, nor that of an error which came before.
func TestTimeouts(t *testing.T) {
	r := &record.Record{Connections: []record.Connection{{Local: "a:1", Remote: "b:2"}}}
	add := func(at int64, kind string, rto int64, n int) {
		r.Events = append(r.Events, record.Event{Time: at, Host: "client", Source: record.TCP, Kind: kind, TCP: &record.TCPEvent{Local: "a:1", Remote: "b:2", RTO: rto, Retransmits: n}})
	}
	add(1e9, record.KindTLP, 2e9, 0)
	add(3e9, record.KindRetransmit, 2e9, 1)
	add(4e9, record.KindRetransmit, 3e9, 0) // by what the peer said, before its time
	add(6e9, record.KindError, 4e9, 1)
	add(9e9, record.KindError, 4e9, 1)
	want := []point{{1e9, 2, 0}, {3e9, 2, 2e9}, {4e9, 3, 0}, {6e9, 4, 0}, {9e9, 4, 4e9}}
	if diff := cmp.Diff(want, timeouts(r), cmp.AllowUnexported(point{})); diff != "" {
		t.Errorf("timeouts (-want +got):\n%s", diff)
	}
}

// An error that came after probes was not of this timer.
func TestTimeoutsOfProbes(t *testing.T) {
	r := &record.Record{Connections: []record.Connection{{Local: "a:1", Remote: "b:2"}}}
	add := func(at int64, kind string) {
		r.Events = append(r.Events, record.Event{Time: at, Host: "client", Source: record.TCP, Kind: kind, TCP: &record.TCPEvent{Local: "a:1", Remote: "b:2", RTO: 2e9}})
	}
	add(1e9, record.KindTLP)
	r.Events = append(r.Events, record.Event{Time: 2e9, Host: "client", Source: record.Wire, Kind: record.KindOut, Packet: &record.Packet{Proto: "tcp", Src: "a:1", Dst: "b:2", Probe: true}})
	add(6e9, record.KindError)
	want := []point{{1e9, 2, 0}, {6e9, 2, 0}}
	if diff := cmp.Diff(want, timeouts(r), cmp.AllowUnexported(point{})); diff != "" {
		t.Errorf("timeouts (-want +got):\n%s", diff)
	}
}

// A program ended when the kernel told so, and not when another process of its
// number did.
func TestEndedAt(t *testing.T) {
	r := &record.Record{}
	for _, x := range []struct {
		at     int64
		host   string
		status int
	}{{10, "client", 1}, {20, "server", 1}, {30, "client", 1}, {35, "client", 0}, {50, "client", 1}} {
		r.Events = append(r.Events, record.Event{Time: x.at, Host: x.host, PID: 7, Source: record.Process, Kind: record.KindExit, Process: &record.ProcEvent{Status: x.status}})
	}
	p := &record.Program{Host: "client", PID: 7, Exit: 1, Ended: 40}
	if got := endedAt(r, p); got != 30 {
		t.Errorf("it ended at %d, want 30", got)
	}
	p.PID = 8 // of which no event tells
	if got := endedAt(r, p); got != 40 {
		t.Errorf("without an event it ended at %d, want 40", got)
	}
}

// Of a run cut short what would have been due later has no bar, the error
// neither.
func TestMeasuredCutShort(t *testing.T) {
	r, err := record.ReadFile("../../testdata/crash.json")
	if err != nil {
		t.Fatal(err)
	}
	whole := measuredOf(r)
	if !whole.Ends {
		t.Fatal("the whole run has no error")
	}
	r.Duration, r.Detection = r.Detection.Time-8e9, record.Detection{AfterWrite: -1, AfterHeard: -1}
	r.Events = slices.DeleteFunc(r.Events, func(e record.Event) bool { return e.Time > r.Duration })
	cut := measuredOf(r)
	if cut.Ends || len(cut.Rows) >= len(whole.Rows) {
		t.Errorf("%d rows, of %d; an error is drawn: %v", len(cut.Rows), len(whole.Rows), cut.Ends)
	}
	if !slices.ContainsFunc(cut.Notes, func(n string) bool {
		return strings.HasSuffix(n, "ETIMEDOUT, would have been due after the end of the run.")
	}) {
		t.Errorf("notes: %q", cut.Notes)
	}
}

// Of the points in a column those are kept that can be seen.
func TestThinned(t *testing.T) {
	var points []point
	for i := range int64(1000) {
		points = append(points, point{at: i, value: float64(i*i%97) + 1})
	}
	points[123].value, points[777].value = 5000, -3
	got := thinned(points, func(p point) int { return int(p.at / 100) })
	if len(got) > 40 {
		t.Errorf("%d points are left of 10 columns", len(got))
	}
	kept := map[int64]bool{}
	for i, p := range got {
		kept[p.at] = true
		if i > 0 && p.at <= got[i-1].at {
			t.Errorf("the point of %d comes after that of %d", p.at, got[i-1].at)
		}
	}
	for _, at := range []int64{0, 99, 123, 777, 999} {
		if !kept[at] {
			t.Errorf("the point of %d is lost", at)
		}
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		want      []float64
	}{
		{0, 13.5, []float64{0, 2, 4, 6, 8, 10, 12}},
		{-1, 0.5, []float64{-1, -0.8, -0.6, -0.4, -0.2, 0, 0.2, 0.4}},
		{0, 0, nil},
	} {
		got := axis{low: c.low, high: c.high}.ticks(8)
		same := len(got) == len(c.want)
		for i := range got {
			same = same && spell(got[i]) == spell(c.want[i])
		}
		if !same {
			t.Errorf("from %v to %v: %v, not %v", c.low, c.high, got, c.want)
		}
	}
}

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"a <b> & ä":       "a <b> & ä",
		"\x1b[1m\x00\r\n": `\x1b[1m\x00\x0d\n`,
		"\xff\u009b":      `\xff\x9b`,
		"\u202e\u00ad":    `\u202e\xad`,
		"\ufffd":          "\ufffd",
	} {
		if got := plain(in); got != want {
			t.Errorf("%q becomes %q, not %q", in, got, want)
		}
	}
	if got, want := bounded("ääää", 3), "ä … (cut here; the record has 8 octets)"; got != want {
		t.Errorf("%q, not %q", got, want)
	}
}
