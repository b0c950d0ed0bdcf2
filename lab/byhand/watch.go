package byhand

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
)

// maxUnread is how long who watches may read nothing of what is there for him: a
// terminal may stop for as long, but not for ever.
const maxUnread = 30 * time.Second

// watch tells the timeline as it comes, until whoever watches has seen enough, or to
// its end when the lab goes down.
func (s *supervisor) watch(ctx context.Context, c *conn, w *Watch) error {
	if w == nil {
		return usage(errors.New("watch how?"), "")
	}
	s.count(1)
	defer s.count(-1)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	// Who does not read holds what is told, and all that comes after it.
	c.unread = maxUnread
	defer context.AfterFunc(ctx, func() { c.c.Close() })()
	t := &teller{watch: *w}
	go func() {
		defer cancel()
		for {
			var now Watch
			if c.receive(&now) != nil {
				return
			}
			t.resize(now.Screen)
		}
	}()
	s.session.Follow(ctx, func(r *record.Record, until int64) {
		if piece := t.next(r, until); piece != nil && c.say(piece) != nil {
			cancel()
		}
	})
	return nil
}

func (s *supervisor) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers += n
}

func (s *supervisor) watching() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.watchers
}

// A teller tells a timeline to one who watches.
type teller struct {
	mu     sync.Mutex
	watch  Watch // guarded by mu
	of     string
	text   report.Follower
	lines  report.Lines
	joined bool
}

func (t *teller) resize(s report.Screen) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watch.Screen = s
}

// next is what came since the last time, nil if nothing did.
func (t *teller) next(r *record.Record, until int64) *Piece {
	t.mu.Lock()
	w := t.watch
	t.mu.Unlock()
	if r.Started != t.of { // a recording began, or ended: times count from there
		t.of, t.text, t.lines = r.Started, report.Follower{}, report.Lines{}
		if !t.joined && !w.All {
			t.text.Skip(until)
			t.lines.Skip(until)
		}
		t.joined = true
	}
	p := &Piece{}
	if w.Lines {
		p.Lines = t.lines.Next(r, until)
		if len(p.Lines) == 0 {
			return nil
		}
		return p
	}
	var b bytes.Buffer
	t.text.Screen = w.Screen
	if err := t.text.Write(&b, r, until); err != nil || b.Len() == 0 {
		return nil
	}
	p.Text = b.String()
	return p
}
