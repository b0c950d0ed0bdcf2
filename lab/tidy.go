package lab

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/observe"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/topology"
)

// A tidier makes a run's events out of what the observers told.
type tidier struct {
	dead  []deadBoot
	ends  []observe.End // none: there is no network
	delay time.Duration // of the client's link, each way
	names processNames  // that are known before the first event
}

// tidier knows what the run knows so far.
func (e *Experiment) tidier() tidier {
	t := tidier{dead: slices.Clone(e.dead), delay: e.options.delay(e.scenario).Time}
	if e.net == nil {
		return t
	}
	for _, h := range e.net.Hosts() {
		addr := h.NIC.Address.Addr()
		if h == e.net.Standby { // it takes the server's
			addr = e.net.Server.NIC.Address.Addr()
		}
		t.ends = append(t.ends, observe.End{Host: h.Name, Addrs: []netip.Addr{addr}, Gaps: slices.Clone(e.watch.gaps[h.Name])})
	}
	return t
}

// tidy sorts the events, pairs the packets of both ends, and drops what the
// kernel of a host went on to do after it was declared dead, which on real
// hardware nobody would have done. What it put on the wire stays. Nor is what
// lets programs in anything that happens on a host.
func (t tidier) tidy(events []record.Event) []record.Event {
	record.Sort(events)
	kept := events[:0]
	for _, ev := range events {
		if !t.posthumous(&ev) {
			kept = append(kept, ev)
		}
	}
	nameProcesses(kept, t.names)
	kept = slices.DeleteFunc(kept, func(ev record.Event) bool { return ev.Comm == topology.UsherName })
	observe.NameReady(kept)
	if len(t.ends) > 0 {
		observe.MatchEnds(kept, t.ends...)
	}
	markAnswered(kept, answerTime+2*t.delay)
	markProbes(kept)
	return kept
}

// A process is one of a host.
type process struct {
	host      string
	boot, pid int
}

func processOf(ev *record.Event) process { return process{ev.Host, ev.Boot, ev.PID} }

// processNames are those that processes were executed under: the kernel's own (comm) is at
// first that of the file, and a thread's.
type processNames map[process]string

func (n processNames) learn(ev *record.Event) {
	if ev.Source == record.Process && (ev.Kind == record.KindExec || ev.Kind == record.KindRunning) && len(ev.Process.Argv) > 0 {
		n[processOf(ev)] = ev.Process.Argv[0]
	}
}

// forget forgets a process that ends.
func (n processNames) forget(ev *record.Event) {
	if ev.Source == record.Process && ev.Kind == record.KindExit {
		delete(n, processOf(ev))
	}
}

// name gives an event of a process its name, if it is known.
func (n processNames) name(ev *record.Event) {
	if name := n[processOf(ev)]; name != "" && ev.Source != record.Output {
		ev.Comm = name
	}
}

// nameProcesses gives every event of a process the process's name; some are known.
func nameProcesses(events []record.Event, known processNames) {
	n := processNames{}
	maps.Copy(n, known)
	for i := range events {
		n.learn(&events[i])
		n.name(&events[i])
	}
}

// named is an event with the name that its process had then.
func (t *timeline) named(ev record.Event) record.Event {
	n := t.oldNames()
	t.each(func(earlier *record.Event) {
		if earlier.Time <= ev.Time {
			n.learn(earlier)
		}
	})
	n.name(&ev)
	return ev
}

// answerTime is how soon a switch or a router answers an ARP request at the
// latest, beside what the link delays both.
const answerTime = 10 * time.Millisecond

// markAnswered finds the ARP requests that never reached the host they were
// for, because the network answered them itself, within a time: no host sent
// what answers them.
func markAnswered(events []record.Event, within time.Duration) {
	sent := map[int64]bool{} // when replies of hosts arrived
	for i := range events {
		if e := &events[i]; e.Packet != nil && e.Kind == record.KindOut && e.Packet.Tells() != "" && e.Packet.Fate == record.FateArrived {
			sent[e.Time+e.Packet.Transit] = true
		}
	}
	for i := range events {
		ask := &events[i]
		if ask.Packet == nil || ask.Packet.Asks() == "" || ask.Packet.Fate == record.FateArrived {
			continue
		}
		for _, reply := range events[i+1:] {
			if reply.Time-ask.Time > int64(within) {
				break
			}
			if reply.Kind == record.KindIn && reply.Host == ask.Host && reply.Packet != nil &&
				reply.Packet.Tells() == ask.Packet.Asks() && !sent[reply.Time] {
				ask.Packet.Fate = record.FateAnswered
				break
			}
		}
	}
}

// markProbes finds the segments that only ask whether somebody is there.
func markProbes(events []record.Event) {
	var s record.Streams
	for i := range events {
		if s.Classify(&events[i]) == record.Probe {
			events[i].Packet.Probe = true
		}
	}
}

// posthumous tells what a kernel that is declared dead went on to do.
func (t tidier) posthumous(ev *record.Event) bool {
	if ev.Source != record.Syscall && ev.Source != record.Socket && ev.Source != record.TCP {
		return false
	}
	for _, d := range t.dead {
		if ev.Host == d.host && ev.Boot == d.boot && ev.Time > d.time {
			return true
		}
	}
	return false
}
