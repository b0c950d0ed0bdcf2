package lab

import (
	"fmt"
	"math"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// The checks of what becomes of processes.

// reaped checks that the parent was told of its child's end, and waited for it.
func (v *view) reaped() record.Check {
	const name = "the parent was sent SIGCHLD and waited for its child"
	needs := []string{ObserveEBPF, ObserveEBPF + ":sys_enter", ObserveEBPF + ":sys_exit", ObserveEBPF + ":signal_generate"}
	waits := v.events(func(e *record.Event) bool {
		return e.Source == record.Syscall && e.Kind == record.KindCall && e.Host == "server" && v.after(e) &&
			e.Syscall.Name == "wait4" && e.Syscall.Ret == int64(v.fault.PID)
	})
	if len(waits) == 0 {
		return v.check(name, false, fmt.Sprintf("nobody waited for process %d", v.fault.PID), needs...)
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

// signalOrder checks a shutdown's course: SIGTERM to all, SIGKILL later to
// those that were still there, and nobody left. A process that ignores SIGTERM
// is not told of it by the kernel; it must have got the SIGKILL.
func (v *view) signalOrder() record.Check {
	const name = "SIGTERM to every process, SIGKILL later to what was left"
	signalled := func(signal string) map[int]int64 {
		got := map[int]int64{}
		for _, e := range v.r.Events {
			if e.Source == record.Process && e.Kind == record.KindSignal && e.Host == v.dead() && v.after(&e) &&
				e.Process.Signal == signal && e.Process.Sender == 1 {
				got[e.PID] = e.Time
			}
		}
		return got
	}
	term, kill := signalled("SIGTERM"), signalled("SIGKILL")
	living, ended, inPeace := v.living(v.dead()), 0, map[int]bool{}
	for _, e := range v.r.Events {
		if e.Source == record.Process && e.Kind == record.KindExit && e.Host == v.dead() && v.after(&e) && living[e.PID] {
			ended++
			inPeace[e.PID] = e.Process.Signal != "SIGKILL"
		}
	}
	reached := len(term)
	// Of those that ignore SIGTERM the kernel tells nothing: they may be all,
	// if SIGKILL reached all.
	ok := (reached > 0 || len(kill) == len(living)) && ended == len(living)
	for pid := range living {
		_, first := term[pid]
		_, last := kill[pid]
		ok = ok && (first || last || inPeace[pid]) // another may have told it to
	}
	gap := int64(math.MaxInt64)
	if reached == 0 {
		term = map[int]int64{0: v.fault.Time}
	}
	for _, t := range term {
		for _, k := range kill {
			gap = min(gap, k-t)
		}
	}
	seen := fmt.Sprintf("of %d SIGTERM reached %d that do not ignore it, SIGKILL %d", len(living), reached, len(kill))
	if len(kill) > 0 {
		seen += fmt.Sprintf(" %.2f s later", seconds(gap))
		ok = ok && gap > 0
	}
	return v.check(name, ok, seen+fmt.Sprintf("; %d ended", ended), ObserveEBPF, ObserveEBPF+":signal_generate", ObserveEBPF+":sched_process_exit")
}

// living are the processes of a host that were there before the fault and
// had not ended.
func (v *view) living(host string) map[int]bool {
	living := map[int]bool{}
	for _, e := range v.r.Events {
		if e.Time >= v.fault.Time || e.Source != record.Process || e.Host != host || e.PID == 1 {
			continue
		}
		switch e.Kind {
		case record.KindExec, record.KindFork, record.KindRunning:
			living[e.PID] = true
		case record.KindExit:
			delete(living, e.PID)
		}
	}
	return living
}

// endedTogether looks at the children of a server: whether several had ended
// when the first was waited for.
func (v *view) endedTogether() record.Check {
	const name = "several children had ended before the first was waited for"
	needs := []string{ObserveEBPF, ObserveEBPF + ":sys_exit", ObserveEBPF + ":sched_process_exit"}
	waits := v.events(func(e *record.Event) bool {
		return e.Source == record.Syscall && e.Kind == record.KindCall && e.Host == "server" && v.after(e) &&
			e.Syscall.Name == "wait4" && e.Syscall.Ret > 0
	})
	if len(waits) == 0 {
		return v.check(name, false, "nobody waited", needs...)
	}
	ended := v.events(func(e *record.Event) bool {
		return e.Source == record.Process && e.Kind == record.KindExit && e.Host == "server" && v.after(e) && e.Time < waits[0].Time
	})
	told := v.events(func(e *record.Event) bool {
		return e.Source == record.Process && e.Kind == record.KindSignal && e.Host == "server" && v.after(e) &&
			e.Process.Signal == "SIGCHLD" && e.PID == waits[0].PID && e.Time < waits[0].Time
	})
	return v.check(name, len(ended) > 1, fmt.Sprintf("%d had ended, %s told of, %d waited for in all",
		len(ended), count(len(told), "SIGCHLD"), len(waits)), needs...)
}

// unread checks the receive queue as it was read just before the kill, and
// that nobody emptied it in between.
func (v *view) unread() record.Check {
	name := "octets lay unread in the " + v.dead() + "'s receive queue"
	arrived := v.events(func(e *record.Event) bool {
		return e.Source == record.Wire && e.Kind == record.KindIn && e.Host == v.dead() && !v.after(e) && e.Packet.Len > 0
	})
	if len(arrived) > 0 {
		read := v.events(func(e *record.Event) bool {
			return e.Source == record.Syscall && e.Kind == record.KindCall && e.Host == v.dead() && !v.after(e) &&
				e.Time > arrived[len(arrived)-1].Time && v.ofServer(e.Syscall.Local) && isRead(e.Syscall.Name) && e.Syscall.Ret > 0
		})
		if len(read) > 0 {
			return v.check(name, false, fmt.Sprintf("the process read %d of them", read[0].Syscall.Ret))
		}
	}
	return v.check(name, v.fault.Unread > 0, count(v.fault.Unread, "octet"), ObserveSockets)
}

func (v *view) resetNotFIN() record.Check {
	name := "a RST left the " + v.dead() + ", and no FIN"
	sent := v.segments(v.dead(), record.KindOut)
	resets := with(sent, record.FlagRST)
	if len(resets) == 0 {
		return v.check(name, false, "no RST, "+count(len(with(sent, record.FlagFIN)), "FIN"), ObserveWire)
	}
	fins := with(sent, record.FlagFIN)
	if v.r.Demand != nil || v.r.ByHand { // others of the user's connections may end in good order meanwhile
		first := resets[0].Packet
		fins = keep(fins, func(e *record.Event) bool { return e.Packet.Src == first.Src && e.Packet.Dst == first.Dst })
	}
	return v.check(name, len(fins) == 0, fmt.Sprintf("%s, %s", count(len(resets), "RST"), count(len(fins), "FIN")), ObserveWire)
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
			e.PID == v.fault.PID
	})
	acks := keep(before(v.segments(v.dead(), record.KindOut), end), func(e *record.Event) bool {
		return e.Packet.Len == 0 && e.Packet.Flags&record.FlagACK != 0
	})
	asked := withData(before(v.segments(otherEnd(v.dead()), record.KindOut), end))
	return v.check(name, len(calls) == 0 && (len(acks) > 0 || len(asked) == 0),
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

// ended checks that the process which was killed is no more.
func (v *view) ended() record.Check {
	const name = "the process that was to end has ended"
	ends := v.events(func(e *record.Event) bool {
		return e.Source == record.Process && e.Kind == record.KindExit && e.Host == v.dead() && v.after(e) && e.PID == v.fault.PID
	})
	if len(ends) == 0 {
		return v.check(name, false, fmt.Sprintf("process %d goes on", v.fault.PID), ObserveEBPF, ObserveEBPF+":sched_process_exit")
	}
	return v.check(name, true, fmt.Sprintf("%s, %s after the signal", ends[0], record.Span(ends[0].Time-v.fault.Time)),
		ObserveEBPF, ObserveEBPF+":sched_process_exit")
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
