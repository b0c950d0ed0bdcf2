package lab

import (
	"fmt"
	"strings"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

// A checker is one part of a signature: it looks at the packets and the
// kernel's own events, not at what was ordered.
type checker func(v *view) record.Check

// checkers are the checks that faults bring along and scenarios ask for.
func checkers() map[string]checker {
	return map[string]checker{
		"silent":      (*view).silent,
		"no-segments": (*view).noSegments,
		"carrier":     (*view).carrierKept,
		"lost":        (*view).allLost,
		"neighbour":   (*view).neighbour,
		"backoff":     (*view).backoff,
		"error-set":   (*view).errorSet,
		"one-way":     (*view).oneWay,

		"heard-nothing-wrong": (*view).heardNothingWrong,
		"flow-forgotten":      (*view).flowForgotten,

		"icmp-host":         func(v *view) record.Check { return v.icmpError(icmpHost) },
		"icmp-net":          func(v *view) record.Check { return v.icmpError(icmpNet) },
		"icmp-prohibited":   func(v *view) record.Check { return v.icmpError(icmpProhibited) },
		"soft":              (*view).soft,
		"more-than-silence": (*view).moreThanSilence,
		"alive":             (*view).alive,

		"silent-until-boot":  (*view).silentUntilBoot,
		"client-silent":      (*view).clientSilent,
		"reset-from-boot":    (*view).resetFromBoot,
		"same-card":          (*view).sameCard,
		"taken-over":         (*view).takenOver,
		"reset-from-standby": (*view).resetFromStandby,
		"reset-from-middle":  (*view).resetFromMiddle,

		"end-before-fin":     (*view).endBeforeFIN,
		"fin-acknowledged":   (*view).finAcknowledged,
		"reset-answers-data": (*view).resetAnswersData,
		"reset-answers-syn":  (*view).resetAnswersSYN,
		"told-by-poll":       (*view).toldByPoll,
		"handshake":          (*view).handshake,
		"closed-both-ways":   (*view).closedBothWays,
		"fins-crossed":       (*view).finsCrossed,
		"time-wait":          (*view).timeWait,
		"data-after-fin":     (*view).dataAfterFIN,

		"reaped":         (*view).reaped,
		"signal-order":   (*view).signalOrder,
		"unread":         (*view).unread,
		"reset-not-fin":  (*view).resetNotFIN,
		"hung":           (*view).hung,
		"destroyed":      (*view).destroyed,
		"drained":        (*view).drained,
		"ended":          (*view).ended,
		"stopped":        (*view).stopped,
		"ended-together": (*view).endedTogether,

		"keepalive-probes": (*view).keepaliveProbes,
		"no-probes":        (*view).noProbes,
		"probes-answered":  (*view).probesAnswered,
		"probes-lost":      (*view).probesLost,
		"syn-backoff":      (*view).synBackoff,
		"synack-backoff":   (*view).synackBackoff,
	}
}

// signature makes the checks that the scenario asks for, and those that belong
// to each fault's kind: of a later one, until the next.
func (v *view) signature(sc *scenarios.Scenario) record.Signature {
	s := record.Signature{OK: true, Checks: []record.Check{}}
	all, own := checkers(), sc.Own != nil || sc.ByHand
	made := map[string]bool{}
	add := func(v *view, prefix string, names []string) {
		for _, name := range names {
			if made[prefix+name] { // the fault's kind asks for it, and the scenario too
				continue
			}
			made[prefix+name] = true
			c := all[name](v)
			c.Name = prefix + c.Name
			s.Checks = append(s.Checks, c)
			s.OK = s.OK && c.OK
		}
	}
	add(v, "", scenarios.ChecksOf(v.r.Fault.Kind, own))
	add(v, "", sc.Verify)
	for i, f := range v.r.Later {
		until := v.until
		if i+1 < len(v.r.Later) {
			until = v.r.Later[i+1].Time
		}
		add(v.of(f, until), f.Kind+": ", scenarios.ChecksOf(f.Kind, own))
	}
	s.OK = s.OK && len(s.Checks) > 0
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

func times(n int) string {
	if n == 0 {
		return "never"
	}
	return count(n, "time")
}

// flagsOf names the segments' flags, for a reader.
func flagsOf(events []*record.Event) string {
	var names []string
	for _, e := range events {
		names = append(names, e.Packet.FlagNames())
	}
	return strings.Join(names, ", ")
}
