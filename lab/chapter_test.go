package lab

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

// testChapter is one in which nothing has happened, to be followed until the end of
// the test's bubble.
func testChapter(t *testing.T) (*chapter, context.Context) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() { cancel(); synctest.Wait() })
	return newChapter(&Experiment{scenario: &scenarios.Scenario{}, known: &known{started: true}}), ctx
}

// What is told is shared, and kept for as long as somebody follows.
func TestFollowShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ctx := testChapter(t)
		c.e.timeline.add(record.Event{Source: record.Step, Kind: "mark"})
		var leave [2]context.CancelFunc
		var told [2]*record.Record
		for i := range leave {
			ctx, cancel := context.WithCancel(ctx)
			leave[i] = cancel
			go c.follow(ctx, func(r *record.Record, _ int64) { told[i] = r })
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if told[0] == nil || told[0] != told[1] || c.seen != told[0] {
			t.Errorf("told are %p and %p, kept is %p", told[0], told[1], c.seen)
		}
		leave[0]()
		synctest.Wait()
		if c.seen == nil {
			t.Error("nothing is kept while one follows")
		}
		leave[1]()
		synctest.Wait()
		if c.seen != nil {
			t.Errorf("%d events are kept though nobody follows", len(c.seen.Events))
		}
	})
}

// A while after the last event who follows is called no more, until there is
// another.
func TestFollowQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ctx := testChapter(t)
		var calls, told atomic.Int64
		go c.follow(ctx, func(r *record.Record, _ int64) {
			calls.Add(1)
			told.Store(int64(len(r.Events)))
		})
		for n := range int64(3) {
			time.Sleep(2 * lookOn)
			synctest.Wait()
			before := calls.Load()
			if before == 0 || told.Load() != n {
				t.Errorf("%d events are told of in %d calls, want %d", told.Load(), before, n)
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			if more := calls.Load() - before; more > 0 {
				t.Errorf("%d calls while nothing happened", more)
			}
			c.e.timeline.add(record.Event{Time: n, Source: record.Step, Kind: "mark"})
		}
	})
}

// What says nothing new, or comes late, is no reason not to look on.
func TestFollowLooksOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ctx := testChapter(t)
		var last atomic.Int64
		began := time.Now()
		go c.follow(ctx, func(*record.Record, int64) { last.Store(int64(time.Since(began))) })
		time.Sleep(time.Second)
		c.e.timeline.poke()
		time.Sleep(time.Hour)
		synctest.Wait()
		if at := time.Duration(last.Load()); at < time.Second+lookOn {
			t.Errorf("looked last after %v, want %v after what came at 1 s", at, lookOn)
		}
	})
}
