package ladder_test

import (
	"testing"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// That something is left out is not told where the thing itself takes no more room.
func TestFewAreNotLeftOut(t *testing.T) {
	var events []record.Event
	for i := range 200 {
		host := "client" // three times, and then the server
		if i%4 == 3 {
			host = "server"
		}
		events = append(events, record.Event{Time: int64(i+1) * ms, Host: host, Source: record.Output, Kind: record.KindStdout, Comm: "c", Text: "tick"})
	}
	left, told := 0, 0
	for _, w := range ladder.Rows(&record.Record{Events: events}) {
		switch {
		case w.Left == nil:
			told++
		case w.Left.Rows < 3:
			t.Errorf("it says %q", w.Left)
		default:
			left += w.Left.Rows
		}
	}
	if left == 0 || left+told != 200 {
		t.Errorf("%d lines are told, %d left out", told, left)
	}
}

// What a host answers for itself is told once, though the network answers for hosts.
func TestAnswersOnce(t *testing.T) {
	answer := func(at int64, host, kind, fate string, transit int64) record.Event {
		return record.Event{Time: at, Host: host, Source: record.Wire, Kind: kind, Packet: &record.Packet{
			Proto: "arp", ARP: record.ARPReply, Src: "10.0.0.1", Dst: "10.0.0.2", SrcMAC: "c", Fate: fate, Transit: transit,
		}}
	}
	r := &record.Record{AnswerARP: true, Hosts: []record.Host{{Name: "client", MAC: "c"}, {Name: "server", MAC: "s"}}, Events: []record.Event{
		answer(1, "client", record.KindOut, record.FateArrived, 4), answer(5, "server", record.KindIn, "", 0),
		answer(ms, "server", record.KindIn, "", 0), // the network's
	}}
	if rows := ladder.Rows(r); len(rows) != 2 || rows[0].Wire.Heard || !rows[1].Wire.Heard {
		t.Errorf("%d rows: %q", len(rows), texts(r))
	}
}
