package page

import (
	"fmt"
	"maps"
	"slices"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// What was set: of the kernels, the links, the sockets.
type settings struct {
	Changed     []string
	Delay       string
	Zero        string // just before which the connections were looked at
	Connections []socket
	Sysctls     []node
	Neighbours  []record.Neighbour
}

type socket struct {
	Local, Remote, PID string
	Options            []string
}

// A node is a host or a router with its sysctls.
type node struct {
	Name    string
	Sysctls []fact
}

func settingsOf(r *record.Record) settings {
	s := settings{Changed: all(r.Changed), Zero: zero(r)}
	if r.Delay.By != "" {
		s.Delay = delay(r.Delay)
	}
	for _, c := range r.Connections {
		pid := "not known"
		if c.PID > 0 {
			pid = fmt.Sprint(c.PID)
		}
		s.Connections = append(s.Connections, socket{plain(c.Local), plain(c.Remote), pid, all(c.Options)})
	}
	for _, name := range slices.Sorted(maps.Keys(r.Sysctls)) {
		n := node{Name: plain(name)}
		for _, key := range slices.Sorted(maps.Keys(r.Sysctls[name])) {
			n.Sysctls = append(n.Sysctls, fact{plain(key), bounded(r.Sysctls[name][key], maxText)})
		}
		s.Sysctls = append(s.Sysctls, n)
	}
	for _, n := range r.Neighbours {
		mac := n.MAC
		if mac == "" {
			mac = "not known"
		}
		s.Neighbours = append(s.Neighbours, record.Neighbour{Node: plain(n.Node), Address: plain(n.Address), MAC: plain(mac), State: plain(n.State)})
	}
	return s
}

// delay says what the client's link adds.
func delay(d record.Delay) string {
	s := record.Span(d.Time) + " each way"
	if d.Loss > 0 {
		s += fmt.Sprintf(", %g%% lost (seed %d)", 100*d.Loss, d.Seed)
	}
	return s + ", by " + plain(d.By)
}

// What was not seen, and what that costs.
type unseen struct {
	Missing []record.Missing
	Notes   []string
}

func unseenOf(r *record.Record) unseen {
	var u unseen
	for _, m := range r.Missing {
		u.Missing = append(u.Missing, record.Missing{Observer: bounded(m.Observer, maxText), Why: bounded(m.Why, maxText), Cost: bounded(m.Cost, maxText)})
	}
	if r.LeftOut > 0 {
		u.Notes = append(u.Notes, "This page was made from an excerpt of the record: "+ladder.Thousands(r.LeftOut)+" events of long stretches of the same are not in it.")
	}
	if r.Missed > 0 {
		u.Notes = append(u.Notes, "Up to "+ladder.Thousands(r.Missed)+" events of the whole machine, seldom of this run, may have been missed.")
	}
	if s := r.Spared; s.Calls+s.Segments > 0 {
		note := "Counted and not recorded: " + ladder.Thousands(s.Calls) + " calls and " + ladder.Thousands(s.Segments) + " segments of the steady exchange before the fault."
		if s.Rest > 0 {
			note += " The last " + record.Span(s.Rest) + " of it were not even counted."
		}
		u.Notes = append(u.Notes, note)
	}
	return u
}
