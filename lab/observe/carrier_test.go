package observe

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

func TestWatchCarrier(t *testing.T) {
	client, server := testPair(t)
	var events eventLog
	w, err := WatchCarrier(testClock(t), client, events.add)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(events.sorted()); n != 1 {
		t.Errorf("%d events on opening, want the state", n)
	}
	sees := func(n int) {
		t.Helper()
		testEventually(t, "another event", func() bool { return len(events.sorted()) >= n })
	}
	testSetLink(t, server.Net, "eth0", false) // the carrier goes
	sees(2)
	testSetLink(t, server.Net, "eth0", true)
	sees(3)
	testSetLink(t, client.Net, "eth0", false) // the interface itself
	sees(4)
	testSetLink(t, client.Net, "eth0", true)
	sees(5)
	if err := testNetlink(t, server.Net).LinkDel(testFind(t, server.Net, "eth0")); err != nil {
		t.Fatal(err)
	}
	testEventually(t, "the interface is gone", func() bool {
		return events.count(func(e record.Event) bool { return e.Link == record.LinkGone }) == 1
	})
	for range 2 {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}

	var got []string
	for _, e := range events.sorted() {
		if e.Source != record.Wire || e.Kind != record.KindCarrier || e.Host != "client" {
			t.Errorf("event %+v", e)
		}
		got = append(got, e.Link)
	}
	// Removing a veth may or may not be seen as a loss of carrier first.
	if i := len(got) - 2; i > 0 && got[i] == record.LinkDown {
		got = slices.Delete(got, i, i+1)
	}
	want := []string{"up", "down", "up", "down", "up", "gone"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
}

func TestWatchCarrierErrors(t *testing.T) {
	client, _ := testPair(t)
	client.Iface = "eth7"
	if _, err := WatchCarrier(testClock(t), client, func(record.Event) {}); !errors.Is(err, unix.ENODEV) {
		t.Errorf("WatchCarrier of no interface: %v, want ENODEV", err)
	}
}
