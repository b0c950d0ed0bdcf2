package ladder

import "github.com/seed-6fefc909/tcplab/lab/record"

// place decides where an event stands, or nil if it is told elsewhere or says
// nothing to a reader.
func (t *telling) place(i int) *Row {
	r, e := t.r, &t.r.Events[i]
	w := &Row{Time: e.Time, Events: []int{i}, Host: e.Host}
	if e.Packet != nil {
		switch {
		case e.Packet.Noise():
			return nil
		case e.Kind == record.KindIn && !t.heardOnly(e):
			return nil // told with its departure
		case e.Packet.Fate == record.FateAnswered:
			w.side(e.Host, "(answered by the "+r.Path+")")
		}
		w.Wire = t.arrow(i)
		return w
	}
	text := Text(r, i)
	switch {
	case text == "", t.errands[i], t.waitsElsewhere(i):
		return nil
	case e.Source == record.TCP && e.Kind == record.KindRSTSent && r.Observed("wire"):
		return nil // told with the packet
	case e.Source == record.Fault:
		w.Across = Clean(text)
		return w
	case isAgain(e) && r.Observed("wire") && !spared(r, e):
		w.Wire = &Arrow{Text: "(not sent)", Right: e.Host == "client"}
	}
	w.side(e.Host, t.which(i, text))
	return w
}

// spared tells whether the segment of an event may have passed without a record
// of it: of a steady exchange before the fault some are only counted.
func spared(r *record.Record, e *record.Event) bool {
	return (r.Spared.Segments > 0 || r.Spared.Rest > 0) && (r.Fault.Kind == "" || e.Time < r.Fault.Time)
}

// heardOnly tells packets that no observed host sent: the router's, the
// switch's, a firewall's.
func (t *telling) heardOnly(e *record.Event) bool {
	if t.sent[arrival{e.Packet.Proto, e.Time}] {
		return false
	}
	if e.Packet.Tells() != "" && t.r.AnswerARP {
		return true
	}
	for _, h := range t.r.Hosts {
		if e.Packet.SrcMAC == h.MAC && h.Name != e.Host {
			return false
		}
	}
	return true
}

// arrow is a packet on its way.
func (t *telling) arrow(i int) *Arrow {
	e, n := &t.r.Events[i], t.numbers[i]
	return &Arrow{
		Packet: e.Packet, Text: Clean(e.Packet.String()), Right: (e.Host == "client") == (e.Kind == record.KindOut), Heard: e.Kind == record.KindIn,
		Port: t.several[i], Seq: n.seq, Ack: n.ack,
	}
}
