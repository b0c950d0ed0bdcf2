package observe

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/topology"
)

func testTap(t testing.TB, clock Clock, h Host, sink Sink) *WireTap {
	t.Helper()
	return testTapOf(t, clock, h, sink, false)
}

// testEachTap tests taps that read a ring, and those of virtual time.
func testEachTap(t *testing.T, test func(t *testing.T, virtual bool)) {
	t.Run("ring", func(t *testing.T) { test(t, false) })
	t.Run("queue", func(t *testing.T) { test(t, true) })
}

func testTapOf(t testing.TB, clock Clock, h Host, sink Sink, virtual bool) *WireTap {
	t.Helper()
	w, err := openWire(clock, h, sink, virtual)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func testFlush(t testing.TB, taps ...*WireTap) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, w := range taps {
		if err := w.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// testEcho does round trips of a payload over one TCP connection. It rests
// after every 1 000, some 2 000 packets at each end, so that on a busy machine
// the test is of the ring and not of the scheduler.
func testEcho(t testing.TB, client, server *topology.Namespace, addr string, trips, size int) {
	t.Helper()
	l := testListen(t, server, addr)
	done := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, err = io.Copy(c, c)
			c.Close()
		}
		done <- err
	}()
	c := testDial(t, client, addr)
	b := make([]byte, size)
	for i := range trips {
		if i%1000 == 999 {
			time.Sleep(10 * time.Millisecond)
		}
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	l.Close()
}

// testDatagrams gives a function that sends n small datagrams from the client
// and returns when the server's socket has them: then both taps have, too.
func testDatagrams(t testing.TB, client, server *topology.Namespace) func(n int) {
	t.Helper()
	var from net.Conn
	var to net.PacketConn
	err := errors.Join(
		server.Do(func() (err error) {
			to, err = net.ListenPacket("udp", "10.77.0.2:7")
			return err
		}),
		client.Do(func() (err error) {
			from, err = net.Dial("udp", "10.77.0.2:7")
			return err
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { from.Close(); to.Close() })
	return func(n int) {
		t.Helper()
		b := make([]byte, 32)
		for range n {
			if _, err := from.Write(b); err != nil {
				t.Fatal(err)
			}
		}
		_ = to.SetReadDeadline(time.Now().Add(5 * time.Second))
		for range n {
			if _, _, err := to.ReadFrom(b); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func isDatagram(e record.Event) bool { return e.Packet != nil && e.Packet.Proto == "udp" }

func TestFlushIsComplete(t *testing.T) { testEachTap(t, testFlushIsComplete) }

func testFlushIsComplete(t *testing.T, virtual bool) {
	client, server := testPair(t)
	clock := testClock(t)
	var atClient, atServer eventLog
	taps := []*WireTap{testTapOf(t, clock, client, atClient.add, virtual), testTapOf(t, clock, server, atServer.add, virtual)}
	send := testDatagrams(t, client.Net, server.Net)
	want := 0
	for i := range 150 {
		n := i % 13 // sometimes nothing is to be flushed
		send(n)
		want += n
		// Hit the kernel's timer at different points of its period.
		time.Sleep(time.Duration(i%17) * 500 * time.Microsecond)
		testFlush(t, taps...)
		if c, s := atClient.count(isDatagram), atServer.count(isDatagram); c != want || s != want {
			t.Fatalf("round %d: %d datagrams at the client, %d at the server, want %d", i, c, s, want)
		}
	}
}

func TestManySmallPackets(t *testing.T) {
	client, server := testPair(t)
	clock := testClock(t)
	const trips = 25_000
	events := eventLog{events: make([]record.Event, 0, 5*trips)}
	c, s := testTap(t, clock, client, events.add), testTap(t, clock, server, events.add)
	for _, w := range []*WireTap{c, s} {
		if err := w.Everything(); err != nil {
			t.Fatal(err)
		}
	}
	testEcho(t, client.Net, server.Net, "10.77.0.2:9998", trips, 8)
	testFlush(t, c, s)
	for _, w := range []*WireTap{c, s} {
		dropped, err := w.Close()
		if dropped != 0 || err != nil {
			t.Errorf("tap of %s: %d packets dropped, error %v", w.host.Name, dropped, err)
		}
	}
	all := events.sorted()
	MatchEnds(all,
		End{Host: "client", Addrs: []netip.Addr{netip.MustParseAddr("10.77.0.1")}},
		End{Host: "server", Addrs: []netip.Addr{netip.MustParseAddr("10.77.0.2")}})
	data := map[string]int{} // by host and direction
	for _, e := range all {
		if e.Packet.Len == 8 {
			data[e.Host+" "+e.Kind]++
		}
		if e.Kind == record.KindOut && (e.Packet.Fate != record.FateArrived || e.Packet.Transit > int64(time.Second)) {
			t.Fatalf("no match for %+v %+v", e, *e.Packet)
		}
		if e.Time < 0 || e.Time > clock.Now() {
			t.Fatalf("a packet of another time: %+v", e)
		}
	}
	for _, k := range []string{"client out", "client in", "server out", "server in"} {
		if data[k] != trips {
			t.Errorf("%s: %d segments, want %d", k, data[k], trips)
		}
	}
}

func TestTapSurvivesLinkDown(t *testing.T) { testEachTap(t, testTapSurvivesLinkDown) }

func testTapSurvivesLinkDown(t *testing.T, virtual bool) {
	client, server := testPair(t)
	testSetLink(t, server.Net, "eth0", false)
	var events eventLog
	w := testTapOf(t, testClock(t), server, events.add, virtual) // opened on an interface that is down
	send := testDatagrams(t, client.Net, server.Net)
	for i := range 3 {
		testSetLink(t, server.Net, "eth0", true)
		testWaitUp(t, server.Net, "eth0")
		testWaitUp(t, client.Net, "eth0")
		send(5)
		testFlush(t, w)
		if got, want := events.count(isDatagram), 5*(i+1); got != want {
			t.Fatalf("after %d times down and up: %d datagrams, want %d", i+1, got, want)
		}
		testSetLink(t, server.Net, "eth0", false)
	}
	if err := testNetlink(t, server.Net).LinkDel(testFind(t, server.Net, "eth0")); err != nil {
		t.Fatal(err)
	}
	before := testCPUTime(t)
	time.Sleep(100 * time.Millisecond)
	if busy := testCPUTime(t) - before; busy > 50*time.Millisecond {
		t.Errorf("%v of CPU in 100 ms after the interface went: a busy loop", busy)
	}
	testFlush(t, w)
	if dropped, err := w.Close(); dropped != 0 || err != nil {
		t.Errorf("Close() = %d, %v", dropped, err)
	}
}

// testCPUTime is the CPU time of the process.
func testCPUTime(t testing.TB) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Segments without a finished checksum, as a veth passes them, are the same
// frame behind a router.
func TestMatchThroughRouter(t *testing.T) {
	testenv.NeedRoot(t)
	client := Host{Name: "client", Iface: "eth0", Net: testNamespace(t)}
	server := Host{Name: "server", Iface: "eth0", Net: testNamespace(t)}
	router := testNamespace(t)
	testSysctl(t, router, "net/ipv4/ip_forward", "1")
	testLink(t, client.Net, "eth0", "10.77.0.1/24", router, "left", "10.77.0.254/24")
	testLink(t, server.Net, "eth0", "10.77.1.2/24", router, "right", "10.77.1.254/24")
	testRoute(t, client.Net, "10.77.0.254")
	testRoute(t, server.Net, "10.77.1.254")

	clock := testClock(t)
	var events eventLog
	c, s := testTap(t, clock, client, events.add), testTap(t, clock, server, events.add)
	testEcho(t, client.Net, server.Net, "10.77.1.2:9998", 20, 3000) // more than a segment
	testFlush(t, c, s)
	all := events.sorted()
	MatchEnds(all,
		End{Host: "client", Addrs: []netip.Addr{netip.MustParseAddr("10.77.0.1")}},
		End{Host: "server", Addrs: []netip.Addr{netip.MustParseAddr("10.77.1.2")}})
	segments := 0
	for _, e := range all {
		if e.Kind != record.KindOut {
			continue
		}
		switch p := e.Packet; p.Proto {
		case "tcp":
			segments++
			if p.Fate != record.FateArrived {
				t.Errorf("%+v: %+v", e, *p)
			}
		case "arp":
			if p.Fate != "" {
				t.Errorf("between host and router, and yet %q at the other end: %+v", p.Fate, *p)
			}
		}
	}
	if segments < 40 {
		t.Errorf("only %d segments", segments)
	}
}

// Frames larger than the MTU (GSO) are decoded, with their whole length.
func TestTapLargeFrames(t *testing.T) { testEachTap(t, testTapLargeFrames) }

func testTapLargeFrames(t *testing.T, virtual bool) {
	client, server := testPair(t)
	var events eventLog
	w := testTapOf(t, testClock(t), client, events.add, virtual)
	const size = 256 << 10
	testEcho(t, client.Net, server.Net, "10.77.0.2:9998", 1, size)
	testFlush(t, w)
	var longest int
	sent := make(map[uint32]int)
	for _, e := range events.sorted() {
		if e.Kind == record.KindOut && e.Packet.Len > 0 {
			longest = max(longest, e.Packet.Len)
			sent[e.Packet.Seq] = max(sent[e.Packet.Seq], e.Packet.Len)
		}
	}
	total := 0
	for _, n := range sent {
		total += n
	}
	if total != size || longest <= 1500 {
		t.Errorf("%d octets sent in segments of up to %d, want %d in larger ones than 1500", total, longest, size)
	}
}

func TestOpenWireErrors(t *testing.T) {
	client, _ := testPair(t)
	client.Iface = "eth7"
	if _, err := OpenWire(testClock(t), client, func(record.Event) {}); !errors.Is(err, unix.ENODEV) {
		t.Errorf("OpenWire of no interface: %v, want ENODEV", err)
	}
	client.Iface = "eth0"
	w := testTap(t, testClock(t), client, func(record.Event) {})
	for range 2 { // Close is idempotent
		if dropped, err := w.Close(); dropped != 0 || err != nil {
			t.Errorf("Close() = %d, %v", dropped, err)
		}
	}
	if err := w.Flush(context.Background()); err == nil {
		t.Error("Flush of a closed tap: no error")
	}
}

// BenchmarkTap opens and closes a tap, alone: the grace periods that the kernel
// still waits for after Close would make the next open slower.
func BenchmarkTap(b *testing.B) {
	client, _ := testPair(b)
	clock := testClock(b)
	var opens, closes []time.Duration
	for b.Loop() {
		t0 := time.Now()
		w, err := OpenWire(clock, client, func(record.Event) {})
		if err != nil {
			b.Fatal(err)
		}
		t1 := time.Now()
		if _, err := w.Close(); err != nil {
			b.Fatal(err)
		}
		opens, closes = append(opens, t1.Sub(t0)), append(closes, time.Since(t1))
		time.Sleep(100 * time.Millisecond)
	}
	slices.Sort(opens)
	slices.Sort(closes)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(ms(opens[len(opens)/2]), "open-p50-ms")
	b.ReportMetric(ms(opens[len(opens)-1]), "open-max-ms")
	b.ReportMetric(ms(closes[len(closes)/2]), "close-p50-ms")
	b.ReportMetric(ms(closes[len(closes)-1]), "close-max-ms")
}

// BenchmarkFlush flushes a tap that has just seen a packet.
func BenchmarkFlush(b *testing.B) {
	client, server := testPair(b)
	w := testTap(b, testClock(b), client, func(record.Event) {})
	send := testDatagrams(b, client.Net, server.Net)
	for b.Loop() {
		send(1)
		testFlush(b, w)
	}
}

// BenchmarkEcho compares the CPU time of 25 000 round trips, 50 000 packets at
// an end, with and without taps at both ends.
func BenchmarkEcho(b *testing.B) {
	for _, tapped := range []bool{false, true} {
		b.Run(map[bool]string{false: "plain", true: "tapped"}[tapped], func(b *testing.B) {
			client, server := testPair(b)
			if tapped {
				clock := testClock(b)
				testTap(b, clock, client, func(record.Event) {})
				testTap(b, clock, server, func(record.Event) {})
			}
			before := testCPUTime(b)
			for b.Loop() {
				testEcho(b, client.Net, server.Net, "10.77.0.2:9998", 25_000, 8)
			}
			b.ReportMetric(float64((testCPUTime(b)-before).Milliseconds())/float64(b.N), "cpu-ms/op")
		})
	}
}
