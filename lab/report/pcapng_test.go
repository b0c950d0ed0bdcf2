package report_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
)

// A packet is what a reader makes of a frame, or of a row.
type packet struct {
	at        int64 // since the run began
	name      string
	direction pcapgo.NgEpbFlag
	length    int
	data      string
	comments  []string
}

// rowData is how the data of a row begins: the dissector's name, and the end of
// such tags. What follows is a message of syslog.
const rowData = "\x00\x0c\x00\x08syslog\x00\x00\x00\x00\x00\x00"

// message is that of a row, false of a frame.
func (p *packet) message() (string, bool) { return strings.CutPrefix(p.data, rowData) }

// frames leaves the rows out, messages is the rows alone.
func frames(all []packet) []packet {
	return slices.DeleteFunc(slices.Clone(all), func(p packet) bool { _, row := p.message(); return row })
}

func messages(all []packet) (texts []string) {
	for _, p := range all {
		if text, row := p.message(); row {
			texts = append(texts, text)
		}
	}
	return texts
}

// readCapture writes a capture and reads it.
func readCapture(t *testing.T, r *record.Record, c *record.Capture) ([]packet, *pcapgo.NgReader) {
	t.Helper()
	var b bytes.Buffer
	if err := report.PCAPNG(&b, r, c); err != nil {
		t.Fatal(err)
	}
	return read(t, r, &b)
}

// read has gopacket read a capture, whose packets must be in the order of time.
func read(t *testing.T, r *record.Record, b io.Reader) (packets []packet, in *pcapgo.NgReader) {
	t.Helper()
	in, err := pcapgo.NewNgReader(b, pcapgo.NgReaderOptions{WantMixedLinkType: true})
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
		p := packet{
			at: info.Timestamp.Sub(start).Nanoseconds(), name: i.Name, length: info.Length, data: string(data), comments: options.Comments,
		}
		if options.Flags != nil {
			p.direction = options.Flags.Direction
		}
		link := layers.LinkTypeEthernet
		if _, row := p.message(); row {
			link = 252
		}
		if i.LinkType != link || i.TimestampResolution.ToTimestampResolution().Exponent != -9 {
			t.Errorf("interface %+v of %q", i, p.data)
		}
		if n := len(packets); n > 0 && packets[n-1].at > p.at {
			t.Errorf("%+v comes after %+v", p, packets[n-1])
		}
		packets = append(packets, p)
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
	all, in := readCapture(t, r, c)
	got := frames(all)
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
	if s.OS != "Linux "+r.Kernel.Release || s.Application != "lab" || !strings.HasPrefix(s.Comment, "The server's end in reboot (lab run reboot), as expected.") {
		t.Errorf("section %+v", s)
	}
}

// What the record knows to have mattered is said beside the packet.
func TestPCAPNGComments(t *testing.T) {
	r := load(t, "crash")
	got, _ := readCapture(t, r, capture(r, "client", 1))
	var said []string
	for _, p := range frames(got) {
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
	for _, p := range frames(got) {
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

// What else happened stands between the packets: of the host, and the faults.
func TestPCAPNGRows(t *testing.T) {
	r := load(t, "reboot")
	got, in := readCapture(t, r, capture(r, "client", 1))
	want := []string{
		"<14>process 8 executes echo-client -persist 10.0.0.2:9998",
		"<14>TCP: CLOSE -> SYN_SENT",
		"<14>TCP: SYN_SENT -> ESTABLISHED (10.0.0.1:40550 - 10.0.0.2:9998)",
		"<14>echo-client[8]: connect(10.0.0.2:9998) = 0",
		"<14>the user types: hello",
		"<14>echo-client[8]: write() = 6",
		"<14>echo-client[8]: read() = 6",
		"<14>client prints: hello",
		"<9>fault reboot: link down",
		"<9>fault reboot: every process killed, every socket destroyed",
		"<9>fault reboot: network namespace 4026534318 thrown away",
		"<9>fault reboot: network namespace 4026534101 made",
		"<9>fault reboot: link up",
		"<14>the user types: still there?",
		"<14>TCP: receives RST (10.0.0.1:40550 - 10.0.0.2:9998)",
		"<14>TCP: ESTABLISHED -> CLOSE (10.0.0.1:40550 - 10.0.0.2:9998)",
		"<14>TCP: socket error ECONNRESET (10.0.0.1:40550 - 10.0.0.2:9998)",
		"<14>echo-client[8]: write() = 13",
		"<14>echo-client[8]: read() = ECONNRESET",
		"<14>client prints: read: connection reset by peer (ECONNRESET)",
		"<14>the user types: and one more",
		"<14>SIGPIPE to echo-client[8]",
		"<14>echo-client[8]: write() = EPIPE",
		"<14>client prints: write: broken pipe (EPIPE)",
		"<14>the user types Ctrl-D",
		"<14>echo-client[8] exit 1",
	}
	if diff := cmp.Diff(want, messages(got)); diff != "" {
		t.Errorf("rows of the client (-want +got):\n%s", diff)
	}
	i, err := in.Interface(1)
	if err != nil || i.Name != "lab: events of the client" || i.SnapLength != 0 {
		t.Errorf("interface %+v, error %v", i, err)
	}
	for _, p := range got {
		if text, row := p.message(); row && (p.direction != pcapgo.NgEpbFlagDirectionUnknown || p.length != len(p.data)) {
			t.Errorf("row %q: direction %v, length %d", text, p.direction, p.length)
		}
	}
	got, _ = readCapture(t, r, capture(r, "server", 1, 2))
	said := strings.Join(messages(got), "\n")
	for _, want := range []string{"<9>fault reboot: link down\n", "SIGKILL to echo-server[", "TCP: sends RST"} {
		if !strings.Contains(said, want) {
			t.Errorf("no row of the server says %q:\n%s", want, said)
		}
	}
	if strings.Contains(said, "echo-client") {
		t.Errorf("the server's rows tell of the client:\n%s", said)
	}
}

// The rows of the events that decided say so, as packets do.
func TestPCAPNGRowsThatDecided(t *testing.T) {
	r := load(t, "crash")
	got, _ := readCapture(t, r, capture(r, "client", 1))
	said := map[string][]string{}
	for _, p := range got {
		if text, row := p.message(); row && len(p.comments) > 0 {
			said[text] = p.comments
		}
	}
	want := map[string][]string{
		"<14>TCP: SYN_SENT -> ESTABLISHED (10.0.0.1:42158 - 10.0.0.2:9998)": {"decided crash.lab:13: expect client socket ESTABLISHED"},
		"<14>client prints: hello":                                  {"decided crash.lab:15: expect client prints hello"},
		"<14>echo-client[7]: write() = 14":                          {"decided crash.lab:22: expect client write() = ok"},
		"<14>TCP: tail loss probe (10.0.0.1:42158 - 10.0.0.2:9998)": {"decided crash.lab:23: expect client retransmits"},
		"<14>echo-client[7]: read() = ETIMEDOUT, blocked 13.4 s": {
			"told the client ETIMEDOUT, 13.4 s after the fault",
			"decided crash.lab:25: expect -told client read() = ETIMEDOUT",
		},
	}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("comments of rows (-want +got):\n%s", diff)
	}
}

// A capture that is written while the run goes on has all that one has which is
// written at its end, and each piece of it can be read as soon as it is there.
func TestCaptureWriter(t *testing.T) {
	for _, host := range []string{"client", "server"} {
		r := load(t, "reboot")
		c := capture(r, host, 1)
		if host == "server" {
			c = capture(r, host, 1, 2)
		}
		var b bytes.Buffer
		w := report.NewCaptureWriter(&b, host)
		seen := 0
		for until := int64(0); until <= r.Duration+10e6; until += 10e6 {
			soFar := *r
			soFar.Events = slices.DeleteFunc(slices.Clone(r.Events), func(e record.Event) bool { return e.Time >= until })
			known := *c
			known.Interfaces = slices.DeleteFunc(slices.Clone(c.Interfaces), func(i record.Interface) bool {
				return i.Boot == 2 && until < r.Fault.Back
			})
			if err := w.Write(&soFar, &known, until); err != nil {
				t.Fatal(err)
			}
			if got, _ := read(t, r, bytes.NewReader(b.Bytes())); len(got) < seen {
				t.Fatalf("%d packets of %d", len(got), seen)
			} else if seen = len(got); until == 0 && seen > 0 {
				t.Errorf("%d packets before the run", seen)
			}
		}
		if frames, events := w.Late(); frames != 0 || events != 0 {
			t.Errorf("%d frames and %d events came too late", frames, events)
		}
		got, _ := read(t, r, &b)
		want, _ := readCapture(t, r, c)
		for _, all := range [][]packet{got, want} {
			for i := range all { // what comes later, and that there is a second boot, is not known at first
				all[i].comments = nil
				all[i].name = strings.TrimSuffix(all[i].name, " (boot 1)")
			}
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(packet{})); diff != "" {
			t.Errorf("%s (-at the end +meanwhile):\n%s", host, diff)
		}
	}
}

// What became known too late is counted, for its place is taken; calls that
// never return are not, for those are always known last.
func TestCaptureWriterLate(t *testing.T) {
	r := load(t, "crash-idle")
	c := capture(r, "client", 1)
	blocked := slices.IndexFunc(r.Events, func(e record.Event) bool { return e.Host == "client" && e.Kind == record.KindEnter })
	typed := slices.IndexFunc(r.Events, func(e record.Event) bool { return e.Kind == "type" })
	if blocked < typed || typed < 0 {
		t.Fatal("the record has not the events that this is about")
	}
	firstRecord, first := *r, *c
	first.Frames = slices.Delete(slices.Clone(c.Frames), 3, 4)
	firstRecord.Events = slices.Delete(slices.Clone(r.Events), blocked, blocked+1)
	firstRecord.Events = slices.Delete(firstRecord.Events, typed, typed+1)
	w := report.NewCaptureWriter(io.Discard, "client")
	if err := w.Write(&firstRecord, &first, r.Duration); err != nil {
		t.Fatal(err)
	}
	if frames, events := w.Late(); frames != 0 || events != 0 {
		t.Errorf("%d frames and %d events came too late, want none", frames, events)
	}
	for range 2 {
		if err := w.Write(r, c, math.MaxInt64); err != nil {
			t.Fatal(err)
		}
		if frames, events := w.Late(); frames != 1 || events != 1 {
			t.Errorf("%d frames and %d events came too late, want 1 of each", frames, events)
		}
	}
}

// Without frames there are the rows.
func TestCaptureWriterWithoutFrames(t *testing.T) {
	r := load(t, "crash")
	var b bytes.Buffer
	if err := report.NewCaptureWriter(&b, "client").Write(r, nil, math.MaxInt64); err != nil {
		t.Fatal(err)
	}
	want, _ := readCapture(t, r, capture(r, "client", 1))
	got, _ := read(t, r, &b)
	if diff := cmp.Diff(messages(want), messages(got)); diff != "" || len(frames(got)) > 0 {
		t.Errorf("%d frames, rows (-with frames +without):\n%s", len(frames(got)), diff)
	}
}

// Comments and rows quote what programs and packets said.
func TestPCAPNGOfHostileRecords(t *testing.T) {
	r := load(t, "reboot")
	c := capture(r, "client", 1)
	started := r.Started
	spoil(r, strings.Repeat(hostile, 10000))
	r.Started = started
	got, _ := readCapture(t, r, c)
	if len(frames(got)) != len(c.Frames) {
		t.Errorf("%d packets of %d", len(frames(got)), len(c.Frames))
	}
	rows := messages(got)
	if len(rows) < 10 {
		t.Errorf("%d rows", len(rows))
	}
	for _, p := range got {
		said := p.comments
		if text, row := p.message(); row {
			said = append(said, text)
		}
		for _, s := range said {
			if strings.ContainsFunc(s, unicode.IsControl) || !utf8.ValidString(s) || len(s) > 1100 {
				t.Errorf("%.200q", s)
			}
		}
	}
}
