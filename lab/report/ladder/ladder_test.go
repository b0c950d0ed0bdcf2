package ladder_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

func load(t *testing.T, scenario string) *record.Record {
	t.Helper()
	r, err := record.ReadFile(filepath.Join("..", "..", "testdata", scenario+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// brief writes a row as its texts.
func brief(w ladder.Row) string {
	switch {
	case w.Across != "":
		return "--- " + w.Across
	case w.Left != nil:
		return "(" + w.Left.String() + ")"
	case w.Table:
		return fmt.Sprintf("%d sockets of the %s", len(w.Sockets), w.Host)
	}
	wire := ""
	if w.Wire != nil {
		wire = w.Wire.Text
	}
	return w.Client + " | " + wire + " | " + w.Server
}

func TestRowsOfACrash(t *testing.T) {
	r := load(t, "crash")
	var after []string
	for _, w := range ladder.Rows(r) {
		if w.Time > r.Fault.Time && w.Client+w.Across != "" {
			after = append(after, brief(w))
		}
	}
	joined := strings.Join(after, "\n")
	for _, want := range []string{
		"tail loss probe, next after 0.21 s | 14 octets | ",
		"retransmit 1, next after 0.42 s | 14 octets | ",
		"retransmit 5, end after 6.66 s | 14 octets | ",
		"ESTABLISHED -> CLOSE |  | ",
	} {
		if !strings.Contains(joined, want) {
			t.Errorf("no row %q in:\n%s", want, joined)
		}
	}
}

// Every row names its events, in whose order the rows are.
func TestRowsAreOfEvents(t *testing.T) {
	r := load(t, "shutdown")
	last := int64(-1 << 62)
	for _, w := range ladder.Rows(r) {
		if w.Time < last {
			t.Errorf("row %q comes after a later one", brief(w))
		}
		last = w.Time
		if len(w.Events) == 0 {
			t.Errorf("row %q tells no event", brief(w))
			continue
		}
		if e := r.Events[w.Events[0]]; e.Time != w.Time || w.Across == "" && e.Host != w.Host {
			t.Errorf("row %q at %d of %q tells an event at %d of %q", brief(w), w.Time, w.Host, e.Time, e.Host)
		}
	}
}

// The rows of a record that grows are those of the whole, but for what was not
// known yet.
func TestRowsGrow(t *testing.T) {
	r := load(t, "crash")
	all := ladder.Rows(r)
	part := *r
	part.Events = slices.Clone(r.Events[:len(r.Events)-20])
	some := ladder.Rows(&part)
	for i := range some {
		some[i].Again, all[i].Again = nil, nil
		if c, a := brief(some[i]), brief(all[i]); c != a && !strings.HasPrefix(a, c[:strings.Index(c+" |", " |")]) {
			t.Errorf("row %d is %q, and later %q", i, c, a)
		}
	}
}

func segment(at int64, kind string, seq, ack uint32, flags, size int) record.Event {
	e := record.Event{Time: at, Host: "client", Source: record.Wire, Kind: kind, Packet: &record.Packet{
		Proto: "tcp", Src: "10.0.0.1:5", Dst: "10.0.0.2:7", Seq: seq, Ack: ack, Flags: flags, Len: size, Window: 500,
	}}
	if kind == record.KindIn {
		e.Packet.Src, e.Packet.Dst = e.Packet.Dst, e.Packet.Src
	}
	return e
}

// The numbers count from the SYN, also past the end of the 32 bits; without
// one from what is seen first. Those of a new connection count anew.
func TestNumbersAreRelative(t *testing.T) {
	const (
		syn = record.FlagSYN
		ack = record.FlagACK
	)
	for name, c := range map[string]struct {
		events []record.Event
		want   [][2]uint32
	}{
		"from the SYN": {[]record.Event{
			segment(1, record.KindOut, 1<<32-3, 0, syn, 0),
			segment(2, record.KindIn, 900, 1<<32-2, syn|ack, 0),
			segment(3, record.KindOut, 1<<32-2, 901, ack, 6),
			segment(4, record.KindIn, 901, 4, ack, 0),
		}, [][2]uint32{{0, 0}, {0, 1}, {1, 1}, {1, 7}}},
		"not from the beginning": {[]record.Event{
			segment(1, record.KindOut, 500, 900, ack, 6),
			segment(2, record.KindIn, 900, 506, ack, 0),
		}, [][2]uint32{{1, 1}, {1, 7}}},
		"a second connection": {[]record.Event{
			segment(1, record.KindOut, 500, 0, syn, 0),
			segment(2, record.KindOut, 800, 0, syn, 0),
			segment(3, record.KindOut, 800, 0, syn, 0),
			segment(4, record.KindOut, 801, 0, 0, 5),
		}, [][2]uint32{{0, 0}, {0, 0}, {0, 0}, {1, 0}}},
	} {
		t.Run(name, func(t *testing.T) {
			var got [][2]uint32
			for _, w := range ladder.Rows(&record.Record{Events: c.events}) {
				got = append(got, [2]uint32{w.Wire.Seq, w.Wire.Ack})
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("sequence and acknowledgement (-want +got):\n%s", diff)
			}
		})
	}
}

// What is told again and again is told at its beginning and at its end, and
// what comes once among it is told.
func TestRepeatsAreLeftOut(t *testing.T) {
	var events []record.Event
	for i := range 100_000 {
		e := segment(int64(i+1)*1000, record.KindOut, 500, 900, record.FlagACK, 0)
		e.Packet.Probe = true
		events = append(events, e)
		if i == 50_000 {
			events = append(events, record.Event{Time: e.Time + 1, Host: "client", Source: record.Output, Kind: record.KindStdout, Comm: "c", Text: "half of it"})
		}
	}
	rows := ladder.Rows(&record.Record{Events: events})
	left, told := 0, false
	for _, w := range rows {
		if w.Left != nil {
			left += w.Left.Rows
		}
		told = told || strings.Contains(w.Client, "half of it")
	}
	if len(rows) != 32+2+1 || left != 100_000-32 || !told {
		t.Errorf("%d rows, %d left out, what came once is told: %v", len(rows), left, told)
	}
}

// However many kinds of rows there are, there are not too many rows.
func TestRowsAreBounded(t *testing.T) {
	var events []record.Event
	for i := range 20_000 {
		events = append(events, record.Event{Time: int64(i + 1), Host: "client", Source: record.Step, Kind: "type", Text: fmt.Sprint("the user types: ", i)})
	}
	events = append(events[:10_000:10_000], append([]record.Event{{Time: 10_000, Host: "server", Source: record.Fault, Kind: "crash", Text: "link down"}}, events[10_000:]...)...)
	rows := ladder.Rows(&record.Record{Events: events})
	faults, left := 0, 0
	for _, w := range rows {
		if w.Across != "" {
			faults++
		}
		if w.Left != nil {
			left += w.Left.Rows
		}
	}
	if len(rows) != 2000+3 || faults != 1 || left != 18_000 {
		t.Errorf("%d rows, %d faults, %d left out", len(rows), faults, left)
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain, ä":            "plain, ä",
		"\x1b[2J\x07\x7f":     `\x1b[2J\x07\x7f`,
		"a\nb\r":              `a\nb\x0d`,
		"\u009b31m":           `\x9b31m`,
		"x\u202egnp.exe":      `x\u202egnp.exe`,
		"\xff\xfe not UTF-8 ": "\ufffd\ufffd not UTF-8 ",
	} {
		if got := ladder.Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}
