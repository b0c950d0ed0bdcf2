package page

import (
	"fmt"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// Places are where the timeline tells events.
type places struct {
	events []int         // those that rows tell, in the order of the rows
	told   map[int]bool  // the same
	from   map[int64]int // by when a packet arrived: the event of its departure, which tells both
	led    map[int]bool  // those that the page leads to
}

func placesOf(r *record.Record, rows []ladder.Row) places {
	p := places{told: map[int]bool{}, from: map[int64]int{}, led: map[int]bool{}}
	for i := range rows {
		for _, at := range rows[i].Events {
			p.events = append(p.events, at)
			p.told[at] = true
			if e := &r.Events[at]; e.Packet != nil && e.Packet.Fate == record.FateArrived {
				p.from[e.Time+e.Packet.Transit] = at
			}
		}
	}
	return p
}

// A jump leads to the row of the timeline that tells what happened at a time,
// or to the last before it; Anchor is empty where there is none.
type jump struct{ Anchor, Text string }

// to makes a jump.
func (p places) to(r *record.Record, at int64) jump {
	j := jump{Text: since(r, at) + " s"}
	target := -1
	for _, i := range p.events {
		switch t := r.Events[i].Time; {
		case t > at, target >= 0 && t <= r.Events[target].Time:
			continue
		}
		target = i
	}
	if from, ok := p.from[at]; ok && (target < 0 || r.Events[target].Time != at) {
		target = from
	}
	if target >= 0 {
		p.led[target] = true
		j.Anchor = anchor(target)
	}
	return j
}

// anchor names the place on the page that tells an event.
func anchor(i int) string { return fmt.Sprintf("e%d", i) }
