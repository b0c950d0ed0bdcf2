package lab

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// The checks of a peer that says nothing any more.

// dead is the host that the fault befell.
func (v *view) dead() string {
	if v.fault.Host != "" {
		return v.fault.Host
	}
	return "server"
}

func (v *view) silent() record.Check {
	host := v.dead()
	sent := keep(v.segments(host, record.KindOut), v.during)
	got := v.departed(keep(v.segments(otherEnd(host), record.KindIn), v.during))
	return v.nothing("no segment left the "+host+" after the fault", sent, got)
}

func (v *view) noSegments() record.Check {
	got := v.departed(keep(v.segments("client", record.KindIn), v.during))
	return v.nothing("no segment of the server reached the client after the fault", nil, got)
}

func (v *view) nothing(name string, sent, got []*record.Event) record.Check {
	seen := "none, and so no FIN and no RST"
	if len(sent)+len(got) > 0 {
		seen = fmt.Sprintf("%s sent (%s), %d received (%s)", count(len(sent), "segment"), flagsOf(sent), len(got), flagsOf(got))
	}
	return v.check(name, len(sent)+len(got) == 0, seen, ObserveWire)
}

func (v *view) carrierKept() record.Check {
	host := "client"
	if v.fault.Host == host {
		host = "server"
	}
	end := v.crashed(host)
	lost := v.events(func(e *record.Event) bool {
		return e.Kind == record.KindCarrier && e.Host == host && v.after(e) && e.Time < end && e.Link != record.LinkUp
	})
	seen := "up throughout"
	if len(lost) > 0 {
		seen = fmt.Sprintf("%s %s after the fault: a remote host's end does not do that; use a path with a switch",
			lost[0].Link, record.Span(lost[0].Time-v.fault.Time))
	}
	return v.check("the "+host+" kept its carrier", len(lost) == 0, seen, ObserveWire)
}

// crashed is shortly before a fault of its own ended the host, never for most.
func (v *view) crashed(host string) int64 {
	for _, e := range v.r.Events {
		if e.Source == record.Fault && e.Host == host && (e.Kind == "crash" || e.Kind == "power-off" || e.Kind == "reboot" || e.Kind == "failover") {
			return e.Time - int64(time.Second) // the link's own announcement may be sooner than the note of it
		}
	}
	return math.MaxInt64
}

func (v *view) allLost() record.Check {
	sent := keep(v.segments("client", record.KindOut), v.during)
	arrived := len(keep(sent, func(e *record.Event) bool { return e.Packet.Fate == record.FateArrived }))
	seen := fmt.Sprintf("%s sent, %d arrived", count(len(sent), "segment"), arrived)
	return v.check("what the client sent did not arrive", arrived == 0 && len(sent) > 0, seen, ObserveWire)
}

// flowForgotten is allLost for a middlebox: it may answer, but lets nothing
// through.
func (v *view) flowForgotten() record.Check {
	sent := v.segments("client", record.KindOut)
	arrived := len(keep(sent, func(e *record.Event) bool { return e.Packet.Fate == record.FateArrived }))
	seen := fmt.Sprintf("%s sent, %d got through", count(len(sent), "segment"), arrived)
	return v.check("nothing of the connection gets through the middle any more", arrived == 0 && len(sent) > 0, seen, ObserveWire)
}

// stopped checks that nothing got through any more: of what the client sent
// or, where the fault stops what another host sends, of that.
func (v *view) stopped() record.Check {
	from := "client"
	if v.fault.Host != "" {
		from = v.fault.Host
	}
	sent := keep(v.segments(from, record.KindOut), v.during)
	if v.fault.Kind == "forget-flow" { // a connection that was made since is known to it
		made := map[string]bool{}
		for _, e := range with(sent, record.FlagSYN) {
			made[e.Packet.Src] = true
		}
		sent = keep(sent, func(e *record.Event) bool { return !made[e.Packet.Src] })
	}
	arrived := len(keep(sent, func(e *record.Event) bool { return e.Packet.Fate == record.FateArrived }))
	return v.check("nothing that the "+from+" sent got through any more", arrived == 0,
		fmt.Sprintf("%s sent, %d arrived", count(len(sent), "segment"), arrived), ObserveWire)
}

func (v *view) oneWay() record.Check {
	from, to := v.fault.Host, otherEnd(v.fault.Host)
	fates := func(host string) (sent, arrived int) {
		for _, e := range v.segments(host, record.KindOut) {
			sent++
			if e.Packet.Fate == record.FateArrived {
				arrived++
			}
		}
		return sent, arrived
	}
	sent, arrived := fates(from)
	back, backArrived := fates(to)
	name := "what the " + from + " sent was lost, what the " + to + " sent was not"
	seen := fmt.Sprintf("of the %s %s sent, %d arrived; of the %s %d sent, %d arrived",
		from, count(sent, "segment"), arrived, to, back, backArrived)
	if back == 0 {
		name = "what the " + from + " sent was lost"
		seen = fmt.Sprintf("%s sent, %d arrived; the %s had nothing to send", count(sent, "segment"), arrived, to)
	}
	return v.check(name, sent > 0 && arrived == 0 && backArrived >= back-v.lossAllowed(back), seen, ObserveWire)
}

// lossAllowed is how many of n frames the link itself may have lost: as many
// as were asked for, and half as many again.
func (v *view) lossAllowed(n int) int {
	if v.r.Delay.Loss == 0 {
		return 0
	}
	return 2 + int(1.5*v.r.Delay.Loss*float64(n))
}

func (v *view) heardNothingWrong() record.Check {
	wrong := v.events(func(e *record.Event) bool {
		return e.Source == record.Wire && e.Host == "client" && e.Kind == record.KindIn && v.after(e) && e.Packet != nil &&
			(e.Packet.Flags&(record.FlagFIN|record.FlagRST) != 0 || e.Packet.ICMPError())
	})
	seen := "none"
	if len(wrong) > 0 {
		seen = wrong[0].String()
	}
	return v.check("no FIN, no RST and no ICMP error reached the client", len(wrong) == 0, seen, ObserveWire)
}

// neighbour checks who answered for the dead host's address: something, or
// nobody, as the scenario has it.
func (v *view) neighbour() record.Check {
	server := host(v.server)
	asked := v.events(func(e *record.Event) bool {
		return e.Source == record.Wire && e.Kind == record.KindOut && e.Host == "client" && v.after(e) &&
			e.Packet != nil && e.Packet.Asks() == server
	})
	answered := v.events(func(e *record.Event) bool {
		return e.Source == record.Wire && e.Kind == record.KindIn && e.Host == "client" && v.after(e) &&
			e.Packet != nil && e.Packet.Tells() == server
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

// host is the address of an address and port.
func host(endpoint string) string {
	if i := strings.LastIndexByte(endpoint, ':'); i >= 0 {
		return strings.Trim(endpoint[:i], "[]")
	}
	return endpoint
}

// backoff compares the pauses between the client's retransmissions: in
// silence each timeout is twice the one before.
func (v *view) backoff() record.Check {
	const name = "each retransmission timeout was about twice the one before"
	sends := v.retransmissions()
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
