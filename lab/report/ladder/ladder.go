// Package ladder makes the timeline of a record: rows in the order of time, of
// what the client's side did, what passed on the wire, and what the server's
// side did. It says what there is to be told; how it looks is for others.
package ladder

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// A Row is one line of the timeline: of one event, or of several that belong
// together. It has either cells (Client, Wire, Server), or Across, Left or
// Sockets.
type Row struct {
	// Time is that of the event, of Left that of the last of its events.
	Time int64
	// Events are those that it tells, by their indices in the record; the
	// first is what it is about.
	Events []int

	Client, Server string
	Wire           *Arrow
	// Again is what the kernel said of the segment that was sent again, on
	// the side of the host that sent it.
	Again *Again

	// Across is what stands across all columns: a fault.
	Across string
	// Left says what was left out here.
	Left *Left
	// Sockets are the rows of a host's socket table, which Host names.
	Sockets []record.SocketRow
	Table   bool // it is a socket table, which may have no rows
	Host    string
}

// An Arrow is a packet on its way. Packet is nil where a segment was to be
// sent and nothing was seen on the wire.
type Arrow struct {
	Packet *record.Packet
	Text   string // what it is, in a few words
	Port   uint16 // the client's, while there are several connections, else 0
	Right  bool   // from the client's side to the server's
	Heard  bool   // it was not seen to leave a host, only to arrive
	// Seq and Ack count from the first octets of their streams, as far as
	// those are known: of a SYN it is 0.
	Seq, Ack uint32
}

// Label is what it is, and of which connection.
func (a *Arrow) Label() string {
	if a.Port != 0 {
		return fmt.Sprintf(":%d %s", a.Port, a.Text)
	}
	return a.Text
}

// Again is a segment that was sent once more, or a probe for its loss.
type Again struct {
	Text string // "retransmit 2"
	Next int64  // how long until the next one, in nanoseconds; 0 if none came
	// End: what came then was no next one, but the connection's end.
	End bool
}

// String says it, and what came next.
func (a *Again) String() string {
	switch {
	case a.Next < int64(10*time.Millisecond): // 0.00 s would say nothing
		return a.Text
	case a.End:
		return fmt.Sprintf("%s, end after %.2f s", a.Text, time.Duration(a.Next).Seconds())
	}
	return fmt.Sprintf("%s, next after %.2f s", a.Text, time.Duration(a.Next).Seconds())
}

// Left counts what is not told one by one: Segments of a stream in a row
// (Streaming), Segments and Calls of an exchange, and Rows besides.
type Left struct {
	// From is the time of the first event that was left out, Time of its
	// row that of the last.
	From            int64
	Segments, Calls int
	Rows            int
	Streaming       bool
}

// String says what was left out.
func (l *Left) String() string {
	if l.Streaming {
		return Count(l.Segments, "more segment")
	}
	var what []string
	for _, of := range []struct {
		n    int
		name string
	}{{l.Rows, "line"}, {l.Segments, "segment"}, {l.Calls, "call"}} {
		if of.n > 0 {
			what = append(what, Count(of.n, of.name))
		}
	}
	return strings.Join(what, ", ") + " of the same kinds left out here"
}

// A telling is a record that is told event by event.
type telling struct {
	r       *record.Record
	from    int64            // only events after it are told,
	to      int64            // and none after that
	sent    map[arrival]bool // packets that an observed host sent
	numbers map[int]relative // by index of the event
	sockets map[process]int  // where each process first uses one, by index
	errands map[int]bool     // the events that only tell of an errand's end
	several map[int]uint16   // the client's port while there are several connections, by index
}

// An arrival is a packet at its receiver.
type arrival struct {
	proto string
	time  int64
}

// Rows gives the timeline of a record. If the record grows, as one that is made
// while its run goes on, the rows stay as they were but for what comes later
// to be known: how long it was to the next retransmission, and that something
// is one of many of its kind, of which not all are told.
func Rows(r *record.Record) []Row { return Between(r, math.MinInt64, math.MaxInt64) }

// Settled is by how much a record must go on after the rows that are made of
// it, for these to tell all that they tell together.
const Settled = 2 * time.Millisecond

// Between gives the rows of the events after from, up to to, of which those of a
// long stretch are left out as if it began and ended there. What a row says
// rests on the whole record: pieces that follow on one another tell everything
// once.
func Between(r *record.Record, from, to int64) []Row {
	t := telling{r: r, from: from, to: to, sent: map[arrival]bool{}, numbers: numbers(r.Events), sockets: sockets(r.Events), several: several(r.Events)}
	t.errands = errands(r.Events, t.sockets)
	for _, e := range r.Events {
		if e.Packet != nil && e.Kind == record.KindOut && e.Packet.Fate == record.FateArrived {
			t.sent[arrival{e.Packet.Proto, e.Time + e.Packet.Transit}] = true
		}
	}
	return bound(t.repeats(t.rows()))
}

func (t *telling) rows() []Row {
	var rows []Row
	events := t.r.Events
	told := map[int]bool{}
	var streaming *Left // the segments in a row, with nothing else between
	segments := 0
	steady := t.steady()
	var streams record.Streams
	for i := range events {
		e := &events[i]
		part := streams.Classify(e)
		if !t.tells(e) {
			if j := toldBy(events, i); j >= 0 && e.Time <= t.from {
				told[j] = true
			}
			continue
		}
		if x := steady[i]; x != nil {
			streaming, segments = nil, 0
			if x.last == i {
				rows = append(rows, Row{Time: e.Time, Left: &x.Left})
			}
			continue
		}
		if e.Kind == record.KindSnapshot {
			streaming, segments = nil, 0
			rows = append(rows, Row{Time: e.Time, Events: []int{i}, Table: true, Sockets: e.Sockets, Host: e.Host})
			continue
		}
		if told[i] {
			continue
		}
		row := t.place(i)
		if row == nil {
			continue
		}
		again := i
		if j := toldBy(events, i); j >= 0 {
			// The kernel tells of it just after the packet left: one row
			// for both.
			told[j] = true
			again = j
			row.Events = append(row.Events, j)
		}
		switch {
		case isAgain(&events[again]):
			row.Again = sentAgain(events, again)
			row.side(e.Host, row.Again.String())
		case part == record.SentAgain && e.Kind == record.KindOut && t.r.Observed("ebpf") && events[len(events)-1].Time-e.Time >= int64(time.Millisecond):
			again = -1 // under load what the kernel says of it is missed at times
			row.side(e.Host, "sent again")
		}
		if again != i || !isBulk(e) {
			streaming, segments = nil, 0
			rows = append(rows, *row)
			continue
		}
		switch segments++; {
		case segments <= toldInARow:
			rows = append(rows, *row)
		case streaming == nil:
			streaming = &Left{From: e.Time, Streaming: true}
			rows = append(rows, Row{Left: streaming})
			fallthrough
		default:
			streaming.Segments++
			rows[len(rows)-1].Time = e.Time
		}
	}
	return rows
}

// tells tells whether an event is among those that are to be told.
func (t *telling) tells(e *record.Event) bool { return e.Time > t.from && e.Time <= t.to }

// side puts a text on a host's side.
func (w *Row) side(host, text string) {
	w.Host, text = host, Clean(text)
	switch host {
	case "client":
		w.Client = text
	case "standby":
		w.Server = "standby: " + text
	default:
		w.Server = text
	}
}
