package report

import (
	"slices"
	"sort"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// Repeats are a host's attempts after the fault to send what brings nothing
// new: retransmissions, tail loss probes, keepalive and zero window probes.
type Repeats struct {
	Host string
	// From tells from when the times count: the host's first segment with
	// something new after the fault, or the fault if there was none.
	From  string
	Times []int64 // nanoseconds
	// Sent is how many of them went out. Others the kernel tried, but had no
	// hardware address or no route for.
	Sent int
}

// RepeatsOf gives them of each host that made any, by its name. They are read
// from the packets, and, where it was observed, from what the kernel says of
// its retransmissions. Where the packets were not observed, or not all of them
// are in the record, nothing is known, and ok is false.
func RepeatsOf(r *record.Record) (all []Repeats, ok bool) { return repeatsOf(r, toldOfRepeats(r)) }

// toldOfRepeats tells whether the kernel was heard on its retransmissions.
func toldOfRepeats(r *record.Record) bool {
	return r.Observed("ebpf") && r.Observed("ebpf:tcp_retransmit_skb")
}

// repeatsOf does so with or without what the kernel said.
func repeatsOf(r *record.Record, told bool) (all []Repeats, ok bool) {
	if !r.Observed("wire") || r.LeftOut > 0 || r.Fault.Kind == "" {
		return nil, false
	}
	var streams record.Streams
	first := map[string]int64{}
	hosts := map[string]*attempts{}
	of := func(host string) *attempts {
		if hosts[host] == nil {
			hosts[host] = &attempts{}
		}
		return hosts[host]
	}
	for i := range r.Events {
		e := &r.Events[i]
		part := streams.Classify(e)
		if e.Time < r.Fault.Time {
			continue
		}
		switch {
		case told && e.TCP != nil && (e.Kind == record.KindRetransmit || e.Kind == record.KindTLP):
			of(e.Host).told(e.Time)
		case e.Kind != record.KindOut:
		case part == record.Fresh:
			if _, begun := first[e.Host]; !begun {
				first[e.Host] = e.Time
			}
		case part == record.SentAgain:
			of(e.Host).seen(e.Time)
		case part == record.Probe: // of which the kernel says nothing
			a := of(e.Host)
			a.times, a.sent = append(a.times, e.Time), a.sent+1
		}
	}
	for host, a := range hosts {
		slices.Sort(a.times)
		x := Repeats{Host: host, From: "the fault", Sent: a.sent}
		zero := r.Fault.Time
		if t, begun := first[host]; begun && t <= a.times[0] {
			x.From, zero = "the first segment after the fault", t
		}
		for _, t := range a.times {
			x.Times = append(x.Times, t-zero)
		}
		all = append(all, x)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Host < all[j].Host })
	return all, true
}

// attempts are those of a host, each once, whether its packet was seen, the
// kernel told of it, or both.
type attempts struct {
	times []int64
	sent  int
	open  []int64 // of times, those that the kernel told of and no packet was seen of
	alone []int64 // those whose packet was seen, but which it has not told of
}

// telling is how long after the packet the kernel tells of it.
const telling = int64(time.Millisecond)

func (a *attempts) told(at int64) {
	if n := len(a.alone); n > 0 && at-a.alone[n-1] < telling {
		a.alone = a.alone[:n-1]
		return
	}
	a.times, a.open = append(a.times, at), append(a.open, at)
}

// seen counts a packet. One that had to wait, for an address to be resolved,
// was told of long before.
func (a *attempts) seen(at int64) {
	a.sent++
	if len(a.open) > 0 {
		a.open = a.open[1:]
		return
	}
	a.times, a.alone = append(a.times, at), append(a.alone, at)
}
