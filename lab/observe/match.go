package observe

import (
	"net/netip"
	"slices"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// An End is a host whose wire was observed, with its addresses on the path.
type End struct {
	Host  string
	Addrs []netip.Addr
	// Gaps are when its taps did not record every segment.
	Gaps []Gap
}

// maxTransit is how long a frame may be under way. Frames with the same bytes
// that lie further apart are different ones: the kernel repeats an ARP request
// or a lost SYN+ACK after 1 s, and a scenario delays by less than this.
const maxTransit = int64(5 * time.Second)

// MatchEnds decides what became of every packet that a host sent, by looking
// for the same frame among what the others received, and sets Fate and Transit
// of the "out" events. events are in the order of their times; other events
// than packets may be among them.
//
// A packet to an address of an end is expected there and is lost if it did not
// arrive. One to any other address (a router, a group) is looked for at all
// ends, and if none received it nothing is said of it.
//
// Of a segment that may have arrived in a gap of the end that it was for
// nothing is said either, unless it opens, closes or breaks the connection,
// which is recorded in gaps too.
//
// Each "in" confirms one "out" of a sender. Retransmissions differ in the IPv4
// identification or TCP's time stamp, but ARP requests, resets and repeated
// SYN+ACKs can be equal to the bit. Then the order decides: from the last "in"
// backwards, each takes the latest "out" that is left before it. So frames
// under way together keep their order, and of a lost one and its repetition it
// is the repetition that arrived.
func MatchEnds(events []record.Event, ends ...End) {
	observed := make(map[string]bool)
	hostsOf := make(map[netip.Addr][]string) // two, where one took the other's address over
	for _, e := range ends {
		observed[e.Host] = true
		for _, a := range e.Addrs {
			if a.IsValid() {
				hostsOf[a] = append(hostsOf[a], e.Host)
			}
		}
	}

	type sent struct {
		frame uint64
		host  string
	}
	outs := make(map[sent][]int) // indices of "out" events, in order
	for i, e := range events {
		if e.Source == record.Wire && e.Kind == record.KindOut && e.Packet != nil && observed[e.Host] {
			k := sent{e.Packet.Frame, e.Host}
			outs[k] = append(outs[k], i)
		}
	}
	// Each pair of a sender and a receiver consumes its own copy of the list:
	// a broadcast arrives at several ends.
	type pair struct {
		sent
		to string
	}
	left := make(map[pair][]int)
	for i := len(events) - 1; i >= 0; i-- {
		in := events[i]
		if in.Source != record.Wire || in.Kind != record.KindIn || in.Packet == nil || !observed[in.Host] {
			continue
		}
		for _, from := range ends {
			if from.Host == in.Host {
				continue
			}
			k := pair{sent{in.Packet.Frame, from.Host}, in.Host}
			list, seen := left[k]
			if !seen {
				list = outs[k.sent]
			}
			for len(list) > 0 && events[list[len(list)-1]].Time > in.Time {
				list = list[:len(list)-1]
			}
			if n := len(list); n > 0 && in.Time-events[list[n-1]].Time <= maxTransit {
				arrive(&events[list[n-1]], in, hostsOf)
				list = list[:n-1]
			}
			left[k] = list
		}
	}

	for _, list := range outs {
		for _, i := range list {
			p := events[i].Packet
			to := hostsOf[destination(p)]
			if p.Fate == "" && len(to) > 0 && !slices.Contains(to, events[i].Host) && !inGap(&events[i], to, ends) {
				p.Fate = record.FateLost
			}
		}
	}
}

// inGap tells whether a segment could be spared where it was to arrive.
func inGap(out *record.Event, to []string, ends []End) bool {
	p := out.Packet
	if p.Proto != "tcp" || p.Flags&(record.FlagSYN|record.FlagFIN|record.FlagRST) != 0 {
		return false
	}
	for _, e := range ends {
		for _, g := range e.Gaps {
			if slices.Contains(to, e.Host) && g != (Gap{}) && out.Time >= g.From-maxTransit && out.Time <= g.To {
				return true
			}
		}
	}
	return false
}

// arrive notes that out was received as in, unless out was for another end or
// reached an end sooner.
func arrive(out *record.Event, in record.Event, hostsOf map[netip.Addr][]string) {
	if to := hostsOf[destination(out.Packet)]; len(to) > 0 && !slices.Contains(to, in.Host) {
		return
	}
	transit := in.Time - out.Time
	if out.Packet.Fate == record.FateArrived && out.Packet.Transit <= transit {
		return
	}
	out.Packet.Fate, out.Packet.Transit = record.FateArrived, transit
}

// destination is the address that a packet is for, or none. A neighbour
// solicitation goes to a group, and is for the one that it asks for; an
// announcement of one's own address (RFC 5227) is for all.
func destination(p *record.Packet) netip.Addr {
	if p.Proto == "arp" && p.ARP == record.ARPRequest && p.Src == p.Dst {
		return netip.Addr{}
	}
	if p.Proto == "icmpv6" && p.ICMPType == record.NeighbourSolicitation && p.Target != "" {
		a, _ := netip.ParseAddr(p.Target)
		return a
	}
	if ap, err := netip.ParseAddrPort(p.Dst); err == nil {
		return ap.Addr()
	}
	a, _ := netip.ParseAddr(p.Dst)
	return a
}
