package lab

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

// signature checks that the fault was what it is called: from the packets and
// the kernel's own events, not from what was ordered.
func (v *view) signature() record.Signature {
	var checks []record.Check
	switch v.r.Fault.Kind {
	case scenarios.Crash:
		checks = []record.Check{v.nothingLeftServer(), v.carrierKept(), v.allLost(), v.arpAfterCrash(), v.backoff(), v.errorSet()}
	case scenarios.UnreachableHost:
		checks = []record.Check{v.unreachables("host", 1), v.nothingLeftServer(), v.carrierKept(), v.allLost(), v.soft(), v.moreThanSilence(), v.errorSet()}
	case scenarios.UnreachableNet:
		checks = []record.Check{v.unreachables("net", 0), v.nothingLeftServer(), v.carrierKept(), v.allLost(), v.soft(), v.moreThanSilence(), v.errorSet()}
	case scenarios.Reboot:
		checks = []record.Check{v.silentUntilBoot(), v.carrierKept(), v.clientSilentUntilBoot(), v.resetFromNewBoot(), v.sameCard(), v.errorSet()}
	case scenarios.Kill:
		checks = []record.Check{v.endBeforeFIN(), v.finAcknowledged(), v.resetAnswersData(), v.reaped(), v.carrierKept()}
	case scenarios.Shutdown:
		checks = []record.Check{v.signalOrder(), v.endBeforeFIN(), v.finAcknowledged(), v.resetAnswersData(), v.carrierKept()}
	case scenarios.KillUnread:
		checks = []record.Check{v.unread(), v.resetInsteadOfFIN(), v.carrierKept(), v.errorSet()}
	}
	s := record.Signature{OK: len(checks) > 0, Checks: checks}
	for _, c := range checks {
		s.OK = s.OK && c.OK
	}
	return s
}

// check makes a Check that is unknown where one of the observers is missing.
func (v *view) check(name string, ok bool, seen string, needs ...string) record.Check {
	if why := v.lacks(needs...); why != "" {
		return record.Check{Name: name, Unknown: true, Seen: why}
	}
	return record.Check{Name: name, OK: ok, Seen: seen}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// flagsOf names the segments' flags, for a reader.
func flagsOf(events []*record.Event) string {
	var names []string
	for _, e := range events {
		names = append(names, e.Packet.FlagNames())
	}
	return strings.Join(names, ", ")
}

func (v *view) nothingLeftServer() record.Check {
	sent, got := v.segments("server", record.KindOut), v.segments("client", record.KindIn)
	seen := "none, and so no FIN and no RST"
	if len(sent)+len(got) > 0 {
		seen = fmt.Sprintf("%s sent (%s), %d received by the client (%s)",
			count(len(sent), "segment"), flagsOf(sent), len(got), flagsOf(got))
	}
	return v.check("no segment left the server after the fault", len(sent)+len(got) == 0, seen, ObserveWire)
}

func (v *view) carrierKept() record.Check {
	lost := v.events(func(e *record.Event) bool {
		return e.Kind == record.KindCarrier && e.Host == "client" && v.after(e) && e.Link != record.LinkUp
	})
	seen := "up throughout"
	if len(lost) > 0 {
		seen = fmt.Sprintf("%s %s after the fault: a remote host's end does not do that; use a path with a switch",
			lost[0].Link, record.Span(lost[0].Time-v.r.Fault.Time))
	}
	return v.check("the client kept its carrier", len(lost) == 0, seen, ObserveWire)
}

func (v *view) allLost() record.Check {
	sent := v.segments("client", record.KindOut)
	arrived := 0
	for _, e := range sent {
		if e.Packet.Fate == record.FateArrived {
			arrived++
		}
	}
	seen := fmt.Sprintf("%s sent, %d arrived", count(len(sent), "segment"), arrived)
	return v.check("what the client sent did not arrive", arrived == 0 && len(sent) > 0, seen, ObserveWire)
}

// arpAfterCrash checks who answered for the dead host's address: something,
// or nobody, as the scenario has it.
func (v *view) arpAfterCrash() record.Check {
	server, _, _ := strings.Cut(v.server, ":")
	asked := v.events(func(e *record.Event) bool {
		return e.Source == record.Wire && e.Kind == record.KindOut && e.Host == "client" && v.after(e) &&
			e.Packet.ARP == record.ARPRequest && e.Packet.Dst == server
	})
	answered := v.events(func(e *record.Event) bool {
		return e.Source == record.Wire && e.Kind == record.KindIn && e.Host == "client" && v.after(e) &&
			e.Packet.ARP == record.ARPReply && e.Packet.Src == server
	})
	seen := fmt.Sprintf("the client asked %s, and was answered %s", times(len(asked)), times(len(answered)))
	if len(asked) == 0 {
		seen = "the client never had to ask"
	}
	valid := false
	for _, n := range v.r.Neighbours {
		seen += fmt.Sprintf("; the %s's entry for it ended %s", n.Node, n.State)
		valid = valid || n.Valid()
	}
	if v.r.AnswerARP {
		return v.check("the dead host's address was still resolved", valid && len(answered) >= len(asked), seen, ObserveWire)
	}
	return v.check("nobody resolved the dead host's address", !valid && len(asked) > 0 && len(answered) == 0, seen, ObserveWire)
}

func times(n int) string {
	if n == 0 {
		return "never"
	}
	return count(n, "time")
}

// backoff compares the pauses between the client's retransmissions: in
// silence each timeout is twice the one before. Where ARP fails, the kernel
// takes some of the doubling back (RFC 6069).
func (v *view) backoff() record.Check {
	const name = "each retransmission timeout was about twice the one before"
	sends := v.retransmissions()
	if !v.r.AnswerARP {
		return v.check("the kernel retransmitted", len(sends) > 0, count(len(sends), "retransmission")+" on the wire", ObserveWire)
	}
	limit := 120 * time.Second // TCP_RTO_MAX, and before 6.15 no sysctl
	if ms, err := strconv.Atoi(v.r.Sysctls["client"]["net.ipv4.tcp_rto_max_ms"]); err == nil {
		limit = time.Duration(ms) * time.Millisecond
	}
	var pauses []string
	ok, compared := true, 0
	for i := 1; i < len(sends); i++ {
		pause := time.Duration(sends[i].Time - sends[i-1].Time)
		pauses = append(pauses, fmt.Sprintf("%.2f", pause.Seconds()))
		if i < 2 {
			continue // before the first timeout came the tail loss probe
		}
		before := time.Duration(sends[i-1].Time - sends[i-2].Time)
		if before >= limit/2 {
			continue // at the limit nothing doubles
		}
		compared++
		// The timer wheel rounds a timeout up by an eighth at most.
		if ratio := float64(pause) / float64(before); ratio < 1.7 || ratio > 2.3 {
			ok = false
		}
	}
	seen := fmt.Sprintf("%s, the tail loss probe among them; pauses of %s s", count(len(sends), "retransmission"), strings.Join(pauses, ", "))
	if len(pauses) == 0 {
		seen = count(len(sends), "retransmission")
	}
	// Without two pauses to compare there is nothing to see: only the
	// prediction tells whether there should have been more.
	if ok && compared == 0 && len(sends) > 0 {
		return record.Check{Name: name, Unknown: true, Seen: "too few to compare: " + seen}
	}
	return v.check(name, ok && compared > 0, seen, ObserveWire)
}

func (v *view) unreachables(what string, code int) record.Check {
	got := v.events(func(e *record.Event) bool {
		return e.Source == record.Wire && e.Kind == record.KindIn && e.Host == "client" && v.after(e) &&
			e.Packet.Proto == "icmp" && e.Packet.ICMPType == 3 && e.Packet.ICMPCode == code
	})
	return v.check("the router answered ICMP "+what+" unreachable", len(got) > 0,
		count(len(got), "message")+fmt.Sprintf(" of type 3, code %d", code), ObserveWire)
}

// soft checks that the first ICMP message did not end the connection.
func (v *view) soft() record.Check {
	const name = "the message did not end the connection: that was left to the timer"
	first := v.events(func(e *record.Event) bool {
		return e.Source == record.Wire && e.Kind == record.KindIn && e.Host == "client" && v.after(e) && e.Packet.Proto == "icmp"
	})
	last := v.retransmissions()
	if len(first) == 0 || len(last) == 0 {
		return v.check(name, false, "no message, or no retransmission after it", ObserveWire)
	}
	gap := last[len(last)-1].Time - first[0].Time
	return v.check(name, gap > 0, fmt.Sprintf("retransmitted until %.2f s after the first message", time.Duration(gap).Seconds()), ObserveWire)
}

func (v *view) moreThanSilence() record.Check {
	n, silent := len(v.retransmissions()), v.r.Prediction.SilentSends
	return v.check("more retransmissions than in silence", n > silent,
		fmt.Sprintf("%d, in silence %d", n, silent), ObserveWire)
}

// bootTime is when the rebooted host was reachable again.
func (v *view) bootTime() int64 {
	if v.r.Fault.Back == 0 {
		return math.MaxInt64
	}
	return v.r.Fault.Back
}

func before(events []*record.Event, t int64) []*record.Event {
	var kept []*record.Event
	for _, e := range events {
		if e.Time < t {
			kept = append(kept, e)
		}
	}
	return kept
}

func (v *view) silentUntilBoot() record.Check {
	sent := before(v.segments("server", record.KindOut), v.bootTime())
	got := before(v.segments("client", record.KindIn), v.bootTime())
	seen := "nothing"
	if len(sent)+len(got) > 0 {
		seen = flagsOf(append(sent, got...))
	}
	return v.check("no FIN and no RST left the host before it was back", len(sent)+len(got) == 0, seen, ObserveWire)
}

func (v *view) clientSilentUntilBoot() record.Check {
	sent := before(withData(v.segments("client", record.KindOut)), v.bootTime())
	return v.check("the client sent nothing while the host was down", len(sent) == 0, count(len(sent), "segment"), ObserveWire)
}

func (v *view) resetFromNewBoot() record.Check {
	resets := with(v.segments("server", record.KindOut), record.FlagRST)
	ok := len(resets) > 0
	seen := "no RST"
	if ok {
		seen = fmt.Sprintf("RST sent by boot %d of the host", resets[0].Boot)
		ok = resets[0].Boot == 2 && resets[0].Packet.Fate == record.FateArrived
	}
	return v.check("the RST came from the new namespace", ok, seen, ObserveWire)
}

func (v *view) sameCard() record.Check {
	const name = "the rebooted host has its old addresses"
	resets := with(v.segments("server", record.KindOut), record.FlagRST)
	if len(resets) == 0 {
		return v.check(name, false, "no RST", ObserveWire)
	}
	p := resets[0].Packet
	return v.check(name, p.SrcMAC == v.mac["server"] && p.Src == v.server, p.Src+" from "+p.SrcMAC, ObserveWire)
}

// endBeforeFIN checks that the FIN is the work of the kernel that closed the
// descriptors of the process that held the connection.
func (v *view) endBeforeFIN() record.Check {
	const name = "the process that held the connection ended, then its kernel sent a FIN"
	needs := []string{ObserveWire, ObserveEBPF, ObserveEBPF + ":sched_process_exit"}
	fins := with(v.segments("server", record.KindOut), record.FlagFIN)
	ends := v.ends()
	if len(fins) == 0 || len(ends) == 0 {
		return v.check(name, false, fmt.Sprintf("%s of process %d, %s", count(len(ends), "end"), v.r.Fault.PID, count(len(fins), "FIN")), needs...)
	}
	gap := fins[0].Time - ends[0].Time
	return v.check(name, gap >= 0, fmt.Sprintf("FIN %s after process %d ended", record.Span(gap), ends[0].PID), needs...)
}

// ends are the ends of the process that held the connection: one.
func (v *view) ends() []*record.Event {
	return v.events(func(e *record.Event) bool {
		return e.Source == record.Process && e.Kind == record.KindExit && e.Host == "server" && v.after(e) && e.PID == v.r.Fault.PID
	})
}

func (v *view) finAcknowledged() record.Check {
	const name = "the client's kernel acknowledged the FIN"
	fins := with(v.segments("client", record.KindIn), record.FlagFIN)
	if len(fins) == 0 {
		return v.check(name, false, "no FIN reached it", ObserveWire)
	}
	want := fins[0].Packet.Seq + uint32(fins[0].Packet.Len) + 1
	for _, e := range v.segments("client", record.KindOut) {
		if e.Time > fins[0].Time && e.Packet.Len == 0 && e.Packet.Flags&record.FlagACK != 0 && e.Packet.Ack == want {
			return v.check(name, true, fmt.Sprintf("ACK %s after the FIN", record.Span(e.Time-fins[0].Time)), ObserveWire)
		}
	}
	return v.check(name, false, "no ACK of it", ObserveWire)
}

func (v *view) resetAnswersData() record.Check {
	const name = "the server's kernel answered the client's next data with RST"
	resets := with(v.segments("server", record.KindOut), record.FlagRST)
	data := withData(v.segments("client", record.KindOut))
	if len(resets) == 0 || len(data) == 0 {
		return v.check(name, false, fmt.Sprintf("%s, %s with data", count(len(resets), "RST"), count(len(data), "segment")), ObserveWire)
	}
	gap := resets[0].Time - data[0].Time
	return v.check(name, gap > 0, fmt.Sprintf("RST %s after the data", record.Span(gap)), ObserveWire)
}

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
	ok := len(term) > len(kill) && len(kill) > 0
	if ok {
		gap := kill[0].Time - term[0].Time
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

func (v *view) resetInsteadOfFIN() record.Check {
	sent := v.segments("server", record.KindOut)
	resets, fins := with(sent, record.FlagRST), with(sent, record.FlagFIN)
	return v.check("a RST left the server, and no FIN", len(resets) > 0 && len(fins) == 0,
		fmt.Sprintf("%s, %s", count(len(resets), "RST"), count(len(fins), "FIN")), ObserveWire)
}

// errorSet looks for the kernel's own event of the error that the client was
// told. That the call returned it is proof enough that it was set: where the
// event was not seen, the check says so.
func (v *view) errorSet() record.Check {
	const name = "the client's kernel set the error that the call returned"
	needs := []string{ObserveEBPF, ObserveEBPF + ":inet_sk_error_report"}
	d := v.detection()
	if d.Error == "" {
		return v.check(name, false, "the client was told nothing", needs...)
	}
	set := v.events(func(e *record.Event) bool {
		return e.Source == record.TCP && e.Kind == record.KindError && e.Host == "client" && v.after(e) && e.Time <= d.Time
	})
	if len(set) == 0 {
		return v.check(name, true, d.Error+"; the kernel did not report it before the call returned", needs...)
	}
	last := set[len(set)-1]
	return v.check(name, last.TCP.Error == d.Error,
		fmt.Sprintf("%s, %s before the call returned", last.TCP.Error, record.Span(d.Time-last.Time)), needs...)
}
