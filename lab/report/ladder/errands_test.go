package ladder_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// A shell, process 7, runs programs one after the other, each in a millisecond or
// as long as it says.
type shell struct {
	r  record.Record
	at int64
}

const (
	ms      = int64(1e6)
	shellID = 7
)

func newShell() *shell {
	s := &shell{r: record.Record{Hosts: []record.Host{{Name: "client", MAC: "c"}, {Name: "server", MAC: "s"}}}}
	s.event(shellID, "lab", record.Process, record.KindFork, record.Event{Process: &record.ProcEvent{Parent: 5}})
	s.event(shellID, "bash", record.Process, record.KindExec, record.Event{Process: &record.ProcEvent{Argv: []string{"bash"}}})
	return s
}

func (s *shell) event(pid int, comm string, source record.Source, kind string, e record.Event) {
	e.Time, e.Host, e.Boot, e.PID, e.Comm, e.Source, e.Kind = s.at, "client", 1, pid, comm, source, kind
	s.r.Events = append(s.r.Events, e)
	s.at++
}

// begin starts a program; the shell forks for it.
func (s *shell) begin(pid int, comm string) {
	s.event(pid, "bash", record.Process, record.KindFork, record.Event{Process: &record.ProcEvent{Parent: shellID}})
	s.event(pid, comm, record.Process, record.KindExec, record.Event{Process: &record.ProcEvent{Argv: []string{comm}}})
}

func (s *shell) call(pid int, comm string, c record.Call) {
	s.event(pid, comm, record.Syscall, record.KindCall, record.Event{Syscall: &c})
}

// exit ends it after some time, by a signal if one is given.
func (s *shell) exit(pid int, comm string, after int64, signal string, status int) {
	s.at += after
	s.event(pid, comm, record.Process, record.KindExit, record.Event{Process: &record.ProcEvent{Signal: signal, Status: status}})
	s.event(shellID, "bash", record.Process, record.KindSignal, record.Event{Process: &record.ProcEvent{Signal: "SIGCHLD"}})
	s.call(shellID, "bash", record.Call{Name: "wait4", Ret: int64(pid), Arg: "exit"})
}

func (s *shell) told() []string {
	var told []string
	for _, w := range ladder.Rows(&s.r) {
		told = append(told, brief(w))
	}
	return told
}

// Of what a shell runs for itself the end is not told, and of its own copies
// nothing.
func TestErrands(t *testing.T) {
	s := newShell()
	for pid, name := range []string{"ip", "sed"} {
		s.begin(20+pid, name)
		s.exit(20+pid, name, ms, "", 0)
	}
	s.event(30, "bash", record.Process, record.KindFork, record.Event{Process: &record.ProcEvent{Parent: shellID}})
	s.event(31, "bash", record.Process, record.KindFork, record.Event{Process: &record.ProcEvent{Parent: 30}})
	s.event(31, "bash", record.Output, record.KindStdout, record.Event{Text: "bin"})
	s.event(31, "bash", record.Process, record.KindExit, record.Event{Process: &record.ProcEvent{}})
	s.event(30, "bash", record.Process, record.KindSignal, record.Event{Process: &record.ProcEvent{Signal: "SIGCHLD"}})
	s.exit(30, "bash", ms, "", 0)
	want := []string{"process 7 executes bash |  | ", "process 20 executes ip |  | ", "process 21 executes sed |  | ", "bash: bin |  | "}
	if diff := cmp.Diff(want, s.told()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Whatever else a process is, its end is told, and what its parent heard of that;
// of another that ended meanwhile they are not.
func TestNoErrands(t *testing.T) {
	for name, do := range map[string]func(s *shell){
		"it has a socket": func(s *shell) {
			s.call(20, "nc", record.Call{Name: "connect", Socket: true})
			s.exit(20, "nc", ms, "", 0)
		},
		"it kills": func(s *shell) {
			s.call(20, "nc", record.Call{Name: "kill", Arg: "12, SIGTERM"})
			s.exit(20, "nc", ms, "", 0)
		},
		"it was sent one": func(s *shell) {
			s.event(20, "nc", record.Process, record.KindSignal, record.Event{Process: &record.ProcEvent{Signal: "SIGUSR1"}})
			s.exit(20, "nc", ms, "", 0)
		},
		"it is not seen": func(s *shell) {
			s.event(20, "nc", record.Process, record.KindUnseen, record.Event{Process: &record.ProcEvent{}, Text: "io_uring"})
			s.exit(20, "nc", ms, "", 0)
		},
		"a signal ended it": func(s *shell) { s.exit(20, "nc", ms, "SIGKILL", 0) },
	} {
		s := newShell()
		s.begin(20, "nc")
		s.begin(21, "ls")
		s.exit(21, "ls", 0, "", 0)
		do(s)
		told := strings.Join(s.told(), "\n")
		for text, times := range map[string]int{"process 20 executes nc": 1, "nc[20] e": 1, "SIGCHLD to bash[7]": 1, "wait4(": 1, "process 21 executes ls": 1, "ls[21]": 0} {
			if n := strings.Count(told, text); n != times {
				t.Errorf("%s: %d times %q:\n%s", name, n, text, told)
			}
		}
	}
}

// Of what failed, or took its time, the end is told, but not what the shell heard
// of it.
func TestRemarkableErrands(t *testing.T) {
	s := newShell()
	s.begin(20, "make")
	s.exit(20, "make", 60*ms, "", 0)
	s.begin(21, "nosuch")
	s.exit(21, "nosuch", ms, "", 127)
	want := []string{
		"process 7 executes bash |  | ", "process 20 executes make |  | ", "make[20] exit 0 |  | ",
		"process 21 executes nosuch |  | ", "nosuch[21] exit 127 |  | ",
	}
	if diff := cmp.Diff(want, s.told()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A process that may have inherited a connection is none, nor is a program of the
// user's.
func TestHeirs(t *testing.T) {
	s := newShell()
	s.call(shellID, "bash", record.Call{Name: "accept4", Socket: true})
	s.begin(20, "true")
	s.exit(20, "true", ms, "", 0)
	s.event(shellID, "bash", record.Process, record.KindExit, record.Event{Process: &record.ProcEvent{}})
	told := strings.Join(s.told(), "\n")
	for _, want := range []string{"true[20] exit 0", "wait4(", "bash[7] exit 0"} {
		if !strings.Contains(told, want) {
			t.Errorf("it does not say %q:\n%s", want, told)
		}
	}
}

// Before it has a socket, what a process waits for is none.
func TestWaitsElsewhere(t *testing.T) {
	s := newShell()
	s.call(shellID, "bash", record.Call{Name: "pselect6", FD: -1, Arg: "0:read", Ret: 1})
	s.call(shellID, "bash", record.Call{Name: "connect", FD: 3, Socket: true})
	s.call(shellID, "bash", record.Call{Name: "pselect6", FD: -1, Arg: "0:read", Ret: 1})
	if told := s.told(); len(told) != 3 || !strings.Contains(told[1], "connect") || !strings.Contains(told[2], "pselect6") {
		t.Errorf("told: %q", told)
	}
	s.r.Events = slices.Insert(s.r.Events, 0, record.Event{
		Host: "client", Boot: 1, PID: shellID, Comm: "bash", Source: record.Process, Kind: record.KindRunning, Process: &record.ProcEvent{},
	})
	if told := strings.Join(s.told(), "\n"); strings.Count(told, "pselect6") != 2 {
		t.Errorf("of one that may have had one: %s", told)
	}
}
