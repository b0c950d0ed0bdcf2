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

// A while after the last event who follows is called no more, until there is
// another.
func TestFollowQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &Experiment{scenario: &scenarios.Scenario{}, known: &known{started: true}}
		c := newChapter(e)
		ctx, cancel := context.WithCancel(t.Context())
		defer func() { cancel(); synctest.Wait() }()
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
			e.timeline.add(record.Event{Time: n, Source: record.Step, Kind: "mark"})
		}
	})
}
