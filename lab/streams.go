package lab

import "github.com/seed-6fefc909/tcplab/lab/record"

// A streamPart is what a segment is of its sender's stream.
type streamPart int

const (
	notOfStream streamPart = iota // no octets, or no TCP
	fresh                         // octets that were not sent before
	sentAgain                     // octets that were
	probe                         // none, at a place before what was acknowledged: a keepalive or zero window probe (tcp_xmit_probe_skb)
)

// streams know how far each stream of a run was sent, as each host saw it. The
// zero value knows of none.
type streams struct {
	ends map[stream]uint32
}

type stream struct {
	host, kind, src, dst string
	boot                 int
}

// classify tells what a packet is. It is to be given all of a host's packets,
// in their order.
func (s *streams) classify(ev *record.Event) streamPart {
	p := ev.Packet
	if ev.Source != record.Wire || p == nil || p.Proto != "tcp" || p.Flags&record.FlagRST != 0 {
		return notOfStream
	}
	if s.ends == nil {
		s.ends = map[stream]uint32{}
	}
	key := stream{ev.Host, ev.Kind, p.Src, p.Dst, ev.Boot}
	end := p.Seq + uint32(p.Len)
	if p.Flags&(record.FlagSYN|record.FlagFIN) != 0 {
		end++
	}
	last, begun := s.ends[key]
	if !begun || p.Flags&record.FlagSYN != 0 {
		s.ends[key] = end
		if begun && last == end {
			return sentAgain
		}
		return fresh
	}
	switch {
	case int32(end-last) > 0:
		s.ends[key] = end
		return fresh
	case end != p.Seq:
		return sentAgain
	case int32(end-last) < 0 && p.Flags&record.FlagACK != 0:
		return probe
	}
	return notOfStream
}
