package byhand

import (
	"context"
	"errors"
	"os"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

// Await waits until ctx ends for an event, as lab.Session.Await does. The error
// is then ctx's cause.
func (l *Lab) Await(ctx context.Context, event string, since lab.Since) (*lab.Seen, error) {
	c, err := l.ask(request{Op: opAwait, Await: &awaited{event, since}})
	if err != nil {
		return nil, err
	}
	defer c.close()
	defer context.AfterFunc(ctx, func() { c.c.Close() })()
	seen := &lab.Seen{}
	err = l.hear(c, seen)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return seen, err
}

// await tells of an event when it is seen; whoever asked may go away before.
func (s *supervisor) await(ctx context.Context, c *conn, a *awaited) error {
	if a == nil {
		return usage(errors.New("await what?"), "")
	}
	up := ctx
	ctx, cancel := context.WithCancel(up)
	defer cancel()
	go func() {
		defer cancel()
		_ = c.receive(new(struct{})) // nothing more is said: it is the end
	}()
	seen, err := s.session.Await(ctx, a.Event, a.Since)
	switch e, syntax := errors.AsType[*scenarios.SyntaxError](err); {
	case up.Err() != nil, errors.Is(err, os.ErrClosed):
		return &Error{Text: s.why(up), Kind: Refused}
	case ctx.Err() != nil:
		return nil // nobody listens
	case syntax:
		return usage(e.Err, "lab help scenario lists the events")
	case errors.Is(err, lab.ErrScenario):
		return &Error{Text: err.Error(), Kind: Cannot}
	case err != nil:
		return err
	}
	return c.say(seen)
}
