package page

import (
	"fmt"
	"html/template"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// A due is one thing that is predicted, or seen, or both; times count from the
// schedule's origin.
type due struct {
	kind      string
	predicted bool
	low, high int64
	seen      bool
	at        int64
	onWire    bool
}

// against says how a measurement stands to its window.
func (d due) against() string {
	switch {
	case !d.seen:
		return "not seen"
	case !d.predicted:
		return "not predicted"
	case d.at < d.low:
		return record.Span(d.low-d.at) + " before the window"
	case d.at > d.high:
		return record.Span(d.at-d.high) + " after the window"
	}
	return "in the window"
}

// endOf is the prediction's own window, with when the client was told.
func endOf(r *record.Record, origin int64) (due, bool) {
	p, d := &r.Prediction, &r.Detection
	end := due{predicted: p.Error != "", low: p.Min, high: p.Max, seen: d.Error != "", at: d.Time - origin}
	return end, end.predicted || end.seen
}

// compared puts what was predicted beside what was seen, each kind in its
// order; later is how many were due only after the run's end.
func compared(r *record.Record, origin int64) (list []due, later int) {
	seen := sentOf(r, origin)
	taken := make([]bool, len(seen))
	for _, s := range r.Prediction.Sends {
		d := due{kind: s.Kind, predicted: true, low: s.Min, high: s.Max}
		for i, x := range seen {
			if !taken[i] && x.kind == s.Kind {
				taken[i] = true
				d.seen, d.at, d.onWire = true, x.at, x.onWire
				break
			}
		}
		if !d.seen && origin+s.Min > r.Duration {
			later++
			continue
		}
		list = append(list, d)
	}
	for i, x := range seen {
		if !taken[i] {
			list = append(list, x)
		}
	}
	return list, later
}

// sentOf is what was sent once more, from origin on and until the client was
// told: segments as the wire saw them, named by the kernel where it said so,
// and what the kernel sent that never got out.
func sentOf(r *record.Record, origin int64) []due {
	local, remote := connection(r)
	end := r.Duration
	if r.Detection.Error != "" {
		end = r.Detection.Time
	}
	kind := r.Prediction.Sends[len(r.Prediction.Sends)-1].Kind
	host := "client"
	if kind == "synack" {
		host, local, remote = "server", remote, local
	}
	var streams record.Streams
	var seen []due
	for i := range r.Events {
		e := &r.Events[i]
		part := streams.Classify(e)
		if e.Host != host || e.Time < origin || e.Time > end {
			continue
		}
		switch {
		case e.Packet != nil && e.Kind == record.KindOut && e.Packet.Src == local && e.Packet.Dst == remote:
			d := due{kind: "retransmit", seen: true, at: e.Time - origin, onWire: true}
			switch {
			case part == record.Probe && (kind == "keepalive" || kind == "probe"):
				d.kind = kind
			case part != record.SentAgain:
				continue
			case e.Packet.Flags&record.FlagSYN != 0:
				d.kind = kind
			}
			seen = append(seen, d)
		case e.TCP != nil && (e.Kind == record.KindRetransmit || e.Kind == record.KindTLP) && (e.TCP.Local == local || e.TCP.Local == ""):
			// Told just after the segment left.
			if n := len(seen) - 1; n >= 0 && seen[n].onWire && e.Time-origin-seen[n].at < 5e6 {
				if e.Kind == record.KindTLP {
					seen[n].kind = "tlp"
				}
			} else {
				seen = append(seen, due{kind: e.Kind, seen: true, at: e.Time - origin})
			}
		}
	}
	return seen
}

// schedule draws the windows as bars, and what was seen as ticks below.
func schedule(list []due) template.HTML {
	c := &canvas{width: 760, height: 118}
	x := axis{from: 82, to: 742}
	for _, d := range list {
		if d.predicted {
			x.high = max(x.high, inSeconds(d.high))
		}
		if d.seen {
			x.high = max(x.high, inSeconds(d.at))
		}
	}
	if x.high == 0 {
		return ""
	}
	for _, t := range x.ticks(8) {
		c.line("grid", x.at(t), 10, x.at(t), 88)
		c.tick(x.at(t), 106, spell(t)+" s")
	}
	c.text("label end", 74, 32, "predicted")
	c.text("label end", 74, 68, "measured")
	c.line("base", x.from, 40, x.to, 40)
	c.line("base", x.from, 76, x.to, 76)
	for i, d := range list {
		class := "predicted"
		if i == len(list)-1 && d.kind == "" {
			class = "predicted last"
		}
		if d.predicted {
			left := x.at(inSeconds(d.low))
			c.rect(class, left, 18, max(3, x.at(inSeconds(d.high))-left), 22)
		}
		if d.seen {
			at := x.at(inSeconds(d.at))
			c.line("measured", at, 54, at, 76)
			if d.kind == "" {
				c.circle("measured", at, 54, 4)
			}
		}
	}
	return c.drawn("chart", fmt.Sprintf("%d predicted or measured sendings on an axis of %s seconds; the table has the numbers", len(list), spell(x.high)))
}
