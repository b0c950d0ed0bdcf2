package report_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
)

// A packet is what a reader makes of a frame.
type packet struct {
	at        int64 // since the run began
	name      string
	direction pcapgo.NgEpbFlag
	length    int
	data      string
	comments  []string
}

// readCapture writes a capture and has gopacket read it.
func readCapture(t *testing.T, r *record.Record, c *record.Capture) (packets []packet, in *pcapgo.NgReader) {
	t.Helper()
	var b bytes.Buffer
	if err := report.PCAPNG(&b, r, c); err != nil {
		t.Fatal(err)
	}
	in, err := pcapgo.NewNgReader(&b, pcapgo.NgReaderOptions{ErrorOnMismatchingLinkType: true})
	if err != nil {
		t.Fatal(err)
	}
	start, err := time.Parse(time.RFC3339Nano, r.Started)
	if err != nil {
		t.Fatal(err)
	}
	for {
		data, info, options, err := in.ReadPacketDataWithOptions()
		if errors.Is(err, io.EOF) {
			return packets, in
		} else if err != nil {
			t.Fatal(err)
		}
		i, err := in.Interface(info.InterfaceIndex)
		if err != nil {
			t.Fatal(err)
		}
		if i.LinkType != layers.LinkTypeEthernet || i.TimestampResolution.ToTimestampResolution().Exponent != -9 {
			t.Errorf("interface %+v", i)
		}
		packets = append(packets, packet{
			info.Timestamp.Sub(start).Nanoseconds(), i.Name, options.Flags.Direction, info.Length, string(data), options.Comments,
		})
	}
}

// capture makes a frame for each packet of a host's in a record.
func capture(r *record.Record, host string, boots ...int) *record.Capture {
	c := &record.Capture{Host: host, Snap: 256}
	for _, boot := range boots {
		c.Interfaces = append(c.Interfaces, record.Interface{Name: "eth0", Boot: boot})
	}
	for _, e := range r.Events {
		if e.Packet != nil && e.Host == host {
			data := bytes.Repeat([]byte{byte(len(c.Frames))}, 60+len(c.Frames)%4) // of all paddings
			c.Frames = append(c.Frames, record.Frame{Time: e.Time, Boot: e.Boot, Out: e.Kind == record.KindOut, Length: 1500, Data: data})
		}
	}
	return c
}

func TestPCAPNG(t *testing.T) {
	r := load(t, "reboot")
	c := capture(r, "server", 1, 2)
	got, in := readCapture(t, r, c)
	if len(got) != len(c.Frames) {
		t.Fatalf("%d packets of %d", len(got), len(c.Frames))
	}
	names := map[string]int{}
	for i, p := range got {
		f := c.Frames[i]
		want := packet{f.Time, "eth0 (boot 1)", pcapgo.NgEpbFlagDirectionInbound, 1500, string(f.Data), p.comments}
		if f.Boot == 2 {
			want.name = "eth0 (boot 2)"
		}
		if f.Out {
			want.direction = pcapgo.NgEpbFlagDirectionOutbound
		}
		if diff := cmp.Diff(want, p, cmp.AllowUnexported(packet{})); diff != "" {
			t.Errorf("packet %d (-want +got):\n%s", i, diff)
		}
		names[p.name]++
	}
	if names["eth0 (boot 1)"] == 0 || names["eth0 (boot 2)"] == 0 {
		t.Errorf("packets by interface: %v", names)
	}
	if i, _ := in.Interface(1); i.Description != "the server's end of its link, path switch, in its boot 2" || i.SnapLength != 256 {
		t.Errorf("interface %+v", i)
	}
	s := in.SectionInfo()
	if s.OS != "Linux "+r.Kernel.Release || s.Application != "lab" || !strings.HasPrefix(s.Comment, "The server's end in reboot (lab run reboot), as-expected.") {
		t.Errorf("section %+v", s)
	}
}

// What the record knows to have mattered is said beside the packet.
func TestPCAPNGComments(t *testing.T) {
	r := load(t, "crash")
	got, _ := readCapture(t, r, capture(r, "client", 1))
	var said []string
	for _, p := range got {
		if len(p.comments) > 0 {
			said = append(said, strings.Join(p.comments, "; "))
		}
	}
	const lost = "lost: it never reached the other end"
	want := []string{
		"answered by the switch in the place of whom it was for",
		"the first here after the fault: crash; " + lost,
		"tail loss probe, next after 0.21 s; " + lost,
		"retransmit 1, next after 0.42 s; " + lost, "retransmit 2, next after 0.83 s; " + lost,
		"retransmit 3, next after 1.66 s; " + lost, "retransmit 4, next after 3.36 s; " + lost, "retransmit 5, end after 6.66 s; " + lost,
	}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("comments (-want +got):\n%s", diff)
	}
	got, _ = readCapture(t, r, capture(r, "server", 1))
	said = nil
	for _, p := range got {
		said = append(said, p.comments...)
	}
	want = []string{"answered by the switch in the place of whom it was for", "decided crash.lab:17: expect server acknowledged"}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("comments (-want +got):\n%s", diff)
	}
}

func TestPCAPNGSaysWhatIsMissing(t *testing.T) {
	r := load(t, "crash")
	var b bytes.Buffer
	if err := report.PCAPNG(&b, r, &record.Capture{Host: "client", Left: 17}); err != nil || !strings.Contains(b.String(), "17 frames are missing") {
		t.Errorf("error %v, capture %q", err, b.String())
	}
	if err := report.PCAPNG(io.Discard, r, &record.Capture{Host: "client", Frames: []record.Frame{{Boot: 3}}}); err == nil {
		t.Error("a frame without an interface was written")
	}
}

// Comments quote what programs and packets said.
func TestPCAPNGOfHostileRecords(t *testing.T) {
	r := load(t, "reboot")
	c := capture(r, "client", 1)
	started := r.Started
	spoil(r, strings.Repeat(hostile, 10000))
	r.Started = started
	got, _ := readCapture(t, r, c)
	if len(got) != len(c.Frames) {
		t.Errorf("%d packets of %d", len(got), len(c.Frames))
	}
}
