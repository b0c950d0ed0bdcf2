package ladder_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// A doing is what a client of a port does, or is sent.
func doing(port int, kind string, flags int) record.Event {
	local, remote := fmt.Sprintf("10.0.0.1:%d", port), "10.0.0.2:7"
	e := record.Event{Host: "client", Kind: kind, Source: record.Wire}
	switch kind {
	case record.KindOut:
		e.Packet = &record.Packet{Proto: "tcp", Src: local, Dst: remote, Flags: flags, Window: 500}
	case record.KindIn:
		e.Packet = &record.Packet{Proto: "tcp", Src: remote, Dst: local, Flags: flags, Window: 500} // heard only
	case record.KindCall:
		e.Source, e.PID, e.Comm = record.Syscall, port/100, "/usr/bin/nc"
		e.Syscall = &record.Call{Name: "write", FD: 3, Socket: true, Local: local, Remote: remote, Ret: 6}
	case record.KindState:
		e.Source, e.State = record.Socket, &record.State{Local: local, Remote: remote, From: "ESTABLISHED", To: "CLOSE"}
	case record.KindStdout:
		e.Source, e.PID, e.Comm, e.Text = record.Output, port/100, "nc", "hello"
	}
	return e
}

// The end of a connection that began before the record is not another one.
func TestHalfSeenConnection(t *testing.T) {
	r := &record.Record{Hosts: []record.Host{{Name: "client", MAC: "c"}, {Name: "server", MAC: "s"}}, Events: []record.Event{
		doing(2000, record.KindOut, record.FlagACK), doing(2000, record.KindIn, record.FlagFIN|record.FlagACK),
		doing(3000, record.KindOut, record.FlagSYN), doing(3000, record.KindCall, 0),
	}}
	for i := range r.Events {
		r.Events[i].Time = int64(i) * ms
	}
	rows := ladder.Rows(r)
	if last := rows[len(rows)-1].Client; last != "write() = 6" {
		t.Errorf("of the only connection: %q", last)
	}
}

// While there are several connections it is told which one each thing is of, and
// not before the second is there, nor after the end of all but one.
func TestSeveralConnections(t *testing.T) {
	const (
		syn = record.FlagSYN
		ack = record.FlagACK
		fin = record.FlagFIN | record.FlagACK
		rst = record.FlagRST
	)
	two := []record.Event{doing(2000, record.KindOut, syn), doing(2000, record.KindCall, 0), doing(3000, record.KindOut, syn)}
	for name, c := range map[string]struct {
		then []record.Event
		want []string
	}{
		"both do something": {
			[]record.Event{doing(2000, record.KindCall, 0), doing(3000, record.KindCall, 0), doing(2000, record.KindIn, ack), doing(3000, record.KindStdout, 0)},
			[]string{"nc[20]:2000 write() = 6", "nc[30]:3000 write() = 6", ":2000 ACK", "nc[30]: hello"},
		},
		"its socket is closed": {
			[]record.Event{doing(3000, record.KindState, 0), doing(2000, record.KindCall, 0), doing(3000, record.KindStdout, 0)},
			[]string{":3000 ESTABLISHED -> CLOSE", "write() = 6", "nc: hello"},
		},
		"a RST ends one": {
			[]record.Event{doing(2000, record.KindIn, rst), doing(3000, record.KindOut, ack), doing(2000, record.KindCall, 0)},
			[]string{":2000 RST", "ACK", "nc[20]:2000 write() = 6"},
		},
		"both FINs end one": {
			[]record.Event{doing(2000, record.KindIn, fin), doing(3000, record.KindOut, ack), {
				Host: "server", Source: record.Wire, Kind: record.KindIn,
				Packet: &record.Packet{Proto: "tcp", Src: "10.0.0.1:2000", Dst: "10.0.0.2:7", Flags: fin, Window: 500, SrcMAC: "c"},
			}, doing(3000, record.KindOut, ack)},
			[]string{":2000 FIN", ":3000 ACK", "ACK"},
		},
	} {
		r := &record.Record{Events: append(append([]record.Event{}, two...), c.then...), Hosts: []record.Host{{Name: "client", MAC: "c"}, {Name: "server", MAC: "s"}}}
		var got []string
		for i := range r.Events {
			r.Events[i].Time = int64(i) * ms
		}
		for _, w := range ladder.Rows(r) {
			if w.Wire != nil {
				got = append(got, w.Wire.Label())
			} else {
				got = append(got, w.Client)
			}
		}
		if diff := cmp.Diff(append([]string{"SYN", "write() = 6", ":3000 SYN"}, c.want...), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
