package report_test

import (
	"testing"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
)

// What a program was told after it was told of the end.
func TestAfterwards(t *testing.T) {
	const pid = 7
	at := int64(100)
	event := func(source record.Source, kind string, what any) record.Event {
		at += 10
		e := record.Event{Time: at, Host: "client", PID: pid, Source: source, Kind: kind}
		switch what := what.(type) {
		case *record.Call:
			e.Syscall = what
		case *record.ProcEvent:
			e.Process = what
		}
		return e
	}
	signal := func() record.Event {
		return event(record.Process, record.KindSignal, &record.ProcEvent{Signal: "SIGPIPE"})
	}
	write := func(errno string) record.Event {
		return event(record.Syscall, record.KindCall, &record.Call{Name: "write", Error: errno, Socket: true})
	}
	exit := func(by string) record.Event {
		return event(record.Process, record.KindExit, &record.ProcEvent{Signal: by})
	}
	of := func(events ...record.Event) *record.Record {
		return &record.Record{Detection: record.Detection{Host: "client", PID: pid, Error: "EOF", Syscall: "read", Time: 100}, Events: events}
	}
	other := write("EPIPE")
	other.PID++
	for name, tt := range map[string]struct {
		r    *record.Record
		want string
	}{
		"nothing":           {of(write(""), exit("")), ""},
		"another process":   {of(other), ""},
		"to be tried again": {of(write("EAGAIN")), ""},
		"an error":          {of(write("ETIMEDOUT"), exit("")), "write() = ETIMEDOUT"},
		"survived":          {of(signal(), write("EPIPE"), write(""), signal(), write("EPIPE"), exit("")), "write() = EPIPE and SIGPIPE, twice"},
		"ended":             {of(signal(), write("EPIPE"), exit("SIGPIPE")), "SIGPIPE at its next write, which ended it"},
	} {
		if got := report.Afterwards(tt.r); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
