package tutorial

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/byhand"
)

// lookEvery is how often the lab is asked how it is while the guide waits.
const lookEvery = 400 * time.Millisecond

// hintAfter is how long nothing may happen until the guide says what it waits
// for; then twice as long, and so on.
const hintAfter = 40 * time.Second

// An outcome is what came of an Await.
type outcome struct {
	seen *lab.Seen
	err  error
}

// wait waits for all that the step wants to see, in its order.
func (g *Guide) wait(ctx context.Context, s *Step) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := &waiting{Guide: g, step: s, pause: hintAfter}
	w.look, w.hint = time.NewTicker(lookEvery), time.NewTimer(w.pause)
	defer w.look.Stop()
	defer w.hint.Stop()
	if err := w.events(ctx); err != nil {
		return err
	}
	if s.Have != "" {
		if err := w.condition(ctx, s.Have); err != nil {
			return err
		}
	}
	if s.Enter {
		return w.enter(ctx)
	}
	return nil
}

// events waits for those of the step.
func (w *waiting) events(ctx context.Context) error {
	defer w.tell()
	for _, a := range w.step.Awaits {
		w.what = a.Event
		since := lab.LastAct
		if w.skipped { // what was done last may be long ago
			since = lab.Now
		}
		if before := cmp.Or(w.seen[a.After], w.first); before != nil { // a quick reader may have done something else since
			since = lab.Since(before.Start())
		}
		coming := make(chan outcome, 1)
		go func() { coming <- w.await(ctx, a.Event, since) }()
		got, err := w.event(ctx, coming)
		if err != nil {
			return err
		}
		w.ended(w.step)
		w.first = cmp.Or(w.first, got)
		w.untold = append(w.untold, got)
		if a.Name != "" {
			w.seen[a.Name] = got
		}
	}
	return nil
}

// tell tells of the events that were seen, in the order of their times: one that is
// waited for later may have come earlier.
func (w *waiting) tell() {
	slices.SortStableFunc(w.untold, func(a, b *lab.Seen) int { return cmp.Compare(w.at(a), w.at(b)) })
	for _, s := range w.untold {
		w.Voice.seen(s, w.at(s))
	}
	w.untold = nil
}

// at is when an event was, counted from the step's first.
func (w *waiting) at(s *lab.Seen) time.Duration {
	if s == w.first {
		return 0
	}
	return time.Duration(s.Event.Time - w.first.Start())
}

// await waits for an event. A lab that is not up is asked again; one that cannot
// tell is not.
func (g *Guide) await(ctx context.Context, event string, since lab.Since) outcome {
	for {
		seen, err := g.Lab.Await(ctx, event, since)
		if e, told := errors.AsType[*byhand.Error](err); err == nil || ctx.Err() != nil || told && (e.Kind == byhand.Usage || e.Kind == byhand.Cannot) {
			return outcome{seen, err}
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return outcome{nil, context.Cause(ctx)}
		}
	}
}

// A waiting is for one step.
type waiting struct {
	*Guide
	step  *Step
	what  string // it waits for
	look  *time.Ticker
	hint  *time.Timer
	pause time.Duration
	last  *lack // what was wrong at the last look

	first  *lab.Seen   // of the step's events
	untold []*lab.Seen // those that are told of at the next look
}

// event waits for one.
func (w *waiting) event(ctx context.Context, coming <-chan outcome) (*lab.Seen, error) {
	for {
		select {
		case o := <-coming:
			w.again(hintAfter)
			return o.seen, o.err
		case <-w.look.C:
			w.tell()
			if err := w.lookAt(); err != nil {
				return nil, err
			}
		case <-w.hint.C:
			w.remind()
		case key, ok := <-w.Keys:
			if err := w.key(key, ok); err != nil {
				return nil, err
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// condition waits until one holds. What else it lacks than at first is told if it
// does so for two looks: a client that has begun to run connects a little later.
func (w *waiting) condition(ctx context.Context, c Condition) error {
	w.last = nil
	w.look.Reset(lookEvery) // from the first look, which is now
	for told, before := "", ""; ; {
		now, _ := w.Lab.Status()
		w.note(now)
		l := c.lacks(now, w.argv)
		if l == nil {
			return nil
		}
		w.what = l.why
		if told == "" {
			told = l.why
		}
		if l.why != told && l.why == before {
			told = l.why
			if len(l.helps) > 0 {
				w.Voice.astray(l, w.Guide)
			}
		}
		before = l.why
		if err := w.strayed(now, c); err != nil {
			return err
		}
		if err := w.nextLook(ctx); err != nil {
			return err
		}
	}
}

// nextLook waits for the time of one.
func (w *waiting) nextLook(ctx context.Context) error {
	for {
		select {
		case <-w.look.C:
			return nil
		case <-w.hint.C:
			w.remind()
		case key, ok := <-w.Keys:
			if err := w.key(key, ok); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// enter waits for the reader.
func (w *waiting) enter(ctx context.Context) error {
	if w.Keys == nil { // nobody is there
		return nil
	}
	w.what = "Enter, when you have seen it"
	for {
		select {
		case key, ok := <-w.Keys:
			if ok && key == "" {
				return nil
			}
			if err := w.key(key, ok); err != nil || !ok {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// lookAt looks whether all that has to holds still: twice in a row, since what
// is waited for may have come just now.
func (w *waiting) lookAt() error {
	now, _ := w.Lab.Status()
	w.note(now)
	return w.strayed(now, "")
}

// strayed is an astray error for the first of the conditions that were kept which
// has not held for two looks; one is waited for itself.
func (w *waiting) strayed(now *byhand.Status, one Condition) error {
	for _, c := range w.kept {
		if c == one {
			continue
		}
		if l := c.lacks(now, w.argv); l != nil {
			if w.last != nil && w.last.why == l.why {
				return astray{l}
			}
			w.last = l
			return nil
		}
	}
	w.last = nil
	return nil
}

// remind says what is waited for.
func (w *waiting) remind() {
	w.tell()
	w.Voice.remind(w.step, w.what, w.Guide)
	w.again(2 * w.pause)
}

func (w *waiting) again(pause time.Duration) {
	w.pause = pause
	w.hint.Reset(pause)
}

// key does what the reader asks for.
func (w *waiting) key(key string, ok bool) error {
	switch {
	case !ok:
		w.Keys = nil // no more will come
		w.Voice.say("(Nobody can type here: no step can be skipped, and Ctrl-C ends the tutorial.)")
		return nil
	case key == "s":
		return errSkip
	case key == "q":
		return ErrQuit
	}
	w.remind()
	return nil
}
