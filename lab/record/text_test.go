package record

import "testing"

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
