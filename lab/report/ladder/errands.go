package ladder

import (
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// An errand is a process that a shell or a script runs for itself: it comes and goes
// at once, and well, and neither it nor its parent has anything to do with a
// connection, as far as is seen. That it is executed is told, with its arguments,
// and what it writes; its end is nothing to a reader, nor that its parent heard of
// it. Of one that takes its time, or fails, the end is told.
type errand struct {
	parent  process
	began   int64
	program bool // it, or what it is forked from, was executed on the host
	over    bool
	other   bool // it is something else
}

// errandTime is how long one takes at most whose end is not told.
const errandTime = 50 * time.Millisecond

// A process is one of a host.
type process struct {
	host      string
	boot, pid int
}

// errands finds the events that only tell of an errand's end, by index. sockets are
// where each process first uses one.
func errands(events []record.Event, sockets map[process]int) map[int]bool {
	ends := map[int]bool{}
	now := map[process]*errand{}    // by the process's id
	over := map[process][]*errand{} // those whose parent was not seen to hear of it
	for i := range events {
		e := &events[i]
		self := process{e.Host, e.Boot, e.PID}
		if self.pid == 0 {
			continue // of the network's
		}
		if e.Source == record.Process && e.Kind == record.KindFork {
			now[self] = fork(e, i, now, sockets)
			continue
		}
		x := now[self]
		if x == nil { // who began it was not seen
			x = &errand{other: true}
			now[self] = x
		}
		x.program = x.program || e.Source == record.Process && (e.Kind == record.KindExec || e.Kind == record.KindRunning)
		x.other = x.other || shows(e)
		switch ended := heardOf(e, now, over); {
		case e.Source == record.Process && e.Kind == record.KindExit:
			x.over = true
			over[x.parent] = append(over[x.parent], x)
			ends[i] = !x.other && e.Process.Status == 0 && e.Time-x.began <= int64(errandTime)
		case ended != nil:
			ends[i] = ended.over && !ended.other
		}
	}
	return ends
}

// fork is a process that begins, which may be an errand of its parent's.
func fork(e *record.Event, i int, now map[process]*errand, sockets map[process]int) *errand {
	x := &errand{parent: process{e.Host, e.Boot, e.Process.Parent}, began: e.Time}
	parent := now[x.parent]
	x.program = parent != nil && x.parent.pid > 1 && parent.program // else lab started it, and its end is told
	first, has := sockets[x.parent]
	x.other = !x.program || has && first < i // it may have inherited that
	return x
}

// shows tells whether an event shows that its process is no errand.
func shows(e *record.Event) bool {
	switch {
	case e.Syscall != nil:
		return e.Syscall.Socket || e.Syscall.Name == "kill"
	case e.Source != record.Process:
		return false
	}
	switch e.Kind {
	case record.KindSignal:
		return e.Process.Signal != "SIGCHLD"
	case record.KindExit:
		return e.Process.Signal != ""
	}
	return e.Kind == record.KindUnseen
}

// heardOf is the process of whose end an event tells its parent, nil if it is
// another event. The kernel sends SIGCHLD as the child ends: the last one is meant.
func heardOf(e *record.Event, now map[process]*errand, over map[process][]*errand) *errand {
	switch {
	case e.Source == record.Process && e.Kind == record.KindSignal && e.Process.Signal == "SIGCHLD":
		self := process{e.Host, e.Boot, e.PID}
		if n := len(over[self]) - 1; n >= 0 {
			last := over[self][n]
			over[self] = over[self][:n]
			return last
		}
	case e.Syscall != nil && e.Kind == record.KindCall && e.Syscall.Name == "wait4" && e.Syscall.Ret > 0:
		return now[process{e.Host, e.Boot, int(e.Syscall.Ret)}]
	}
	return nil
}

// sockets finds where each process first uses one, by index. Of one that ran before
// the record began that is not known.
func sockets(events []record.Event) map[process]int {
	first := map[process]int{}
	for i := range events {
		e := &events[i]
		p := process{e.Host, e.Boot, e.PID}
		if _, known := first[p]; !known && (e.Kind == record.KindRunning || e.Syscall != nil && e.Syscall.Socket) {
			first[p] = i
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
