package page

import (
	"fmt"
	"html/template"
	"slices"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
)

// What was predicted to be sent, beside what was.
type measured struct {
	// From says what both count from, Notes what else is to be known.
	From  string
	Notes []string
	Ends  bool // with an error
	Rows  []measuredRow
	Chart template.HTML
}

type measuredRow struct {
	Kind      string
	Predicted string // "" if it was not
	Measured  string // "" if it was not seen
	Against   string // how the two stand to each other
	Pause     string // since what was sent before
}

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

// kinds are what is sent, in words.
var kinds = map[string]string{
	"tlp": "tail loss probe", "retransmit": "retransmission", "keepalive": "keepalive probe",
	"syn": "SYN again", "synack": "SYN+ACK again", "probe": "zero window probe",
}

func measuredOf(r *record.Record) *measured {
	if len(r.Prediction.Sends) == 0 || r.Fault.Kind == "" {
		return nil
	}
	from, origin, ok := originOf(r)
	if !ok {
		return &measured{Notes: []string{"When the schedule began was not seen: there is nothing to compare."}}
	}
	m := &measured{From: from}
	list, later := compared(r, origin)
	if !r.Observed("wire") || !r.Observed("ebpf") {
		m.Notes = append(m.Notes, "An observer was missing: what is not seen here may have been sent all the same.")
	}
	if later > 0 {
		m.Notes = append(m.Notes, thousands(later)+" more would have been due after the end of the run.")
	}
	if slices.ContainsFunc(list, func(d due) bool { return d.predicted && !d.seen }) {
		m.Notes = append(m.Notes, "What was predicted and not seen need not have come: the list is that of the outcome with the most of them.")
	}
	var before int64
	for _, d := range list {
		row := measuredRow{Kind: kinds[d.kind]}
		if d.predicted {
			row.Predicted = seconds(d.low) + " to " + seconds(d.high)
		}
		if d.seen {
			row.Measured, row.Pause = seconds(d.at), seconds(d.at-before)
			before = d.at
		}
		row.Against = d.against()
		m.Rows = append(m.Rows, row)
	}
	if end, ok := endOf(r, origin); ok {
		row := measuredRow{Kind: "the error", Against: end.against()}
		if t := r.Prediction.Tolerance; end.predicted && end.seen && end.at > end.high && end.at <= end.high+t {
			row.Against += ", within its tolerance of " + record.Span(t)
		}
		if end.predicted {
			row.Kind, row.Predicted = report.Possible(&r.Prediction)+" returned", seconds(end.low)+" to "+seconds(end.high)
		}
		if end.seen {
			row.Measured, row.Pause = seconds(end.at), seconds(end.at-before)
		}
		m.Rows, m.Ends = append(m.Rows, row), true
		list = append(list, end)
	}
	m.Chart = schedule(list)
	return m
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

// originOf is what the schedule counts from: its name, and its time.
func originOf(r *record.Record) (name string, at int64, ok bool) {
	p, d := &r.Prediction, &r.Detection
	local, remote := connection(r)
	first := func(test func(*record.Event) bool) (int64, bool) {
		for i := range r.Events {
			if test(&r.Events[i]) {
				return r.Events[i].Time, true
			}
		}
		return 0, false
	}
	last := func(test func(*record.Event) bool) (at int64, ok bool) {
		for i := range r.Events {
			if test(&r.Events[i]) {
				at, ok = r.Events[i].Time, true
			}
		}
		return at, ok
	}
	heard := func(e *record.Event) bool {
		return e.Host == "client" && e.Kind == record.KindIn && e.Packet != nil && e.Packet.Src == remote && e.Packet.Dst == local
	}
	switch {
	case p.Sends[0].Kind == "synack":
		at, ok = first(func(e *record.Event) bool {
			return e.Host == "server" && e.Kind == record.KindIn && e.Packet != nil && e.Packet.Flags&record.FlagSYN != 0
		})
		return "the SYN that the server received", at, ok
	case p.Model == "zero-window-answered":
		probe, found := first(func(e *record.Event) bool {
			return e.Host == "client" && e.Kind == record.KindOut && e.Packet != nil && e.Packet.Probe && e.Time > r.Fault.Time
		})
		at, ok = last(func(e *record.Event) bool { return heard(e) && e.Time < probe })
		return "the last segment received before the first probe, when nothing was in flight any more", at, ok && found
	case p.From == "write" && d.AfterWrite >= 0 && d.Error != "":
		return "the client's first write after the fault", d.Time - d.AfterWrite, true
	case p.From == "write":
		at, ok = first(func(e *record.Event) bool {
			return e.Host == "client" && e.Time > r.Fault.Time && e.Kind == record.KindOut && e.Packet != nil && e.Packet.Src == local && e.Packet.Len > 0
		})
		return "the first segment with data that the client sent after the fault", at, ok
	case p.From == "heard" && d.AfterHeard >= 0 && d.Error != "":
		return "the last segment received before the fault", d.Time - d.AfterHeard, true
	case p.From == "heard":
		at, ok = last(func(e *record.Event) bool { return heard(e) && e.Time <= r.Fault.Time })
		return "the last segment received before the fault", at, ok
	case p.From == "call" && d.Error != "":
		return "the call, " + plain(d.Syscall) + "()", d.Time - d.Blocked, true
	case p.From == "call":
		at, ok = first(func(e *record.Event) bool {
			return e.Host == "client" && e.Kind == record.KindOut && e.Packet != nil && e.Packet.Flags == record.FlagSYN
		})
		return "the first SYN", at, ok
	}
	return "the fault", r.Fault.Time, true
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
