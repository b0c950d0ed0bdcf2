package record

// A StreamPart is what a segment is of its sender's stream.
type StreamPart int

// The parts of a stream.
const (
	NotOfStream StreamPart = iota // no octets, or no TCP
	Fresh                         // octets that were not sent before
	SentAgain                     // octets that were
	Probe                         // none, at a place before what was acknowledged: a keepalive or zero window probe (tcp_xmit_probe_skb)
)

// Streams know how far each stream of a run was sent, as each host saw it. The
// zero value knows of none.
type Streams struct {
	ends map[stream]uint32
}

type stream struct {
	host, kind, src, dst string
	boot                 int
}

// Classify tells what a packet is. It is to be given all of a host's packets
// that were recorded, in their order. Where some were not, what comes next is
// ahead of what is known: octets are then taken for fresh ones.
func (s *Streams) Classify(ev *Event) StreamPart {
	p := ev.Packet
	if ev.Source != Wire || p == nil || p.Proto != "tcp" || p.Flags&FlagRST != 0 {
		return NotOfStream
	}
	if s.ends == nil {
		s.ends = map[stream]uint32{}
	}
	key := stream{ev.Host, ev.Kind, p.Src, p.Dst, ev.Boot}
	end := p.Seq + uint32(p.Len)
	if p.Flags&(FlagSYN|FlagFIN) != 0 {
		end++
	}
	last, begun := s.ends[key]
	if !begun || p.Flags&FlagSYN != 0 {
		s.ends[key] = end
		if begun && last == end {
			return SentAgain
		}
		return Fresh
	}
	switch {
	case int32(end-last) > 0:
		s.ends[key] = end
		if end == p.Seq {
			return NotOfStream
		}
		return Fresh
	case end != p.Seq:
		return SentAgain
	case int32(end-last) < 0 && p.Flags&FlagACK != 0:
		return Probe
	}
	return NotOfStream
}
