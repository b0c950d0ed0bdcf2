package ladder_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// texts are the rows of a record as their texts.
func texts(r *record.Record) []string {
	var all []string
	for _, w := range ladder.Rows(r) {
		all = append(all, brief(w))
	}
	return all
}

// What was sent again says so, if the kernel's own word for it was missed.
func TestSentAgain(t *testing.T) {
	r := load(t, "crash")
	last := -1
	for i := range r.Events {
		if r.Events[i].Kind == record.KindRetransmit {
			last = i
		}
	}
	r.Events = slices.Delete(r.Events, last, last+1)
	count := func() (n int) {
		for _, s := range texts(r) {
			if strings.Contains(s, "sent again") {
				n++
			}
		}
		return n
	}
	if n := count(); n != 1 {
		t.Errorf("%d rows say it, not one:\n%s", n, strings.Join(texts(r), "\n"))
	}
	r.Missing = []record.Missing{{Observer: "ebpf"}}
	if n := count(); n != 0 {
		t.Errorf("without the observer %d rows say it", n)
	}
}

// Of a segment that was spared from the record it is not known that it was not
// sent.
func TestSpared(t *testing.T) {
	r := &record.Record{Fault: record.FaultInfo{Kind: "crash", Time: 5e9}}
	for _, at := range []int64{1e9, 1e9 + 1e6, 6e9, 7e9} {
		r.Events = append(r.Events, record.Event{Time: at, Host: "client", Source: record.TCP, Kind: record.KindRetransmit, TCP: &record.TCPEvent{Sock: 1}})
	}
	r.Events[2].TCP.Retransmits = 1
	for _, spared := range []uint64{0, 7} {
		r.Spared.Segments = spared
		rows := ladder.Rows(r)
		if len(rows) != 4 {
			t.Fatalf("%d rows", len(rows))
		}
		if before, after := rows[0].Wire != nil, rows[2].Wire != nil; before != (spared == 0) || !after {
			t.Errorf("%d segments spared: said of one before the fault: %v, after it: %v", spared, before, after)
		}
	}
	for i, want := range []string{"retransmit, not by the timer", "retransmit, not by the timer, next after 5.00 s", "retransmit 1, next after 1.00 s"} {
		if got := ladder.Rows(r)[i].Client; got != want {
			t.Errorf("row %d: %q, want %q", i, got, want)
		}
	}
}
