package lab

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// How often a step looks while nothing happens for an hour, and how late it
// does after that.
func TestPollRests(t *testing.T) {
	for _, virtual := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			e := &Experiment{watch: &watch{virtual: virtual}}
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			defer e.poll(ctx, 20*time.Millisecond, nil)()
			looks := 0
			var last time.Time
			_ = e.timeline.await(ctx, func([]record.Event) bool {
				looks++
				last = time.Now()
				return false
			})
			pause := time.Since(last)
			switch {
			case !virtual && (looks < 179_000 || pause > 20*time.Millisecond):
				t.Errorf("real time: %d looks, the last %v before the end", looks, pause)
			case virtual && (looks > 200 || pause > 10*time.Minute):
				t.Errorf("virtual time: %d looks, the last %v before the end", looks, pause)
			}
		})
	}
}
