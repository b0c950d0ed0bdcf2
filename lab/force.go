package lab

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
)

// A Force is a fault that is in force.
type Force struct {
	// Kind is that of the fault, "freeze" of a process that one has stopped,
	// and "" of a host that no fault took down.
	Kind string `json:"kind,omitempty"`
	Host string `json:"host,omitempty"` // that is down, or whose process or segments it is about; "" where it is the network's
	PID  int    `json:"pid,omitempty"`  // of a process that is stopped, on its host
	// Since is when it came, zero where that is not known.
	Since time.Time `json:"since,omitzero"`
	Text  string    `json:"text"` // for a reader, a line
}

// forces are what a session knows of the faults in force, beside what can be
// seen: when they came, and what the network does to packets.
type forces struct {
	mu      sync.Mutex
	down    map[string]Force // by host: what ended it
	network []Force          // since the last heal
	forgot  bool             // flows, since then
	frozen  map[frozenProcess]time.Time
}

func newForces() forces {
	return forces{down: map[string]Force{}, frozen: map[frozenProcess]time.Time{}}
}

// A frozenProcess is a process of one boot of a host.
type frozenProcess struct {
	host      string
	boot, pid int
}

// note takes down what a step came to; held is the process that was stopped by it,
// or goes on.
func (f *forces) note(step scenarios.Step, held frozenProcess) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	switch s := step.(type) {
	case scenarios.Heal:
		f.network, f.forgot = nil, false
	case scenarios.Freeze:
		if s.Thaw {
			delete(f.frozen, held)
		} else {
			f.freeze(held, now)
		}
	case scenarios.Fault:
		switch {
		case s.Kind == "hang":
			f.freeze(held, now)
		case s.Kind == "forget-flow":
			f.forgot = true
		case s.Kind == "reboot":
			delete(f.down, s.Host)
		case s.Powers():
			f.down[s.Host] = Force{Kind: s.Kind, Host: s.Host, Since: now, Text: s.Host + " is down: " + s.Kind}
		case s.Lasting():
			f.add(Force{Kind: s.Kind, Host: s.Host, Since: now, Text: lasting(s)})
		}
	}
}

// add puts what the network does to packets beside the rest, in the place of
// what it does no more: of what it answers for the server the last decides.
func (f *forces) add(one Force) {
	f.network = slices.DeleteFunc(f.network, func(old Force) bool { return old.Host == one.Host })
	f.network = append(f.network, one)
}

// lasting says what the network does.
func lasting(f scenarios.Fault) string {
	if f.Host != "" {
		return "nothing that the " + f.Host + " sends gets through"
	}
	for _, k := range scenarios.FaultKinds() {
		if k.Name == f.Kind {
			return k.Summary
		}
	}
	return f.Kind
}

// freeze takes down since when a process is stopped. It needs mu.
func (f *forces) freeze(p frozenProcess, now time.Time) {
	if _, known := f.frozen[p]; !known {
		f.frozen[p] = now
	}
}

// processes are those that a fault has stopped and that are it yet: of what goes
// on, by whomever, it is forgotten. One that a debugger stops, too, is stopped. It
// needs mu.
func (f *forces) processes(n *topology.Network) []Force {
	var list []Force
	still := map[frozenProcess]time.Time{}
	for _, h := range n.Hosts() {
		boot := h.Boot()
		all, err := h.Processes()
		if err != nil && !h.Down() { // they are not known now
			maps.Copy(still, f.frozen)
		}
		for _, p := range all {
			key := frozenProcess{h.Name, boot, p.PID}
			since, frozen := f.frozen[key]
			if !frozen || p.State != stopped && p.State != traced {
				continue
			}
			still[key] = since
			list = append(list, Force{
				Kind: "freeze", Host: h.Name, PID: p.PID, Since: since,
				Text: fmt.Sprintf("process %d of %s, %s, is stopped", p.PID, h.Name, p.Comm),
			})
		}
	}
	f.frozen = still
	return list
}

// list are all that are in force.
func (f *forces) list(n *topology.Network) []Force {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []Force
	for _, h := range n.Hosts() {
		if !h.Down() {
			continue
		}
		one, known := f.down[h.Name]
		if !known {
			one = Force{Host: h.Name, Text: h.Name + " is down: its init has ended"}
		}
		list = append(list, one)
	}
	list = append(list, f.network...)
	list = append(list, f.processes(n)...)
	slices.SortStableFunc(list, func(a, b Force) int { return a.Since.Compare(b.Since) })
	return list
}

// tellForgotten tells a person who has healed the network what that did not bring
// back.
func (s *Session) tellForgotten() {
	s.forces.mu.Lock()
	forgot := s.forces.forgot
	s.forces.mu.Unlock()
	if forgot && s.typed {
		s.e.tell(record.Event{
			Time: s.e.clock.Now(), Source: record.Fault, Kind: "heal", Text: "the flows that the firewall forgot stay forgotten: only new connections pass",
		})
	}
}

// InForce lists the faults that are in force now, the oldest first; before them
// those of which it is not known since when they are. What is
// over in a moment, as a kill or a shutdown is, is not among them. It waits for
// no step, but for a host that is just going down or coming back, and for Renew.
func (s *Session) InForce() []Force {
	s.power.RLock()
	defer s.power.RUnlock()
	return s.forces.list(s.net)
}
