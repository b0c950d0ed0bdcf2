package page

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/internal/testruns"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

func recorded(t *testing.T, scenario string) *record.Record {
	t.Helper()
	r, err := record.ReadFile(filepath.Join("..", "..", "testdata", scenario+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// runs are records of nearly every scenario, over IPv4 and IPv6.
func runs(t *testing.T) map[string]*record.Record {
	t.Helper()
	all := map[string]*record.Record{}
	for _, family := range []string{"ipv4", "ipv6"} {
		for name, r := range testruns.Read(t, filepath.Join("..", "..", "claims", "testdata", family+".json.gz")) {
			all[family+" "+name] = r
		}
	}
	return all
}

func picture(t *testing.T, r *record.Record, scale bool) string {
	t.Helper()
	var b strings.Builder
	if err := SVG(&b, r, scale); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// elements reads a picture as the XML that it must be, and gives the texts and
// the classes of its elements.
func elements(t *testing.T, picture string) (texts, classes []string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(picture))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return texts, classes
		}
		if err != nil {
			t.Fatalf("the picture is no XML: %v", err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			if !slices.Contains([]string{"svg", "title", "style", "rect", "path", "text", "g", "circle", "a"}, e.Name.Local) {
				t.Fatalf("the picture has an element %q", e.Name.Local)
			}
			for _, a := range e.Attr {
				if a.Name.Local == "class" {
					classes = append(classes, a.Value)
				}
			}
		case xml.CharData:
			if s := strings.TrimSpace(string(e)); s != "" {
				texts = append(texts, s)
			}
		}
	}
}

func number(of []string, what string) (n int) {
	for _, s := range of {
		if s == what {
			n++
		}
	}
	return n
}

func TestLadderOfACrash(t *testing.T) {
	texts, classes := elements(t, picture(t, recorded(t, "crash"), false))
	for what, want := range map[string]int{
		"PSH+ACK seq 7 ack 7 len 14":         7,
		"SYN+ACK seq 0 ack 1":                1,
		"fault crash: link down":             1,
		"read() = ETIMEDOUT, blocked 13.4 s": 1,
		"⋮ 6.66 s":                           1,
		"client 10.0.0.1":                    1,
	} {
		if got := number(texts, what); got != want {
			t.Errorf("%d texts %q, want %d", got, what, want)
		}
	}
	for class, want := range map[string]int{
		"packet lost":  7 + 1, // and the legend's
		"row tells":    1 + 1,
		"fault":        2,
		"timer":        7 + 1, // the probe's, five timeouts, the last one
		"call blocked": 1 + 1,
		"dead":         1 + 1,
		"silence":      7 + 1, // six pauses between the seven, and that before the end
	} {
		if got := number(classes, class); got != want {
			t.Errorf("%d elements of the class %q, want %d", got, class, want)
		}
	}
}

func TestEveryLadderIsAPicture(t *testing.T) {
	for name, r := range runs(t) {
		for _, scale := range []bool{false, true} {
			_, classes := elements(t, picture(t, r, scale))
			if number(classes, "fault")+number(classes, "fault quiet") == 0 {
				t.Errorf("%s: no fault in the ladder", name)
			}
		}
	}
}

func stripsOf(r *record.Record) []strip {
	list, _ := strips(r)
	return list
}

func timersOf(r *record.Record) []timer {
	list, _ := timers(r)
	return list
}

// The strips are the states of each socket, one after the other.
func TestStrips(t *testing.T) {
	type span struct {
		host, state string
		micros      int64 // from the fault
	}
	r := recorded(t, "kill")
	var got []span
	for _, s := range stripsOf(r) {
		got = append(got, span{s.host, s.state, (s.to - r.Fault.Time) / 1000})
		if s.to < s.from {
			t.Errorf("%s in %s ends before it begins", s.host, s.state)
		}
	}
	want := []span{
		{"client", "SYN_SENT", -17660},
		{"client", "ESTABLISHED", 1177},
		{"server", "SYN_RECV", -17642},
		{"server", "ESTABLISHED", 1134},
		{"server", "FIN_WAIT1", 43809},
		{"server", "FIN_WAIT2", 43819},
		{"server", "FIN_WAIT2", 301611}, // the mini-socket, until the RST
		{"client", "CLOSE_WAIT", 301634},
	}
	byStart := slices.DeleteFunc(got, func(s span) bool { return s.state == "LISTEN" })
	less := func(a, b span) int { return strings.Compare(a.host+a.state, b.host+b.state) }
	slices.SortFunc(byStart, less)
	slices.SortFunc(want, less)
	if diff := cmp.Diff(want, byStart, cmp.AllowUnexported(span{})); diff != "" {
		t.Errorf("states and when they ended (-want +got):\n%s", diff)
	}
}

// What a host held when it died is not drawn beyond.
func TestStripsEndWithTheirHost(t *testing.T) {
	r := recorded(t, "crash")
	for _, s := range stripsOf(r) {
		if s.host == "server" && s.to > r.Fault.Time {
			t.Errorf("%s of the dead server lasts %v beyond its death", s.state, time.Duration(s.to-r.Fault.Time))
		}
		if s.host == "client" && s.state == "ESTABLISHED" && s.to < r.Fault.Time+int64(13*time.Second) {
			t.Errorf("the client's connection ends %v after the fault", time.Duration(s.to-r.Fault.Time))
		}
	}
}

func TestTimers(t *testing.T) {
	r := recorded(t, "crash")
	var got []string
	for _, x := range timersOf(r) {
		got = append(got, x.what)
	}
	want := []string{
		"until the tail loss probe: 207 ms", "retransmission timeout 204 ms", "retransmission timeout 408 ms",
		"retransmission timeout 816 ms", "retransmission timeout 1.63 s", "retransmission timeout 3.26 s",
		"retransmission timeout 6.53 s",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("timers (-want +got):\n%s", diff)
	}
	got = nil
	for _, x := range timersOf(recorded(t, "keepalive")) {
		got = append(got, x.what)
	}
	if want := []string{"until the probe: 2.01 s", "until the probe: 1.02 s", "until the probe: 1.02 s"}; !cmp.Equal(want, got) {
		t.Errorf("timers of keepalive: %q, want %q", got, want)
	}
}

// A timer that was running is drawn no longer than its socket was there.
func TestTimersEndWithTheirSocket(t *testing.T) {
	r := runs(t)["ipv4 shutdown"]
	running, reset := 0, int64(0)
	for i := range r.Events {
		if p := r.Events[i].Packet; p != nil && p.Flags&record.FlagRST != 0 && reset == 0 {
			reset = r.Events[i].Time
		}
	}
	for _, x := range timersOf(r) {
		if strings.HasPrefix(x.what, "timewait timer") {
			running++
			if x.to != reset || x.beyond {
				t.Errorf("%s: drawn until %d, the RST came at %d", x.what, x.to, reset)
			}
		}
	}
	if running != 1 {
		t.Errorf("%d timers of TIME_WAIT sockets, want 1", running)
	}
}

func TestTrueScaleIsTrue(t *testing.T) {
	r := recorded(t, "crash")
	rows := ladder.Rows(r)
	d := sceneOf(r, rows).drawing(true)
	first, last := rows[0], rows[len(rows)-1]
	for i, w := range rows {
		part := float64(w.Time-first.Time) / float64(last.Time-first.Time)
		if drawn := (d.axis.at[i] - d.axis.at[0]) / trueHeight; math.Abs(drawn-part) > 1e-6 {
			t.Errorf("row %d is at %.4f of the time and drawn at %.4f", i, part, drawn)
		}
	}
	half := (first.Time + last.Time) / 2
	if at := d.axis.of(half); math.Abs(at-d.axis.at[0]-trueHeight/2) > 1 {
		t.Errorf("the middle of the time is drawn at %.1f", at)
	}
}

// The last rows' texts do not reach into the legend.
func TestDrawingEndsBelowItsTexts(t *testing.T) {
	for _, name := range []string{"hang", "simultaneous-close", "crash"} {
		r := recorded(t, name)
		for _, scale := range []bool{false, true} {
			d := sceneOf(r, ladder.Rows(r)).drawing(scale)
			for i, y := range d.axis.at {
				if bottom := y + lineHeight*float64(max(len(d.client[i]), len(d.server[i]))-1) + 4; bottom > d.axis.end+1 {
					t.Errorf("%s, to scale %v: row %d ends at %.1f, the drawing at %.1f", name, scale, i, bottom, d.axis.end)
				}
			}
		}
	}
}

// Without scale no row stands upon another, and time never runs upwards.
func TestCompressedRowsHaveRoom(t *testing.T) {
	for name, r := range runs(t) {
		rows := ladder.Rows(r)
		d := sceneOf(r, rows).drawing(false)
		for i := 1; i < len(rows); i++ {
			lines := max(len(d.client[i-1]), len(d.server[i-1]), 1)
			if rows[i-1].Left != nil {
				lines = len(left(&rows[i-1]))
			}
			if room := d.axis.at[i] - d.axis.at[i-1]; room < lineHeight*float64(lines) {
				t.Errorf("%s: row %d has %d lines and %.1f of room", name, i-1, lines, room)
			}
		}
		for _, s := range d.strips {
			if d.axis.of(s.to) < d.axis.of(s.from) {
				t.Errorf("%s: a strip runs upwards", name)
			}
		}
	}
}

// Where something was not observed, the ladder says so, and nothing is drawn
// from it.
func TestLadderSaysWhatWasNotObserved(t *testing.T) {
	const packets, calls = "packets were not observed", "calls and kernel not observed"
	r := recorded(t, "kill")
	texts, _ := elements(t, picture(t, r, false))
	if number(texts, packets)+number(texts, calls) > 0 {
		t.Error("all was observed, and the ladder says otherwise")
	}
	r.Missing = []record.Missing{{Observer: "wire"}, {Observer: "ebpf"}}
	texts, _ = elements(t, picture(t, r, false))
	if number(texts, packets) != 1 || number(texts, calls) != 2 {
		t.Errorf("%d texts %q, %d %q", number(texts, packets), packets, number(texts, calls), calls)
	}
	for _, s := range stripsOf(r) {
		if s.mini {
			t.Errorf("a mini-socket in %s is drawn, though what reached it is not known", s.state)
		}
	}
}

// A segment whose fate is not known has no arrow's head, and is no lost one.
func TestUnknownFate(t *testing.T) {
	r := recorded(t, "crash")
	for i := range r.Events {
		if p := r.Events[i].Packet; p != nil && p.Fate == record.FateLost {
			p.Fate = ""
		}
	}
	texts, classes := elements(t, picture(t, r, false))
	if lost := number(classes, "packet lost"); lost > 0 || number(texts, "seen no further") != 1 {
		t.Errorf("%d are drawn as lost; the legend says %q", lost, texts[len(texts)-12:])
	}
}

// Who took an address over is said at its lifeline, which goes on from then.
func TestSuccessor(t *testing.T) {
	texts, _ := elements(t, picture(t, recorded(t, "failover"), false))
	if number(texts, "server fd00::2; from 0.010210 s on standby") != 1 {
		t.Errorf("the heads are %q", texts[len(texts)-1])
	}
}

// What programs and packets say is text.
func TestHostileLadder(t *testing.T) {
	r := recorded(t, "crash")
	const hostile = "</text><script>alert(1)</script>\"'><img onerror=x>\x1b[2J\xff\u202e"
	r.Scenario, r.Title = hostile, hostile
	for i := range r.Events {
		e := &r.Events[i]
		e.Comm = hostile
		switch {
		case e.Source == record.Output, e.Source == record.Step, e.Source == record.Fault:
			e.Text = hostile
		case e.State != nil:
			e.State.Local, e.State.To = hostile, hostile
		case e.Process != nil:
			e.Process.Argv = []string{hostile}
		case e.Syscall != nil:
			e.Syscall.Arg, e.Syscall.Error = hostile, hostile
		case e.Packet != nil:
			e.Packet.Src, e.Packet.Proto = hostile, hostile
		}
	}
	for _, scale := range []bool{false, true} {
		_, classes := elements(t, picture(t, r, scale)) // which knows all elements
		for _, c := range classes {
			if strings.ContainsAny(c, "<>\"'") {
				t.Errorf("a class %q", c)
			}
		}
	}
}
