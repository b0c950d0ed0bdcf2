package lab

import "github.com/seed-6fefc909/tcplab/lab/record"

// A passage is a segment's way to where it arrived.
type passage struct {
	src, dst string
	seq      uint32
	arrived  int64
}

// departed leaves those arrivals out whose segment had left its sender before
// the fault: with a delay it was still under way, and says nothing of what
// came after the fault. An arrival belongs to the departure that Packet.Transit
// leads from.
func (v *view) departed(arrivals []*record.Event) []*record.Event {
	early := map[passage]bool{}
	for _, e := range v.r.Events {
		if p := e.Packet; p != nil && e.Kind == record.KindOut && p.Fate == record.FateArrived && !v.after(&e) {
			early[passage{p.Src, p.Dst, p.Seq, e.Time + p.Transit}] = true
		}
	}
	return keep(arrivals, func(e *record.Event) bool {
		return !early[passage{e.Packet.Src, e.Packet.Dst, e.Packet.Seq, e.Time}]
	})
}
