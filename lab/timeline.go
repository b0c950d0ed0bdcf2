package lab

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// chunkSize is how many events lie together: one slice that grows would be
// copied as a whole, again and again, while the observers wait.
const chunkSize = 4096

// A timeline gathers the events of a run as the observers tell of them, and
// lets the steps wait for them.
type timeline struct {
	// keep is how many of the last events are kept at least, 0 for all; a
	// chunk more at most. It is set before there is any.
	keep int

	mu     sync.Mutex
	chunks [][]record.Event
	gone   int           // chunks that were dropped, before those
	names  processNames  // of the processes that run, from the dropped ones
	latest int64         // the time of the latest event
	seen   int           // events that observers told of
	lost   uint64        // those that there was no room for
	grown  chan struct{} // closed at the next event; nil if nobody waits
}

// maxEvents bounds what is kept of the observers' events, where all are: some
// 300 MB. A run that has more is no evidence.
const maxEvents = 1 << 19

// observe is the observers' sink.
func (t *timeline) observe(e record.Event) {
	t.mu.Lock()
	full := t.keep == 0 && t.seen >= maxEvents
	if full {
		t.lost++
	} else {
		t.seen++
	}
	t.mu.Unlock()
	if !full {
		t.add(e)
	}
}

// observed is how many events observers told of, and how many of them there is
// room for; 0 if there always is.
func (t *timeline) observed() (seen, room int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.keep == 0 {
		room = maxEvents
	}
	return t.seen, room
}

// dropped is how many events there was no room for.
func (t *timeline) dropped() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lost
}

func (t *timeline) add(e record.Event) {
	t.mu.Lock()
	last := len(t.chunks) - 1
	if last < 0 || len(t.chunks[last]) == chunkSize {
		t.chunks = append(t.chunks, make([]record.Event, 0, chunkSize))
		last++
	}
	t.chunks[last] = append(t.chunks[last], e)
	t.latest = max(t.latest, e.Time)
	if t.keep > 0 && t.kept()-chunkSize >= t.keep {
		if t.names == nil {
			t.names = processNames{}
		}
		for i := range t.chunks[0] {
			t.names.learn(&t.chunks[0][i])
			t.names.forget(&t.chunks[0][i])
		}
		t.chunks = slices.Delete(t.chunks, 0, 1)
		t.gone++
	}
	t.wake()
	t.mu.Unlock()
}

// kept is how many events there are. It needs mu.
func (t *timeline) kept() int {
	n := len(t.chunks)
	if n == 0 {
		return 0
	}
	return (n-1)*chunkSize + len(t.chunks[n-1])
}

// last is the time of the latest event.
func (t *timeline) last() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.latest
}

// oldNames are those of the processes that began before what is kept. They are the
// caller's.
func (t *timeline) oldNames() processNames {
	t.mu.Lock()
	defer t.mu.Unlock()
	names := processNames{}
	maps.Copy(names, t.names)
	return names
}

// forgotten is how many of the first events were not kept.
func (t *timeline) forgotten() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.gone * chunkSize
}

// poke lets those who wait look again, for a reason that is no event.
func (t *timeline) poke() {
	t.mu.Lock()
	t.wake()
	t.mu.Unlock()
}

// changed is closed at the next event or poke.
func (t *timeline) changed() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.waiting()
}

// waiting needs mu.
func (t *timeline) waiting() <-chan struct{} {
	if t.grown == nil {
		t.grown = make(chan struct{})
	}
	return t.grown
}

// wake needs mu.
func (t *timeline) wake() {
	if t.grown != nil {
		close(t.grown)
		t.grown = nil
	}
}

// all is a copy of what is known so far, in the order in which it became known.
func (t *timeline) all() []record.Event { return slices.Concat(t.pieces()...) }

// pieces are the events so far, in the order in which they became known. They must
// not be written to.
func (t *timeline) pieces() [][]record.Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.rest(&cursor{})
}

// copied is a copy of those events so far that want is true for, in the order
// in which they became known, with what tidying changes of them.
func (t *timeline) copied(want func(*record.Event) bool) []record.Event {
	t.mu.Lock()
	n := t.kept()
	t.mu.Unlock()
	events := make([]record.Event, 0, n)
	t.each(func(ev *record.Event) {
		if want(ev) {
			events = append(events, detached(*ev))
		}
	})
	return events
}

// each gives f the events so far, in the order in which they became known. They
// must not be written to.
func (t *timeline) each(f func(*record.Event)) {
	for _, piece := range t.pieces() {
		for i := range piece {
			f(&piece[i])
		}
	}
}

// detached is the event with a packet and a call of its own.
func detached(ev record.Event) record.Event {
	if ev.Packet != nil {
		p := *ev.Packet
		ev.Packet = &p
	}
	if ev.Syscall != nil {
		c := *ev.Syscall
		c.Ready = slices.Clone(c.Ready)
		ev.Syscall = &c
	}
	return ev
}

// A cursor is a place in a timeline up to which somebody has looked: a chunk, of
// all that there were, and an event of it.
type cursor struct{ chunk, at int }

// rest returns the events after the cursor, as far as they are kept, which it
// moves to the end, in pieces that must not be written to.
func (t *timeline) rest(c *cursor) [][]record.Event {
	var pieces [][]record.Event
	if c.chunk < t.gone {
		c.chunk, c.at = t.gone, 0
	}
	for ; c.chunk-t.gone < len(t.chunks); c.chunk, c.at = c.chunk+1, 0 {
		events := t.chunks[c.chunk-t.gone]
		if c.at < len(events) {
			pieces = append(pieces, events[c.at:len(events):len(events)])
		}
		if len(events) < chunkSize {
			c.at = len(events)
			break
		}
	}
	return pieces
}

// await gives look the events so far, and then those that come, in pieces,
// until it returns true, or ctx has ended: with all that came until then. It is
// called with no events, too: after a poke. The error is ctx's cause.
func (t *timeline) await(ctx context.Context, look func(events []record.Event) bool) error {
	var c cursor
	for {
		over := ctx.Err() != nil
		t.mu.Lock()
		pieces := t.rest(&c)
		grown := t.waiting()
		t.mu.Unlock()
		if len(pieces) == 0 {
			pieces = [][]record.Event{nil}
		}
		for _, events := range pieces {
			if look(events) {
				return nil
			}
		}
		if over {
			return context.Cause(ctx)
		}
		select {
		case <-grown:
		case <-ctx.Done():
			select {
			case <-grown: // while it was looked
			default:
				return context.Cause(ctx)
			}
		}
	}
}
