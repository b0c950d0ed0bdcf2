package observe

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// ofWait gives what waiting calls of a process told of the connection to port
// 7000.
func ofWait(events []record.Event, call string) (ready []record.Ready, pids []int) {
	for _, e := range events {
		if e.Kind != record.KindCall || !strings.Contains(e.Syscall.Name, call) {
			continue
		}
		for _, r := range e.Syscall.Ready {
			if r.Remote == "127.0.0.1:7000" {
				ready, pids = append(ready, r), append(pids, e.PID)
			}
		}
	}
	return ready, pids
}

// Go gives epoll a pointer for a descriptor.
func TestNetpollerIsToldOfFIN(t *testing.T) {
	events, _ := testAct(t, "netpoll")
	ready, _ := ofWait(events, "epoll_")
	if !slices.ContainsFunc(ready, func(r record.Ready) bool {
		return strings.Contains(r.Events, "EPOLLRDHUP") && strings.Contains(r.Events, "EPOLLIN") && r.FD > 2
	}) {
		t.Errorf("epoll_wait told of %+v, want EPOLLRDHUP", ready)
	}
	if !slices.ContainsFunc(events, func(e record.Event) bool {
		return e.Syscall != nil && e.Syscall.Name == "epoll_ctl" && strings.HasPrefix(e.Syscall.Arg, "ADD ") &&
			strings.Contains(e.Syscall.Arg, "EPOLLIN|EPOLLOUT|EPOLLRDHUP|EPOLLET")
	}) {
		t.Error("no epoll_ctl(ADD)")
	}
}

func TestPollIsToldOfHangUp(t *testing.T) {
	events, _ := testAct(t, "poll")
	ready, pids := ofWait(events, "poll")
	if len(ready) != 2 || pids[0] == pids[1] || ready[0] != ready[1] || ready[0].Events != "POLLIN|POLLHUP" || ready[0].Local == "" {
		t.Errorf("the parent and its child were told %+v (processes %v), want both POLLIN|POLLHUP", ready, pids)
	}
}

// A set that is not given is not the last call's.
func TestSelectSets(t *testing.T) {
	events, _ := testAct(t, "select")
	var got []string
	for i := range events {
		if c := events[i].Syscall; c != nil && strings.HasSuffix(c.Name, "select6") && strings.Contains(c.Arg, "read") {
			got = append(got, regexp.MustCompile("[0-9]+:").ReplaceAllString(c.Arg, ""))
		}
	}
	if want := []string{"read write", "read"}; !slices.Equal(got, want) {
		t.Errorf("select was told of %q, want %q", got, want)
	}
}

func TestRarerCalls(t *testing.T) {
	events, _ := testAct(t, "calls")
	var got []string
	for i := range events {
		e := &events[i]
		if e.Kind != record.KindCall || !e.Syscall.Socket || e.Syscall.Remote == "" {
			continue
		}
		switch e.Syscall.Name {
		case "connect", "accept", "accept4", "shutdown", "close":
			continue
		}
		if e.Syscall.Duration <= 0 {
			t.Errorf("%s took %d ns", e.Syscall.Name, e.Syscall.Duration)
		}
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s", e, e.Syscall.Data)))
	}
	want := []string{
		"sendfile() = 11",
		"preadv2() = 11 from a file",
		"sendmmsg() = 1 message",
		"recvmmsg() = 7 message",
		"write() = 4 pipe",
		"splice(from) = 4",
		"splice(to) = 4",
		"read() = 0", // it asked for nothing
		"splice(from) = 0 (end of file)",
		"recvmmsg() = 0 (end of file)",
		"recvmsg() = 0 (end of file)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func unseenEvents(events []record.Event) (texts []string) {
	for i := range events {
		if e := &events[i]; e.Kind == record.KindUnseen {
			texts = append(texts, e.Text)
		}
	}
	return texts
}

func TestIOURingIsTold(t *testing.T) {
	events, _ := testAct(t, "uring")
	if slices.ContainsFunc(events, func(e record.Event) bool {
		return e.Process != nil && e.Kind == record.KindExit && e.Process.Status == uringLacks
	}) {
		if texts := unseenEvents(events); len(texts) != 0 {
			t.Errorf("told %q of a process that got no ring", texts)
		}
		t.Skip("kernel lacks io_uring, or forbids it")
	}
	if texts := unseenEvents(events); len(texts) != 1 || !strings.HasPrefix(texts[0], "io_uring: ") {
		t.Errorf("told %q, want io_uring once", texts)
	}
}

// compatProgram is an ELF file whose program makes a 32-bit call, getpid, from
// 64-bit code, twice, and exits.
func compatProgram(t *testing.T) string {
	t.Helper()
	code := []byte{
		0xb8, 20, 0, 0, 0, 0xcd, 0x80, // mov eax, 20; int 0x80
		0xb8, 20, 0, 0, 0, 0xcd, 0x80,
		0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05, // exit(0)
	}
	const base, headers = 0x400000, 64 + 56
	le := binary.LittleEndian
	b := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 9)...)
	b = le.AppendUint32(b, 2|62<<16) // ET_EXEC, EM_X86_64
	b = le.AppendUint32(b, 1)
	b = le.AppendUint64(b, base+headers) // entry
	b = le.AppendUint64(b, 64)           // program headers
	b = le.AppendUint64(b, 0)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, 64|56<<16)
	b = le.AppendUint32(b, 1)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, 1) // PT_LOAD
	b = le.AppendUint32(b, 5) // read, execute
	size := uint64(headers + len(code))
	for _, n := range []uint64{0, base, base, size, size, 0x1000} {
		b = le.AppendUint64(b, n)
	}
	name := filepath.Join(t.TempDir(), "compat")
	if err := os.WriteFile(name, append(b, code...), 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestCompatCallsAreTold(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("kernel lacks another way to make a 32-bit call than another compiler")
	}
	t.Setenv(tracedFileEnv, compatProgram(t))
	events, _ := testAct(t, "exec")
	if slices.ContainsFunc(events, func(e record.Event) bool {
		return e.Process != nil && e.Kind == record.KindExit && e.Process.Signal == "SIGSEGV"
	}) {
		t.Skip("kernel lacks 32-bit system calls")
	}
	if texts := unseenEvents(events); len(texts) != 1 || !strings.HasPrefix(texts[0], "32-bit") {
		t.Errorf("told %q, want 32-bit system calls once", texts)
	}
}

func TestNameReady(t *testing.T) {
	call := func(pid int, c record.Call) record.Event {
		return record.Event{Host: "h", Boot: 1, PID: pid, Source: record.Syscall, Kind: record.KindCall, Syscall: &c}
	}
	poll := func(pid int, fds ...int) record.Event {
		c := record.Call{Name: "poll", FD: -1}
		for _, fd := range fds {
			c.Ready = append(c.Ready, record.Ready{FD: fd, Events: "POLLIN"})
		}
		return call(pid, c)
	}
	events := []record.Event{
		call(2, record.Call{Name: "listen", FD: 3, Socket: true, Local: "a:1"}),
		poll(2, 3),
		call(2, record.Call{Name: "accept4", FD: 3, Ret: 4, Socket: true, Local: "a:1", Remote: "b:2"}),
		{Host: "h", Boot: 1, PID: 5, Source: record.Process, Kind: record.KindFork, Process: &record.ProcEvent{Parent: 2}},
		call(2, record.Call{Name: "close", FD: 4, Socket: true, Local: "a:1", Remote: "b:2"}),
		poll(2, 4),
		poll(5, 0, 4),
		{Host: "h", Boot: 1, PID: 5, Source: record.Process, Kind: record.KindExit, Process: &record.ProcEvent{}},
		poll(5, 4),
	}
	NameReady(events)
	var got [][]record.Ready
	for _, e := range events {
		if e.Syscall != nil && e.Syscall.Name == "poll" {
			got = append(got, e.Syscall.Ready)
		}
	}
	want := [][]record.Ready{nil, nil, {{FD: 4, Local: "a:1", Remote: "b:2", Events: "POLLIN"}}, nil}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
