package observe

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// A course is the run that a tracing reports to.
type course struct {
	sink  Sink
	begun int64 // on the tracing's own clock
}

// tell gives the sink an event, by the run's clock.
func (c course) tell(e *record.Event) {
	e.Time -= c.begun
	c.sink(*e)
}

// Renew gives the tracing to another run of the same hosts, which begins now:
// the returned clock is its. The former run's sink gets what happened before.
// What was going on goes on: a call that had begun has a return. Of the new run
// Dropped, Missed and Spared count, and neither Everything nor Rest was
// said. An error says what is not as new; the other run has begun.
func (r *Tracing) Renew(ctx context.Context, sink Sink) (Clock, error) {
	errs := []error{r.Flush(ctx)}
	r.mu.Lock()
	clock, err := NewClock()
	if err != nil {
		r.mu.Unlock()
		return clock, fmt.Errorf("trace another run: %w", err)
	}
	r.former, r.course = r.course, course{sink, clock.origin - r.clock.origin}
	r.mu.Unlock()
	errs = append(errs, r.Flush(ctx)) // of the former run's, the last
	r.mu.Lock()
	r.former = course{}
	r.mu.Unlock()
	r.decoder.printers.renew()
	release, err := r.using()
	if err != nil {
		return clock, fmt.Errorf("trace another run: %w", err)
	}
	defer release()
	t := r.tracer
	dropped, err := t.dropped()
	errs = append(errs, err)
	missed, err := t.missed()
	errs = append(errs, err)
	r.mu.Lock()
	r.before.dropped, r.before.missed, r.lost = dropped, missed, 0
	r.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	r.all, r.resting, r.spared = false, false, 0
	errs = append(errs, t.object.wake())
	for id, h := range *t.hosts.Load() {
		if h.tracing == r && h.removed.Load() == 0 && h.PIDNS != 0 {
			errs = append(errs, t.object.economize(id))
		}
	}
	if err := errors.Join(append(errs, t.changed())...); err != nil {
		return clock, fmt.Errorf("trace another run: %w", err)
	}
	return clock, nil
}
