package lab

import (
	"fmt"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// The checks of what becomes of processes.

// reaped checks that the parent was told of its child's end, and waited for it.
func (v *view) reaped() record.Check {
	const name = "the parent was sent SIGCHLD and waited for its child"
	needs := []string{ObserveEBPF, ObserveEBPF + ":sys_enter", ObserveEBPF + ":sys_exit", ObserveEBPF + ":signal_generate"}
	waits := v.events(func(e *record.Event) bool {
		return e.Source == record.Syscall && e.Kind == record.KindCall && e.Host == "server" && v.after(e) &&
			e.Syscall.Name == "wait4" && e.Syscall.Ret == int64(v.r.Fault.PID)
	})
	if len(waits) == 0 {
		return v.check(name, false, fmt.Sprintf("nobody waited for process %d", v.r.Fault.PID), needs...)
	}
	told := v.events(func(e *record.Event) bool {
		return e.Source == record.Process && e.Kind == record.KindSignal && e.Host == "server" && v.after(e) &&
			e.Process.Signal == "SIGCHLD" && e.PID == waits[0].PID && e.Time <= waits[0].Time
	})
	if len(told) == 0 {
		return v.check(name, false, "no SIGCHLD before it waited", needs...)
	}
	return v.check(name, true, fmt.Sprintf("SIGCHLD, and %s later wait4() = %d",
		record.Span(waits[0].Time-told[0].Time), waits[0].Syscall.Ret), needs...)
}

// signalOrder checks a shutdown's course: SIGTERM to all, and SIGKILL to
// those that were still there after the grace.
func (v *view) signalOrder() record.Check {
	const name = "SIGTERM to every process, SIGKILL later to what was left"
	sent := func(signal string) []*record.Event {
		return v.events(func(e *record.Event) bool {
			return e.Source == record.Process && e.Kind == record.KindSignal && e.Host == "server" && v.after(e) &&
				e.Process.Signal == signal && e.Process.Sender == 1
		})
	}
	term, kill := sent("SIGTERM"), sent("SIGKILL")
	seen := fmt.Sprintf("SIGTERM reached %d that do not ignore it, SIGKILL %d", len(term), len(kill))
	ok := len(term) > 0
	if len(kill) > 0 && ok {
		gap := kill[0].Time - term[len(term)-1].Time
		seen += fmt.Sprintf(" %.2f s later", time.Duration(gap).Seconds())
		ok = gap > 0
	}
	return v.check(name, ok, seen, ObserveEBPF, ObserveEBPF+":signal_generate")
}

// unread checks the receive queue as it was read just before the kill, and
// that nobody emptied it in between.
func (v *view) unread() record.Check {
	const name = "octets lay unread in the server's receive queue"
	arrived := v.events(func(e *record.Event) bool {
		return e.Source == record.Wire && e.Kind == record.KindIn && e.Host == "server" && !v.after(e) && e.Packet.Len > 0
	})
	if len(arrived) > 0 {
		read := v.events(func(e *record.Event) bool {
			return e.Source == record.Syscall && e.Kind == record.KindCall && e.Host == "server" && !v.after(e) &&
				e.Time > arrived[len(arrived)-1].Time && e.Syscall.Local == v.server && isRead(e.Syscall.Name) && e.Syscall.Ret > 0
		})
		if len(read) > 0 {
			return v.check(name, false, fmt.Sprintf("the process read %d of them", read[0].Syscall.Ret))
		}
	}
	return v.check(name, v.r.Fault.Unread > 0, count(v.r.Fault.Unread, "octet"), ObserveSockets)
}

func (v *view) resetNotFIN() record.Check {
	sent := v.segments("server", record.KindOut)
	resets, fins := with(sent, record.FlagRST), with(sent, record.FlagFIN)
	return v.check("a RST left the server, and no FIN", len(resets) > 0 && len(fins) == 0,
		fmt.Sprintf("%s, %s", count(len(resets), "RST"), count(len(fins), "FIN")), ObserveWire)
}

// hung checks that the process did nothing until it was allowed to again, and
// that its kernel acknowledged what came for it.
func (v *view) hung() record.Check {
	const name = "the process made no system call, its kernel acknowledged all the same"
	end := v.r.Duration
	for _, e := range v.r.Events {
		if e.Source == record.Step && e.Kind == "thaw" && v.after(&e) {
			end = e.Time
			break
		}
	}
	calls := v.events(func(e *record.Event) bool {
		return e.Source == record.Syscall && e.Kind == record.KindCall && e.Host == v.dead() && v.after(e) && e.Time < end &&
			e.PID == v.r.Fault.PID
	})
	acks := keep(before(v.segments(v.dead(), record.KindOut), end), func(e *record.Event) bool {
		return e.Packet.Len == 0 && e.Packet.Flags&record.FlagACK != 0
	})
	return v.check(name, len(calls) == 0 && len(acks) > 0,
		fmt.Sprintf("%s, %s", count(len(calls), "call"), count(len(acks), "ACK")), ObserveWire, ObserveEBPF, ObserveEBPF+":sys_exit")
}

func (v *view) destroyed() record.Check {
	const name = "the server's call returned ECONNABORTED, and a RST left it"
	aborted := v.events(func(e *record.Event) bool {
		return e.Source == record.Syscall && e.Kind == record.KindCall && e.Host == v.dead() && v.after(e) &&
			e.Syscall.Error == "ECONNABORTED"
	})
	resets := v.resets(v.dead())
	return v.check(name, len(aborted) > 0 && len(resets) > 0,
		fmt.Sprintf("%s with ECONNABORTED, %s", count(len(aborted), "call"), count(len(resets), "RST")),
		ObserveWire, ObserveEBPF, ObserveEBPF+":sys_exit")
}

// drained checks that nobody had to be killed.
func (v *view) drained() record.Check {
	const name = "every process of the server ended by itself after SIGTERM"
	ended := v.events(func(e *record.Event) bool {
		return e.Source == record.Process && e.Kind == record.KindExit && e.Host == "server" && v.after(e)
	})
	bad := keep(ended, func(e *record.Event) bool { return e.Process.Signal != "" || e.Process.Status != 0 })
	seen := fmt.Sprintf("%d ended with status 0", len(ended)-len(bad))
	if len(bad) > 0 {
		seen = bad[0].String()
	}
	return v.check(name, len(ended) > 0 && len(bad) == 0, seen, ObserveEBPF, ObserveEBPF+":sched_process_exit")
}
