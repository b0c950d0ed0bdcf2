package ladder_test

import (
	"math"
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
	return &shell{r: record.Record{
		Hosts:    []record.Host{{Name: "client", MAC: "c"}, {Name: "server", MAC: "s"}},
		Programs: []record.Program{{Host: "client", Name: "bash", PID: shellID}},
	}}
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

// end ends it after some time, by a signal if one is given.
func (s *shell) end(pid int, comm string, after int64, signal string) {
	s.at += after
	s.event(pid, comm, record.Process, record.KindExit, record.Event{Process: &record.ProcEvent{Signal: signal}})
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

// What has nothing to do with the network is named in one row. Its output is told.
func TestErrands(t *testing.T) {
	s := newShell()
	for pid, name := range []string{"stat", "/usr/bin/sed", "sed", "cat", "tr", "cut"} {
		s.begin(20+pid, name)
		s.end(20+pid, name, ms, "")
	}
	s.begin(30, "ls")
	s.event(30, "ls", record.Output, "stdout", record.Event{Text: "bin"})
	s.end(30, "ls", ms, "")
	want := []string{"(6 processes without a socket left out here: stat, sed, cat, tr, ...)", "ls: bin |  | ", "(1 process without a socket left out here: ls)"}
	if diff := cmp.Diff(want, s.told()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Whatever else a process is, its beginning and its end are told, and what its
// parent heard of that; of another that ended meanwhile they are not.
func TestNoErrands(t *testing.T) {
	for name, do := range map[string]func(s *shell){
		"it has a socket": func(s *shell) { s.call(20, "nc", record.Call{Name: "connect", Socket: true}); s.end(20, "nc", ms, "") },
		"it kills": func(s *shell) {
			s.call(20, "nc", record.Call{Name: "kill", Arg: "12, SIGTERM"})
			s.end(20, "nc", ms, "")
		},
		"it was sent one": func(s *shell) {
			s.event(20, "nc", record.Process, record.KindSignal, record.Event{Process: &record.ProcEvent{Signal: "SIGUSR1"}})
			s.end(20, "nc", ms, "")
		},
		"a signal ended it": func(s *shell) { s.end(20, "nc", ms, "SIGKILL") },
		"it took its time":  func(s *shell) { s.end(20, "nc", 1000*ms, "") },
	} {
		s := newShell()
		s.begin(20, "nc")
		s.begin(21, "ls")
		s.end(21, "ls", 0, "")
		do(s)
		told := strings.Join(s.told(), "\n")
		for text, times := range map[string]int{"process 20 executes nc": 1, "nc[20] e": 1, "SIGCHLD to bash[7]": 1, "wait4(": 1, "left out here: ls)": 1, "ls[21]": 0} {
			if n := strings.Count(told, text); n != times {
				t.Errorf("%s: %d times %q:\n%s", name, n, text, told)
			}
		}
	}
	s := newShell()
	s.begin(20, "sleep") // and is not seen to end
	if told := s.told(); len(told) != 1 {
		t.Errorf("of one that runs: %q", told)
	}
}

// What is told while the record grows is told of the whole.
func TestErrandsSoFar(t *testing.T) {
	s := newShell()
	for pid := 20; pid < 60; pid += 2 {
		s.begin(pid, "true")
		s.begin(pid+1, "nc")
		s.end(pid, "true", int64(pid)*3*ms/2, "") // the later ones take too long
		s.call(pid+1, "nc", record.Call{Name: "connect", Socket: true})
		s.end(pid+1, "nc", ms, "")
	}
	whole := s.r.Events
	var pieces []ladder.Row
	from := int64(math.MinInt64)
	for now := int64(0); from < s.at; now += 5 * ms {
		s.r.Events = slices.DeleteFunc(slices.Clone(whole), func(e record.Event) bool { return e.Time > now })
		to := now - int64(ladder.Settled)
		pieces = append(pieces, ladder.Between(&s.r, from, to)...)
		from = to
	}
	var lines []string
	for _, w := range pieces {
		lines = append(lines, brief(w))
	}
	s.r.Events = whole
	if diff := cmp.Diff(s.told(), lines); diff != "" {
		t.Errorf("(-whole +pieces):\n%s", diff)
	}
}

// Before it has a socket, what a process waits for is none.
func TestWaitsElsewhere(t *testing.T) {
	s := newShell()
	s.call(shellID, "bash", record.Call{Name: "pselect6", FD: -1, Arg: "0:read", Ret: 1})
	s.call(shellID, "bash", record.Call{Name: "connect", FD: 3, Socket: true})
	s.call(shellID, "bash", record.Call{Name: "pselect6", FD: -1, Arg: "0:read", Ret: 1})
	if told := s.told(); len(told) != 2 || !strings.Contains(told[0], "connect") || !strings.Contains(told[1], "pselect6") {
		t.Errorf("told: %q", told)
	}
	s.r.Events = slices.Insert(s.r.Events, 0, record.Event{
		Host: "client", Boot: 1, PID: shellID, Comm: "bash", Source: record.Process, Kind: record.KindRunning, Process: &record.ProcEvent{},
	})
	if told := strings.Join(s.told(), "\n"); strings.Count(told, "pselect6") != 2 {
		t.Errorf("of one that may have had one: %s", told)
	}
}
