package lab

import (
	"testing"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// A process is called as what it executes at the time, on its own host.
func TestNamed(t *testing.T) {
	var line timeline
	for _, e := range []record.Event{
		{Time: 20, Host: "server", PID: 14, Process: &record.ProcEvent{Argv: []string{"echo-server"}}},
		{Time: 10, Host: "client", PID: 14, Process: &record.ProcEvent{Argv: []string{"echo-client"}}},
		{Time: 40, Host: "server", PID: 14, Process: &record.ProcEvent{Argv: []string{"other"}}},
	} {
		e.Source, e.Kind = record.Process, record.KindExec
		line.add(e)
	}
	for at, want := range map[int64]string{15: "exe", 30: "echo-server", 40: "other"} {
		ev := record.Event{Time: at, Host: "server", PID: 14, Comm: "exe", Source: record.Process, Kind: record.KindSignal, Process: &record.ProcEvent{Signal: "SIGCHLD"}}
		if got := line.named(ev).Comm; got != want {
			t.Errorf("at %d: %q, want %q", at, got, want)
		}
	}
}

// What the network answered in a host's place is told from what was lost, however
// long the link is.
func TestAnswered(t *testing.T) {
	const ms = int64(time.Millisecond)
	packet := func(at int64, host, kind, arp, src, dst, fate string, transit int64) record.Event {
		return record.Event{Time: at, Host: host, Source: record.Wire, Kind: kind, Packet: &record.Packet{
			Proto: "arp", ARP: arp, Src: src, Dst: dst, Fate: fate, Transit: transit,
		}}
	}
	const client, server, router = "10.0.0.1", "10.0.0.2", "10.0.0.254"
	for name, c := range map[string]struct {
		whom, fate string
		took       int64
		sent       bool // the server sent the reply
		want       string
	}{
		"by the switch":         {server, record.FateLost, 20 * ms, false, record.FateAnswered},
		"by the router":         {router, "", 20 * ms, false, record.FateAnswered},
		"by the server":         {server, record.FateLost, 20 * ms, true, record.FateLost},
		"later than can be":     {server, record.FateLost, 31 * ms, false, record.FateLost},
		"it reached the server": {server, record.FateArrived, 20 * ms, true, record.FateArrived},
	} {
		events := []record.Event{packet(0, "client", record.KindOut, record.ARPRequest, client, c.whom, c.fate, 0)}
		if c.sent { // of another request
			events = append(events, packet(c.took/2, "server", record.KindOut, record.ARPReply, c.whom, client, record.FateArrived, c.took/2))
		}
		events = append(events, packet(c.took, "client", record.KindIn, record.ARPReply, c.whom, client, "", 0))
		tidier{delay: 10 * time.Millisecond}.tidy(events)
		if got := events[0].Packet.Fate; got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
