package observe

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

func TestFramesAreBounded(t *testing.T) {
	const each = 100
	f := NewFrames(3 * (each + frameCost))
	f.open(Host{Name: "client", Iface: "eth0", Boot: 1})
	f.open(Host{Name: "server", Iface: "eth1", Boot: 1})
	f.open(Host{Name: "server", Iface: "eth1", Boot: 2})
	frame := make([]byte, each)
	for i := range 5 {
		frame[0] = byte(i)
		f.keep(&record.Event{Host: "server", Boot: 2, Time: int64(10 - i), Kind: record.KindOut}, frame, 1500)
	}
	f.keep(&record.Event{Host: "client", Boot: 1, Kind: record.KindIn}, frame, 1500)
	want := &record.Capture{
		Host: "server", Snap: snapLen, Left: 2, Interfaces: []record.Interface{{Name: "eth1", Boot: 1}, {Name: "eth1", Boot: 2}},
	}
	for i := 2; i >= 0; i-- { // in the order of time
		data := make([]byte, each)
		data[0] = byte(i)
		want.Frames = append(want.Frames, record.Frame{Time: int64(10 - i), Boot: 2, Out: true, Length: 1500, Data: data})
	}
	if diff := cmp.Diff(want, f.Of("server")); diff != "" {
		t.Errorf("server (-want +got):\n%s", diff)
	}
	if c := f.Of("client"); c == nil || len(c.Frames) != 0 || c.Left != 1 || f.Left() != 3 {
		t.Errorf("client %+v, left %d", c, f.Left())
	}
	if c := f.Of("standby"); c != nil {
		t.Errorf("standby %+v", c)
	}
}

// Where none are kept nothing is allocated and nothing done.
func TestNoFrames(t *testing.T) {
	var f *Frames
	e, frame := &record.Event{Host: "client"}, make([]byte, 100)
	if n := testing.AllocsPerRun(100, func() { f.keep(e, frame, 100) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	f.open(Host{Name: "client"})
	if f.Of("client") != nil || f.Left() != 0 {
		t.Error("something was kept")
	}
}

// What two taps keep are the frames behind their events: cut, with the length
// that they had.
func TestWireKeepsFrames(t *testing.T) {
	client, server := testPair(t)
	frames := NewFrames(1 << 20)
	client.Frames, server.Frames = frames, frames
	clock := testClock(t)
	var log eventLog
	var taps []*WireTap
	for _, h := range []Host{client, server} {
		w, err := OpenWire(clock, h, log.add)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		taps = append(taps, w)
	}
	listener := testListen(t, server.Net, "10.77.0.2:9998")
	conn := testDial(t, client.Net, listener.Addr().String())
	payload := bytes.Repeat([]byte("what is said "), 100)
	if _, err := conn.Write(payload); err != nil {
		t.Fatal(err)
	}
	peer, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	if _, err := peer.Read(make([]byte, len(payload))); err != nil {
		t.Fatal(err)
	}
	for _, w := range taps {
		if err := w.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, host := range []string{"client", "server"} {
		c := frames.Of(host)
		var events []record.Event
		for _, e := range log.sorted() {
			if e.Host == host {
				events = append(events, e)
			}
		}
		if len(c.Frames) != len(events) || len(events) < 4 {
			t.Fatalf("%s: %d frames, %d events", host, len(c.Frames), len(events))
		}
		whole := 0
		for i, f := range c.Frames {
			e := events[i]
			if f.Time != e.Time || f.Boot != 1 || f.Out != (e.Kind == record.KindOut) || len(f.Data) != min(f.Length, snapLen) {
				t.Errorf("%s: frame at %d, out %v, %d of %d octets, of the event %+v", host, f.Time, f.Out, len(f.Data), f.Length, e)
			}
			if e.Packet.Proto == "tcp" && binary.BigEndian.Uint16(f.Data[12:]) != 0x0800 {
				t.Errorf("%s: frame % x for %v", host, f.Data[:16], e.Packet)
			}
			if e.Packet.Len == len(payload) {
				whole++
				if at := bytes.Index(f.Data, payload[:13]); at < 0 || !bytes.HasPrefix(payload, f.Data[at:]) || f.Length != at+len(payload) {
					t.Errorf("%s: %d octets after the headers of %d, length %d", host, len(f.Data)-at, at, f.Length)
				}
			}
		}
		if whole != 1 {
			t.Errorf("%s: %d frames with the payload", host, whole)
		}
	}
}
