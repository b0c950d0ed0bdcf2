package record

import (
	"math"
	"testing"
)

func TestText(t *testing.T) {
	call := func(c Call) Event { return Event{Source: Syscall, Kind: KindCall, Syscall: &c} }
	for _, c := range []struct {
		event Event
		want  string
	}{
		{call(Call{Name: "read", FD: 3, Socket: true}), "read() = 0 (end of file)"},
		{call(Call{Name: "recvmsg", FD: 3, Socket: true}), "recvmsg() = 0 (end of file)"},
		{call(Call{Name: "recvfrom", FD: 3, Socket: true, Empty: true}), "recvfrom() = 0"},
		{call(Call{Name: "splice", FD: 3, Socket: true, Arg: SpliceFrom}), "splice(from) = 0 (end of file)"},
		{call(Call{Name: "splice", FD: 3, Socket: true, Arg: SpliceTo}), "splice(to) = 0"},
		{call(Call{Name: "write", FD: 3, Socket: true}), "write() = 0"},
		{call(Call{Name: "readv", FD: 3, Socket: true, Ret: -104, Error: "ECONNRESET"}), "readv() = ECONNRESET"},
		{
			Event{Source: Process, Kind: KindUnseen, PID: 7, Comm: "curl", Text: "io_uring: gone", Process: &ProcEvent{}},
			"curl[7] is not seen whole: io_uring: gone",
		},
	} {
		if got := c.event.String(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestSpan(t *testing.T) {
	for ns, want := range map[int64]string{
		0: "0 µs", -1500: "-1.5 µs", 1e6: "1 ms", 1234e6: "1.23 s", 99e9: "99.0 s",
		math.MinInt64: "-9223372036.9 s", math.MaxInt64: "9223372036.9 s",
	} {
		if got := Span(ns); got != want {
			t.Errorf("%d: got %q, want %q", ns, got, want)
		}
	}
}
