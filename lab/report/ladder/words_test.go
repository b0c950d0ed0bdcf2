package ladder_test

import (
	"strings"
	"testing"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// What outlives its socket is told as what it is, as far as the wire tells that.
func TestOutlives(t *testing.T) {
	fin := segment(5, record.KindIn, 1, 1, record.FlagFIN|record.FlagACK, 0)
	other := segment(5, record.KindIn, 1, 1, record.FlagFIN|record.FlagACK, 0)
	other.Packet.Dst = "10.0.0.1:6"
	data := segment(5, record.KindIn, 1, 1, record.FlagACK, 4)
	unseen := []record.Missing{{Observer: "wire"}}
	for name, c := range map[string]struct {
		from    string
		before  record.Event
		missing []record.Missing
		want    string
	}{
		"the peer's FIN":           {"FIN_WAIT2", fin, nil, "FIN_WAIT2 -> TIME_WAIT"},
		"that of another":          {"FIN_WAIT2", other, nil, "FIN_WAIT2, without a process"},
		"no FIN":                   {"FIN_WAIT2", data, nil, "FIN_WAIT2, without a process"},
		"both FINs on their way":   {"CLOSING", fin, nil, "CLOSING -> TIME_WAIT"},
		"the wire is not observed": {"FIN_WAIT2", data, unseen, "FIN_WAIT2 or TIME_WAIT, without a process"},
		"FIN_WAIT1 and a FIN":      {"FIN_WAIT1", fin, nil, "FIN_WAIT1 -> TIME_WAIT"},
		"FIN_WAIT1 and none":       {"FIN_WAIT1", data, nil, "FIN_WAIT1 -> CLOSE"},
	} {
		r := &record.Record{Missing: c.missing, Events: []record.Event{c.before, {
			Time: 30_000, Host: "client", Source: record.Socket, Kind: record.KindState,
			State: &record.State{Local: "10.0.0.1:5", Remote: "10.0.0.2:7", From: c.from, To: "CLOSE"},
		}}}
		if got := ladder.Text(r, 1); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// A state that stays as it is says nothing.
func TestSameState(t *testing.T) {
	r := &record.Record{Events: []record.Event{{Source: record.Socket, Kind: record.KindState, State: &record.State{From: "FIN_WAIT1", To: "FIN_WAIT1"}}}}
	if got := ladder.Text(r, 0); got != "" {
		t.Errorf("it says %q", got)
	}
}

// Of a line that goes on and on the beginning is told, and how long it is.
func TestLongLine(t *testing.T) {
	r := &record.Record{Events: []record.Event{{Source: record.Output, Kind: record.KindStdout, Comm: "tr", Text: strings.Repeat("ä", 2000)}}}
	if got, want := ladder.Text(r, 0), "tr: "+strings.Repeat("ä", 256)+"... (4,000 octets)"; got != want {
		t.Errorf("got %q", got)
	}
}

// That a link comes up is told if it had been down.
func TestLinkUp(t *testing.T) {
	up := record.Event{Host: "client", Boot: 1, Source: record.Wire, Kind: record.KindCarrier, Link: record.LinkUp}
	down := up
	down.Link = record.LinkDown
	r := &record.Record{Events: []record.Event{up, down, up}}
	for i, want := range []string{"", "link down", "link up"} {
		if got := ladder.Text(r, i); got != want {
			t.Errorf("%d: %q, want %q", i, got, want)
		}
	}
}

// A link that goes down is told once: by the fault that did it, if one says so.
func TestLinkDownIsTheFaults(t *testing.T) {
	for name, c := range map[string]struct {
		host string
		at   int64
		text string
		want string
	}{
		"the fault says it": {"server", 300_000, "link down", ""},
		"it says another":   {"server", 300_000, "every process killed", "link down"},
		"another host's":    {"client", 300_000, "link down", "link down"},
		"later":             {"server", 3_000_000, "link down", "link down"},
	} {
		r := &record.Record{Events: []record.Event{
			{Host: "server", Source: record.Wire, Kind: record.KindCarrier, Link: record.LinkDown},
			{Time: c.at, Host: c.host, Source: record.Fault, Kind: "crash", Text: c.text},
		}}
		if got := ladder.Text(r, 0); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Only what lies beyond the window is said to be outside of it.
func TestDropped(t *testing.T) {
	for reason, want := range map[string]string{
		"TCP_OLD_SEQUENCE":     "drops a segment with an old sequence number",
		"TCP_INVALID_SEQUENCE": "drops a segment outside its window",
	} {
		r := &record.Record{Events: []record.Event{{Source: record.TCP, Kind: record.KindDrop, Text: "dropped: " + reason, TCP: &record.TCPEvent{}}}}
		if got := ladder.Text(r, 0); got != want {
			t.Errorf("%s: %q, want %q", reason, got, want)
		}
	}
}

// Calls that are not told are not among those that are left out.
func TestLeftOutOfWhatIsTold(t *testing.T) {
	r := &record.Record{}
	for i := range 100 {
		r.Events = append(r.Events, record.Event{
			Time: int64(i+1) * ms, Host: "client", PID: 7, Comm: "top", Source: record.Syscall, Kind: record.KindCall,
			Syscall: &record.Call{Name: "write", FD: 1, Ret: 6},
		})
	}
	if rows := ladder.Rows(r); len(rows) != 0 {
		t.Errorf("%d rows, the first: %s", len(rows), brief(rows[0]))
	}
}
