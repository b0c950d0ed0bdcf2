package lab

import (
	"testing"

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
