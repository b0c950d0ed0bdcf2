package lab

import (
	"context"
	"sync"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// A timeline gathers the events of a run as the observers tell of them, and
// lets the steps wait for them.
type timeline struct {
	mu     sync.Mutex
	events []record.Event
	grown  chan struct{} // closed at the next event; nil if nobody waits
}

// add is the observers' sink.
func (t *timeline) add(e record.Event) {
	t.mu.Lock()
	t.events = append(t.events, e)
	t.mu.Unlock()
	t.poke()
}

// poke lets those who wait look again, for a reason that is no event.
func (t *timeline) poke() {
	t.mu.Lock()
	grown := t.grown
	t.grown = nil
	t.mu.Unlock()
	if grown != nil {
		close(grown)
	}
}

// all is what is known so far, in the order in which it became known. The
// slice must not be written to.
func (t *timeline) all() []record.Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.events[:len(t.events):len(t.events)]
}

// await calls look with the events so far, and again with each growth, until
// it returns true. seen is how many of the events an earlier call had.
func (t *timeline) await(ctx context.Context, look func(events []record.Event, seen int) bool) error {
	seen := 0
	for {
		t.mu.Lock()
		events := t.events[:len(t.events):len(t.events)]
		if t.grown == nil {
			t.grown = make(chan struct{})
		}
		grown := t.grown
		t.mu.Unlock()
		if look(events, seen) {
			return nil
		}
		seen = len(events)
		select {
		case <-grown:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
