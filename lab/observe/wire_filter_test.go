package observe

import (
	"context"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab/record"
)

// filterFrame is a frame as the kernel gives it to a filter that it only
// tests: behind an Ethernet header that it takes off.
func filterFrame(v6 bool, seq uint32, n, flags, window int) []byte {
	be := binary.BigEndian
	ether := append(make([]byte, 12), 0x08, 0x00)
	ip := make([]byte, 20)
	ip[0], ip[9] = 0x45, 6
	be.PutUint16(ip[2:], uint16(40+n))
	copy(ip[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	if v6 {
		ether = append(make([]byte, 12), 0x86, 0xdd)
		ip = make([]byte, 40)
		ip[0], ip[6] = 0x60, 6
		be.PutUint16(ip[4:], uint16(20+n))
		ip[23], ip[39] = 1, 2
	}
	tcp := make([]byte, 20+n)
	be.PutUint16(tcp, 40000)
	be.PutUint16(tcp[2:], 7000)
	be.PutUint32(tcp[4:], seq)
	tcp[12], tcp[13] = 5<<4, byte(flags)
	be.PutUint16(tcp[14:], uint16(window))
	return append(append(append(append([]byte(nil), ether...), ether...), ip...), tcp...)
}

func TestWireFilterKeepsWhatMatters(t *testing.T) {
	testenv.NeedRoot(t)
	for _, v6 := range []bool{false, true} {
		f, err := newWireFilter(snapTCP)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(f.close)
		kept := func(frame []byte) bool {
			t.Helper()
			n, err := f.collection.Programs["wire"].Run(&ebpf.RunOptions{Data: frame})
			if err != nil {
				t.Fatal(err)
			}
			return n > 0
		}
		const ack = record.FlagACK
		seq, n := uint32(1), 0
		for began := time.Now(); kept(filterFrame(v6, seq, 10, ack, 1)); n++ {
			seq += 10
			if n > allowed(time.Since(began)) {
				t.Fatalf("IPv6 %t: %d plain segments were kept", v6, n)
			}
		}
		if n < burst {
			t.Errorf("IPv6 %t: %d plain segments were kept, want %d", v6, n, burst)
		}
		next := seq + 10 // that of the segment that was not kept was seen too
		arp := append(make([]byte, 12), 0x08, 0x06)
		for _, c := range []struct {
			what  string
			frame []byte
		}{
			{"a repeated segment", filterFrame(v6, seq, 10, ack, 1)},
			{"the repetition of an older one", filterFrame(v6, seq-10, 10, ack, 1)},
			{"a keepalive probe", filterFrame(v6, next-1, 0, ack, 1)},
			{"a closed window", filterFrame(v6, next, 0, ack, 0)},
			{"RST", filterFrame(v6, next, 0, record.FlagRST, 0)},
			{"FIN", filterFrame(v6, next, 0, ack|record.FlagFIN, 1)},
			{"SYN", filterFrame(v6, 7, 0, record.FlagSYN, 1)},
			{"ARP", append(append(arp, arp...), make([]byte, 28)...)},
		} {
			if !kept(c.frame) {
				t.Errorf("IPv6 %t: %s was not kept", v6, c.what)
			}
		}
		spared, err := f.spared()
		if err != nil || spared != 1 {
			t.Errorf("IPv6 %t: %d segments counted, %v, want 1", v6, spared, err)
		}
		if err := f.everything(); err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			if !kept(filterFrame(v6, 100_000+uint32(i), 1, ack, 1)) {
				t.Fatalf("IPv6 %t: a segment was not kept after everything", v6)
			}
		}
		if err := f.economize(); err != nil {
			t.Fatal(err)
		}
		n = 0
		for seq := uint32(200_000); kept(filterFrame(v6, seq, 1, ack, 1)); seq++ {
			if n++; n > 2*burst {
				t.Fatalf("IPv6 %t: %d plain segments were kept after economize", v6, n)
			}
		}
		if n < burst {
			t.Errorf("IPv6 %t: %d plain segments were kept after economize, want %d", v6, n, burst)
		}
	}
}

// Of a long exchange a part is recorded, the rest counted, and nothing of it
// called lost.
func TestTapCountsAnExchange(t *testing.T) {
	client, server := testPair(t)
	clock := testClock(t)
	var log eventLog
	const trips = 10_000
	c, s := testTap(t, clock, client, log.add), testTap(t, clock, server, log.add)
	began := time.Now()
	testEcho(t, client.Net, server.Net, "10.77.0.2:9998", trips, 8)
	took := time.Since(began)
	testFlush(t, c, s)
	var ends []End
	for _, w := range []*WireTap{c, s} {
		n, gap, err := w.Spared()
		if err != nil {
			t.Fatal(err)
		}
		recorded := log.count(func(e record.Event) bool {
			return e.Host == w.host.Name && e.Packet.Proto == "tcp" && e.Packet.Len == 8
		})
		bare := log.count(func(e record.Event) bool { return e.Host == w.host.Name && e.Packet.Len == 0 })
		if recorded+bare > allowed(took)+100 || recorded == 0 {
			t.Errorf("%s: %d data segments and %d others recorded in %v, want at most %d", w.host.Name, recorded, bare, took, allowed(took))
		}
		if all := recorded + bare + int(n); all < 2*trips || all > 5*trips {
			t.Errorf("%s: %d segments recorded, %d counted, want %d or some more", w.host.Name, recorded+bare, n, 2*trips)
		}
		if gap.From <= 0 || gap.To <= gap.From || gap.To > clock.Now()+maxJiffy {
			t.Errorf("%s: the gap is %+v", w.host.Name, gap)
		}
		addr := netip.MustParseAddr(map[string]string{"client": "10.77.0.1", "server": "10.77.0.2"}[w.host.Name])
		ends = append(ends, End{Host: w.host.Name, Addrs: []netip.Addr{addr}, Gaps: []Gap{gap}})
	}
	all := log.sorted()
	MatchEnds(all, ends...)
	fins := 0
	for _, e := range all {
		if e.Packet.Fate == record.FateLost {
			t.Fatalf("called lost: %+v", e.Packet)
		}
		if e.Packet.Flags&record.FlagFIN != 0 {
			fins++
		}
	}
	if fins != 4 {
		t.Errorf("%d FINs were recorded, want 2 at each end", fins)
	}
	if err := c.Everything(); err != nil {
		t.Fatal(err)
	}
	before, gap, err := c.Spared()
	if err != nil || gap.To > clock.Now() {
		t.Errorf("the gap is %+v, %v", gap, err)
	}
	testEcho(t, client.Net, server.Net, "10.77.0.2:9999", 3000, 8)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := c.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if after, _, err := c.Spared(); err != nil || after != before {
		t.Errorf("%d segments were not recorded after Everything, %v", after-before, err)
	}
	if err := c.Economize(); err != nil {
		t.Fatal(err)
	}
	testEcho(t, client.Net, server.Net, "10.77.0.2:9998", 3000, 8)
	if after, again, err := c.Spared(); err != nil || after <= before || again.From != gap.From || again.To <= gap.To {
		t.Errorf("after Economize %d segments were not recorded, before it %d; the gap is %+v, was %+v; %v", after, before, again, gap, err)
	}
}

// At rest a tap hears nothing, and afterwards everything.
func TestWireRest(t *testing.T) {
	client, server := testPair(t)
	var log eventLog
	tap := testTap(t, testClock(t), client, log.add)
	if err := tap.Rest(); err != nil {
		t.Fatal(err)
	}
	talk := func() int {
		before := log.count(func(e record.Event) bool { return e.Packet != nil && e.Packet.Proto == "tcp" })
		testEcho(t, client.Net, server.Net, "10.77.0.2:7000", 3, 10)
		testFlush(t, tap)
		return log.count(func(e record.Event) bool { return e.Packet != nil && e.Packet.Proto == "tcp" }) - before
	}
	if n := talk(); n != 0 {
		t.Errorf("%d segments were recorded at rest", n)
	}
	if err := tap.Everything(); err != nil {
		t.Fatal(err)
	}
	if n := talk(); n < 6 {
		t.Errorf("%d segments were recorded after the rest", n)
	}
	if _, gap, err := tap.Spared(); err != nil {
		t.Error(gap, err)
	}
}
