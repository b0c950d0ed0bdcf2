package observe

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// The records as the programs write them, field by field.

func ringHead(kind uint32) []byte {
	ne := binary.NativeEndian
	b := ne.AppendUint64(nil, 1_000_000_500)
	for _, n := range []uint32{kind, 1, 7, 9} {
		b = ne.AppendUint32(b, n)
	}
	return append(b, "client\x00garbage!!"...)
}

func ringEnds(state uint16) []byte {
	ne := binary.NativeEndian
	b := make([]byte, 32)
	copy(b, []byte{10, 0, 0, 1})
	copy(b[16:], []byte{10, 0, 0, 2})
	for _, n := range []uint16{40000, 7000, unix.AF_INET, state} {
		b = ne.AppendUint16(b, n)
	}
	return b
}

func ringSock(kind uint32, from, to uint16, cwnd, rto uint32, err int32, reason uint32, tail [4]byte) []byte {
	ne := binary.NativeEndian
	b := ne.AppendUint64(ringHead(kind), 0xffff888000000001)
	b = append(b, ringEnds(1)...)
	b = ne.AppendUint16(ne.AppendUint16(b, from), to)
	for _, n := range []uint32{cwnd, rto, uint32(err), reason} {
		b = ne.AppendUint32(b, n)
	}
	return append(b, tail[:]...)
}

func ringCall(kind uint32, call uint32, fd int32, ret int64, arg [3]uint64, data []byte) []byte {
	ne := binary.NativeEndian
	b := ne.AppendUint64(ringHead(kind), 0xffff888000000001)
	b = append(b, ringEnds(1)...)
	b = ne.AppendUint64(b, 1_000_000_000)
	b = ne.AppendUint64(b, uint64(ret))
	for _, n := range []uint32{call, uint32(fd), uint32(len(data)), 64} {
		b = ne.AppendUint32(b, n)
	}
	b = append(b, data...)
	if call <= callRecvmsg {
		return b
	}
	b = append(b, make([]byte, bpfDataSize-len(data))...)
	for _, a := range arg {
		b = ne.AppendUint64(b, a)
	}
	return b
}

func ringProc(kind, peer uint32, number int32) []byte {
	ne := binary.NativeEndian
	return ne.AppendUint32(ne.AppendUint32(ringHead(kind), peer), uint32(number))
}

func ringExec(argv string) []byte {
	ne := binary.NativeEndian
	b := ne.AppendUint32(ringHead(bpfExec), uint32(len(argv)))
	return append(append(append(b, 0, 0, 0, 0), argv...), make([]byte, 512-len(argv))...)
}

func TestDecodeEvents(t *testing.T) {
	const local, remote = "10.0.0.1:40000", "10.0.0.2:7000"
	call := func(c record.Call) *record.Call {
		c.Local, c.Remote, c.Socket = local, remote, true
		return &c
	}
	tests := map[string]struct {
		raw  []byte
		want record.Event
	}{
		"state": {
			ringSock(bpfState, 1, 7, 0, 0, 0, 0, [4]byte{}),
			record.Event{Source: record.Socket, Kind: record.KindState, State: &record.State{
				Local: local, Remote: remote, From: "ESTABLISHED", To: "CLOSE", Sock: 1,
			}},
		},
		"accepted": {
			ringSock(bpfState, 3, 1, 10, 0, 0, 0, [4]byte{}),
			record.Event{Source: record.Socket, Kind: record.KindState, State: &record.State{
				Local: local, Remote: remote, From: "SYN_RECV", To: "ESTABLISHED", Cwnd: 10, Sock: 1,
			}},
		},
		"timeout": {
			ringSock(bpfRetransmit, 0, 0, 1, 51, 0, 0, [4]byte{2, 1, 0, 4}),
			record.Event{Source: record.TCP, Kind: record.KindRetransmit, TCP: &record.TCPEvent{
				Local: local, Remote: remote, State: "ESTABLISHED", RTO: 204e6, Cwnd: 1, Retransmits: 2, Backoff: 1, Sock: 1,
			}},
		},
		"tail loss probe": {
			ringSock(bpfRetransmit, 0, 0, 1, 51, 0, 0, [4]byte{0, 0, 5, 0}),
			record.Event{Source: record.TCP, Kind: record.KindTLP, TCP: &record.TCPEvent{
				Local: local, Remote: remote, State: "ESTABLISHED", RTO: 204e6, Cwnd: 1, Sock: 1,
			}},
		},
		"fast retransmit while a probe is scheduled": {
			ringSock(bpfRetransmit, 0, 0, 1, 51, 0, 0, [4]byte{0, 0, 5, 3}),
			record.Event{Source: record.TCP, Kind: record.KindRetransmit, Text: "fast retransmit", TCP: &record.TCPEvent{
				Local: local, Remote: remote, State: "ESTABLISHED", RTO: 204e6, Cwnd: 1, Sock: 1,
			}},
		},
		"retransmission without a route": {
			ringSock(bpfRetransmit, 0, 0, 1, 51, -113, 0, [4]byte{1, 0, 0, 4}),
			record.Event{Source: record.TCP, Kind: record.KindRetransmit, Text: "could not be sent", TCP: &record.TCPEvent{
				Local: local, Remote: remote, State: "ESTABLISHED", RTO: 204e6, Cwnd: 1, Retransmits: 1, Error: "EHOSTUNREACH", Sock: 1,
			}},
		},
		"error": {
			ringSock(bpfError, 0, 0, 0, 50, 110, 0, [4]byte{}),
			record.Event{Source: record.TCP, Kind: record.KindError, TCP: &record.TCPEvent{
				Local: local, Remote: remote, State: "ESTABLISHED", RTO: 200e6, Error: "ETIMEDOUT", Sock: 1,
			}},
		},
		"reset sent": {
			ringSock(bpfRSTSent, 0, 0, 0, 0, 0, 11, [4]byte{}),
			record.Event{Source: record.TCP, Kind: record.KindRSTSent, Text: "by a socket: TCP_ABORT_ON_CLOSE", TCP: &record.TCPEvent{
				Local: local, Remote: remote, State: "ESTABLISHED", Sock: 1,
			}},
		},
		"read begins": {
			ringCall(bpfEnter, callRead, 3, 0, [3]uint64{}, nil),
			record.Event{Source: record.Syscall, Kind: record.KindEnter, Syscall: call(record.Call{Name: "read", FD: 3})},
		},
		"read fails": {
			ringCall(bpfCall, callRead, 3, -110, [3]uint64{}, nil),
			record.Event{Source: record.Syscall, Kind: record.KindCall, Syscall: call(record.Call{
				Name: "read", FD: 3, Ret: -110, Error: "ETIMEDOUT", Duration: 500,
			})},
		},
		"write": {
			ringCall(bpfCall, callWrite, 3, 5, [3]uint64{}, []byte("hello")),
			record.Event{Source: record.Syscall, Kind: record.KindCall, Syscall: call(record.Call{
				Name: "write", FD: 3, Ret: 5, Data: "hello", Duration: 500,
			})},
		},
		"read interrupted": {
			ringCall(bpfCall, callRead, 3, -512, [3]uint64{}, nil),
			record.Event{Source: record.Syscall, Kind: record.KindCall, Text: "interrupted", Syscall: call(record.Call{
				Name: "read", FD: 3, Ret: -512, Error: "ERESTARTSYS", Duration: 500,
			})},
		},
		"listen": {
			ringCall(bpfCall, callListen, 3, 0, [3]uint64{5}, nil),
			record.Event{Source: record.Syscall, Kind: record.KindCall, Syscall: call(record.Call{
				Name: "listen", FD: 3, Arg: "5", Duration: 500,
			})},
		},
		"fork": {
			ringProc(bpfFork, 2, 0),
			record.Event{Source: record.Process, Kind: record.KindFork, Process: &record.ProcEvent{Parent: 2}},
		},
		"exec": {
			ringExec("cat\x00\x00-n\x00"),
			record.Event{Source: record.Process, Kind: record.KindExec, Process: &record.ProcEvent{Argv: []string{"cat", "", "-n"}}},
		},
		"exit": {
			ringProc(bpfExit, 0, 3<<8),
			record.Event{Source: record.Process, Kind: record.KindExit, Process: &record.ProcEvent{Status: 3}},
		},
		"killed": {
			ringProc(bpfExit, 0, 9),
			record.Event{Source: record.Process, Kind: record.KindExit, Process: &record.ProcEvent{Signal: "SIGKILL"}},
		},
		"signal": {
			ringProc(bpfSignal, 4, 15),
			record.Event{Source: record.Process, Kind: record.KindSignal, Process: &record.ProcEvent{Signal: "SIGTERM", Sender: 4}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := newBPFDecoder(Clock{origin: 1_000_000_000}, 4*time.Millisecond)
			d.rstReasons = map[uint32]string{11: "TCP_ABORT_ON_CLOSE"}
			head, ok := decodeHead(tt.raw)
			if !ok {
				t.Fatal("no head")
			}
			got, ok := d.decode(head, tt.raw)
			if !ok {
				t.Fatal("not decoded")
			}
			tt.want.Time, tt.want.PID, tt.want.Comm = 500, 7, "client"
			if tt.want.Kind != record.KindExit {
				tt.want.TID = 9
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if _, ok := d.decode(head, tt.raw[:bpfHeadSize+4]); ok {
				t.Error("a record cut short was decoded")
			}
		})
	}
}

func TestDecodeTellsAnExitOnce(t *testing.T) {
	d := newBPFDecoder(Clock{}, time.Millisecond)
	raw := ringProc(bpfExit, 0, 0)
	fork := ringProc(bpfFork, 0, 0)
	for i, step := range []struct {
		raw  []byte
		want bool
	}{{raw, true}, {raw, false}, {fork, true}, {raw, true}} {
		head, _ := decodeHead(step.raw)
		if _, got := d.decode(head, step.raw); got != step.want {
			t.Errorf("step %d: told = %v, want %v", i, got, step.want)
		}
	}
}

func TestDecodeForgetsOldExits(t *testing.T) {
	d := newBPFDecoder(Clock{}, time.Millisecond)
	raw := ringProc(bpfExit, 0, 0)
	head, _ := decodeHead(raw)
	for pid := range uint32(3 * maxEnded) {
		head.pid = pid
		for _, want := range []bool{true, false} {
			if _, got := d.decode(head, raw); got != want {
				t.Fatalf("process %d: told = %v, want %v", pid, got, want)
			}
		}
	}
	if len(d.ended) > maxEnded {
		t.Errorf("%d processes are known to have ended", len(d.ended))
	}
}

func TestSocketsAreNumberedByLife(t *testing.T) {
	d := newBPFDecoder(Clock{}, time.Millisecond)
	var got []uint64
	for _, change := range [][2]uint16{{7, 2}, {2, 1}, {1, 7}, {10, 3}, {3, 1}, {1, 7}, {7, 10}, {10, 7}} {
		raw := ringSock(bpfState, change[0], change[1], 0, 0, 0, 0, [4]byte{})
		head, _ := decodeHead(raw)
		e, ok := d.decode(head, raw)
		if !ok {
			t.Fatal("not decoded")
		}
		got = append(got, e.State.Sock)
	}
	if diff := cmp.Diff([]uint64{1, 1, 1, 2, 2, 2, 3, 3}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCallArg(t *testing.T) {
	ne := binary.NativeEndian
	pollfd := func(fd int32, events, revents uint16) []byte {
		return ne.AppendUint16(ne.AppendUint16(ne.AppendUint32(nil, uint32(fd)), events), revents)
	}
	word := func(n uint32) []byte { return ne.AppendUint32(nil, n) }
	sets := ne.AppendUint64(ne.AppendUint64(nil, 1|1<<3), 1<<4)
	siginfo := func(code, pid, status uint32) []byte {
		b := make([]byte, 28)
		ne.PutUint32(b[8:], code)
		ne.PutUint32(b[16:], pid)
		ne.PutUint32(b[24:], status)
		return b
	}
	inet := append(ne.AppendUint16(nil, unix.AF_INET), 0x1b, 0x58, 10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0)
	anyPort := append(ne.AppendUint16(nil, unix.AF_INET), 0, 0, 0, 0, 0, 0)
	inet6 := append(ne.AppendUint16(nil, unix.AF_INET6), 0x1b, 0x58, 0, 0, 0, 0,
		0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0)
	const forever = ^uint64(0)

	tests := map[string]struct {
		call     bpfSyscall
		returned bool
		want     string
	}{
		"connect":            {bpfSyscall{call: callConnect, data: inet}, false, "10.0.0.2:7000"},
		"connect IPv6":       {bpfSyscall{call: callConnect, data: inet6}, true, "[fd00::2]:7000"},
		"connect nothing":    {bpfSyscall{call: callConnect}, true, ""},
		"bind to any port":   {bpfSyscall{call: callBind, data: anyPort}, true, "0.0.0.0:0"},
		"listen":             {bpfSyscall{call: callListen, arg: [3]uint64{128}}, false, "128"},
		"shutdown":           {bpfSyscall{call: callShutdown, arg: [3]uint64{1}}, false, "SHUT_WR"},
		"SO_ERROR asked":     {bpfSyscall{call: callGetsockopt}, false, "SO_ERROR"},
		"SO_ERROR":           {bpfSyscall{call: callGetsockopt, data: word(111)}, true, "SO_ERROR ECONNREFUSED"},
		"SO_ERROR none":      {bpfSyscall{call: callGetsockopt, data: word(0)}, true, "SO_ERROR 0"},
		"poll":               {bpfSyscall{call: callPoll, arg: [3]uint64{1, forever}, data: pollfd(3, 1, 0)}, false, "3:POLLIN, no timeout"},
		"poll timed out":     {bpfSyscall{call: callPoll, arg: [3]uint64{1, 5e9}, data: pollfd(3, 1, 0)}, true, "3:POLLIN, timeout 5s"},
		"poll ready":         {bpfSyscall{call: callPoll, ret: 1, data: append(pollfd(0, 1, 0), pollfd(3, 1, 0x2011)...)}, true, "3:POLLIN|POLLRDHUP|POLLHUP"},
		"select":             {bpfSyscall{call: callSelect, arg: [3]uint64{5, 1e6}, data: sets}, false, "0:read 3:read 4:write, timeout 1ms"},
		"select, few":        {bpfSyscall{call: callSelect, ret: 2, arg: [3]uint64{4}, data: sets}, true, "0:read 3:read"},
		"epoll_wait":         {bpfSyscall{call: callEpollWait, fd: 4, arg: [3]uint64{0, 0}}, false, "timeout 0s"},
		"wait4":              {bpfSyscall{call: callWait4, arg: [3]uint64{forever}}, false, "pid -1"},
		"wait4 killed":       {bpfSyscall{call: callWait4, ret: 5, data: word(15)}, true, "pid 5 SIGTERM"},
		"wait4 exited":       {bpfSyscall{call: callWait4, ret: 5, data: word(2 << 8)}, true, "pid 5 exit 2"},
		"wait4 without hang": {bpfSyscall{call: callWait4}, true, "no child ended"},
		"waitid":             {bpfSyscall{call: callWaitid, arg: [3]uint64{unix.P_PIDFD, 6}}, false, "pidfd 6"},
		"waitid exited":      {bpfSyscall{call: callWaitid, data: siginfo(1, 5, 3)}, true, "pid 5 exit 3"},
		"waitid killed":      {bpfSyscall{call: callWaitid, data: siginfo(2, 5, 9)}, true, "pid 5 SIGKILL"},
		"kill":               {bpfSyscall{call: callKill, arg: [3]uint64{5, 15}}, false, "pid 5 SIGTERM"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := callArg(&tt.call, tt.returned); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
