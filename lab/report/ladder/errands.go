package ladder

import (
	"path"
	"slices"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// An errand is a process that a shell or a script runs and that has nothing to do
// with the network: it comes and goes soon, by itself, and has no socket. What it
// writes is told all the same.
type errand struct {
	name   string
	parent process
	began  int64
	ended  bool
	other  bool  // it is something else
	events []int // that tell of it: its own, and that its parent heard of its end
}

// errandTime is how long one takes at most. Whether a process is one is known when
// its beginning is told, if the record goes on by as much.
const errandTime = 50 * time.Millisecond

// A process is one of a host.
type process struct {
	host      string
	boot, pid int
}

// errands finds the events that tell only of errands, by index.
func errands(r *record.Record) map[int]*errand {
	programs := map[process]bool{} // whatever the boot
	for _, p := range r.Programs {
		programs[process{host: p.Host, pid: p.PID}] = true
	}
	var all []*errand
	now := map[process]*errand{}     // by the process's id
	ended := map[process][]*errand{} // those whose parent was not seen to hear of it
	for i := range r.Events {
		e := &r.Events[i]
		self := process{e.Host, e.Boot, e.PID}
		if e.Source == record.Process && (e.Kind == record.KindFork || e.Kind == record.KindExec && now[self] == nil) {
			x := &errand{began: e.Time, other: programs[process{host: e.Host, pid: e.PID}]}
			if e.Process.Parent != 0 {
				x.parent = process{e.Host, e.Boot, e.Process.Parent}
			}
			now[self] = x
			all = append(all, x)
		}
		x := now[self]
		if x != nil {
			x.does(e)
			x.events = append(x.events, i)
		}
		switch {
		case e.Source == record.Process && e.Kind == record.KindExit && x != nil:
			ended[x.parent] = append(ended[x.parent], x)
		case e.Source == record.Process && e.Kind == record.KindSignal && e.Process.Signal == "SIGCHLD":
			if n := len(ended[self]) - 1; n >= 0 { // the kernel sends it as the child ends
				ended[self][n].events = append(ended[self][n].events, i)
				ended[self] = ended[self][:n]
			}
		case e.Source == record.Syscall && e.Kind == record.KindCall && e.Syscall.Name == "wait4" && e.Syscall.Ret > 0:
			if child := now[process{e.Host, e.Boot, int(e.Syscall.Ret)}]; child != nil {
				child.events = append(child.events, i)
			}
		}
	}
	found := map[int]*errand{}
	for _, x := range all {
		if x.ended && !x.other {
			for _, i := range x.events {
				found[i] = x
			}
		}
	}
	return found
}

// does learns from what the process does, and what is done to it.
func (x *errand) does(e *record.Event) {
	switch e.Source {
	case record.Syscall:
		x.other = x.other || e.Syscall.Socket || e.Syscall.Name == "kill"
	case record.Process:
		x.name = path.Base(e.Comm)
		switch e.Kind {
		case record.KindSignal:
			x.other = x.other || e.Process.Signal != "SIGCHLD"
		case record.KindExit:
			x.ended = true
			x.other = x.other || e.Process.Signal != "" || e.Time-x.began > int64(errandTime)
		}
	}
}

// mostNames is how many different names stand for processes that were left out.
const mostNames = 4

// process counts one that is left out.
func (l *Left) process(name string) {
	l.Processes++
	l.name(Clean(name))
}

// name adds names, of which one more than is told is enough.
func (l *Left) name(names ...string) {
	for _, name := range names {
		if !slices.Contains(l.Names, name) && len(l.Names) <= mostNames {
			l.Names = append(l.Names, name)
		}
	}
}

// sockets finds where each process first uses one, by index.
func sockets(r *record.Record) map[process]int {
	first := map[process]int{}
	for i := range r.Events {
		e := &r.Events[i]
		p := process{e.Host, e.Boot, e.PID}
		if _, known := first[p]; !known && (e.Kind == record.KindRunning || e.Syscall != nil && e.Syscall.Socket) {
			first[p] = i // of one that ran before it is not known
		}
	}
	return first
}

// waitsElsewhere tells calls that waited for a terminal or a pipe, of a process that
// has had no socket yet: a shell's line editor does so at each key.
func (t *telling) waitsElsewhere(i int) bool {
	e := &t.r.Events[i]
	if c := e.Syscall; c == nil || !waitsForSeveral(c.Name) || len(c.Ready) > 0 || c.Partial {
		return false
	}
	first, has := t.sockets[process{e.Host, e.Boot, e.PID}]
	return !has || i < first
}
