package lab

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// A chapter is one experiment of a session, for those who follow.
type chapter struct {
	e    *Experiment
	over chan struct{} // closed at its end
	// For after the end: the record that was made of it, nil if none was, and
	// what comes next, nil if the session was closed.
	finished *record.Record
	next     *chapter

	whole func() *record.Record // all of it, after the end

	mu        sync.Mutex // guards the look that all share, while there are any
	followers int
	at        time.Time
	seen      *record.Record
	until     int64
}

func newChapter(e *Experiment) *chapter {
	c := &chapter{e: e, over: make(chan struct{})}
	c.whole = sync.OnceValue(func() *record.Record {
		if c.finished != nil {
			return c.finished
		}
		r, _ := e.soFar(true)
		return r
	})
	return c
}

// end tells those who follow.
func (c *chapter) end(next *chapter) {
	c.next = next
	close(c.over)
}

// join counts one more who follows, until leave.
func (c *chapter) join() (leave func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.followers++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.followers--; c.followers == 0 {
			c.at, c.seen = time.Time{}, nil
		}
	}
}

// look is Experiment.SoFar, of a moment ago at most.
func (c *chapter) look() (r *record.Record, until int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.at) > followEvery/2 {
		c.seen, c.until = c.e.SoFar()
		c.at = time.Now()
	}
	return c.seen, c.until
}

// lookOn is how long after the last event is looked once more: who is told may
// put off a part of it.
const lookOn = 2500 * time.Millisecond

// follow calls f until the end. While nothing happens it waits for something.
func (c *chapter) follow(ctx context.Context, f func(r *record.Record, until int64)) error {
	defer c.join()()
	sleep := func(d time.Duration, changed <-chan struct{}) (all bool, err error) {
		var timer <-chan time.Time
		if d > 0 {
			timer = time.After(d)
		}
		select {
		case <-timer:
			all = true
		case <-changed:
		case <-c.over:
		case <-ctx.Done():
			err = ctx.Err()
		}
		return all, err
	}
	for lookedOn := false; ; {
		changed := c.e.timeline.changed()
		began := time.Now()
		r, until := c.look()
		if r != nil {
			f(r, until)
		}
		wait := max(followEvery, (followShare-1)*time.Since(began))
		var err error
		switch settled := until-int64(jitter) > c.e.timeline.last(); {
		case r == nil: // it is being judged
			_, err = sleep(0, nil)
		case !settled:
			lookedOn = false
		case !lookedOn:
			lookedOn, err = sleep(lookOn, changed)
		default:
			lookedOn = false
			_, err = sleep(0, changed)
		}
		if err == nil {
			_, err = sleep(wait, nil)
		}
		if err != nil {
			return err
		}
		select {
		case <-c.over:
			return nil
		default:
		}
	}
}

// Follow calls f with what SoFar says again and again, of one experiment after
// the other; at the end of each with all of it, and until the highest number
// that there is. The record's Started tells them apart. It returns when ctx ends
// or the session is closed. f must not write to the record: any number may
// follow, and are given the same. While nothing happens none is called, nor
// between Finish and Renew.
func (s *Session) Follow(ctx context.Context, f func(r *record.Record, until int64)) {
	for c := s.current.Load(); c != nil; c = c.next {
		if c.follow(ctx, f) != nil {
			return
		}
		if r := c.whole(); r != nil {
			f(r, math.MaxInt64)
		}
	}
}
