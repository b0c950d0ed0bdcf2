package report

import (
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// A moment is what a frame and its event have in common.
type moment struct {
	time int64
	boot int
	out  bool
}

func momentOf(f *record.Frame) moment { return moment{f.Time, f.Boot, f.Out} }

// notes says of a host's packets what they mattered for, of most nothing:
// retransmissions, probes, what was lost or not answered by whom it was for,
// the first after a fault, and what an expectation waited for.
func notes(r *record.Record, host string) map[moment][]string {
	waited := deciders(r)
	said := map[moment][]string{}
	after := "" // the fault whose first packet is awaited
	for i := range r.Events {
		e := &r.Events[i]
		if e.Source == record.Fault {
			switch e.Kind {
			case "zero", "heal", "boot":
			default:
				after = e.Kind
			}
		}
		if e.Packet == nil || e.Host != host {
			continue
		}
		at := moment{e.Time, e.Boot, e.Kind == record.KindOut}
		say := func(what string) { said[at] = append(said[at], what) }
		if after != "" {
			say("the first here after the fault: " + after)
			after = ""
		}
		if again := ladder.Retransmission(r, i); again != nil {
			say(again.String())
		}
		if e.Packet.Probe {
			say("a probe: it asks whether somebody is there, and brings nothing new")
		}
		switch e.Packet.Fate {
		case record.FateLost:
			say("lost: it never reached the other end")
		case record.FateAnswered:
			say("answered by the " + r.Path + " in the place of whom it was for")
		}
		for _, what := range waited[e.Time] {
			say(what)
		}
	}
	return said
}

// deciders says what was decided by what happened at a time.
func deciders(r *record.Record) map[int64][]string {
	said := map[int64][]string{}
	for _, x := range r.Expectations {
		if x.Time != 0 && !x.Unknown {
			what := "decided " + x.Place + ": " + x.What
			if !x.OK {
				what = "decided against " + x.Place + ": " + x.What
			}
			said[x.Time] = append(said[x.Time], what)
		}
	}
	return said
}

// toldClient says of a system call that it is the one that told the client.
func toldClient(r *record.Record, e *record.Event) []string {
	d := &r.Detection
	if d.Error == "" || e.Syscall == nil || e.Host != d.Host || e.Time != d.Time || e.PID != d.PID {
		return nil
	}
	return []string{"told the " + d.Host + " " + d.Error + ", " + record.Span(d.AfterFault) + " after the fault"}
}
