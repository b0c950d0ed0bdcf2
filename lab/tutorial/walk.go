package tutorial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/byhand"
	"github.com/seed-6fefc909/tcplab/lab/predict"
)

// A Guide leads through the parts. It says what to do and waits until that has
// happened.
type Guide struct {
	// Lab is asked how the lab is, and for events.
	Lab Lab
	// Name is the lab's, where commands must give it; "" where they need not.
	Name  string
	Voice *Voice
	Keys  <-chan string // the lines that the reader types, closed at their end
	// Forget drops what the reader typed without an Enter, so that an s from one
	// step is not taken for the next; nil if there is nothing to drop.
	Forget func()
	Params predict.Params

	// What follows is of the part that is walked through.
	seen  map[string]*lab.Seen
	kept  []Condition // that must hold on
	argv  []string    // of the client that was wanted last
	stood *byhand.Status
	told  string // why the reader was led back just now

	skipped bool // a step, and nothing was seen since
}

// A Lab is one that may be up. Its errors, but of Await for an event that there
// is none of, say that it is not.
type Lab interface {
	Status() (*byhand.Status, error)
	Await(ctx context.Context, event string, since lab.Since) (*lab.Seen, error)
}

// What the reader can ask for while the guide waits.
var (
	// ErrQuit ends the tutorial.
	ErrQuit = errors.New("the reader has seen enough")

	errSkip = errors.New("the step is skipped")
)

// An astray is a reader's who did something else.
type astray struct{ *lack }

func (a astray) Error() string { return a.why }

const greeting = "Open three terminals beside this one: terminal 1 for the server, 2 for the client, 3 for the faults and " +
	"for looking. Type there what is said here; this one goes on when it has seen that it happened, and at Enter " +
	"where you are to look at something. Elsewhere Enter says again what is waited for; s and Enter skips it, q and Enter ends " +
	"the tutorial. What it has seen it tells with the time in seconds, counted in each step from what was seen there first."

// Walk leads through the parts. It returns nil at the end, ErrQuit, or ctx's
// cause.
func (g *Guide) Walk(ctx context.Context, parts []Part) error {
	g.Voice.say(greeting)
	for i := range parts {
		if err := g.part(ctx, &parts[i]); err != nil {
			return err
		}
	}
	return nil
}

// part leads through one. Whoever strays is led back to where the client was
// connected last, over those of the part's first steps that make sure of the
// network and the server.
func (g *Guide) part(ctx context.Context, p *Part) error {
	g.Voice.heading(p)
	g.seen, g.kept, g.argv = map[string]*lab.Seen{}, nil, nil
	g.stood, _ = g.Lab.Status() // nil if it is not up
	from := 0
	for i := 0; i < len(p.Steps); i++ {
		s := &p.Steps[i]
		if s.Have == Connected {
			from = i
		}
		err := g.step(ctx, s)
		if a, strayed := errors.AsType[astray](err); strayed {
			g.Voice.astray(a.lack, g)
			g.told = a.why
			if err = g.makeSure(ctx, p); err == nil {
				i = from - 1
				continue
			}
		}
		if errors.Is(err, errSkip) {
			g.skipped = true
		} else if err != nil {
			return err
		}
	}
	return nil
}

// makeSure takes the part's first steps again, which only want something of the
// lab, and do nothing where that is so already.
func (g *Guide) makeSure(ctx context.Context, p *Part) error {
	g.kept = nil
	for i := 0; i < len(p.Steps); i++ {
		s := &p.Steps[i]
		if s.Have != Up && s.Have != Whole && s.Have != Listening {
			return nil
		}
		err := g.step(ctx, s)
		if a, strayed := errors.AsType[astray](err); strayed {
			g.Voice.astray(a.lack, g)
			g.told = a.why
			g.kept, i = nil, -1
		} else if err != nil {
			return err
		}
	}
	return nil
}

// step leads through one.
func (g *Guide) step(ctx context.Context, s *Step) error {
	l := g.begin(s)
	if l == nil && s.Have != "" && (s.Have.lasts() || len(s.Awaits) == 0) {
		g.keep(s.Have)
		return nil // it is so already
	}
	helps := func(t Task) bool { return !slices.Contains(s.Tasks, t) }
	if l != nil && l.why != g.told && slices.ContainsFunc(l.helps, helps) {
		g.Voice.astray(l, g)
	}
	g.told = ""
	if g.Forget != nil {
		g.Forget()
	}
	g.Voice.step(s, g)
	err := g.wait(ctx, s)
	g.ended(s)
	if err != nil {
		return err
	}
	if s.Have != "" {
		g.keep(s.Have)
	}
	if s.Have != "" || len(s.Awaits) > 0 {
		g.skipped = false
	}
	g.Voice.after(s, g)
	return nil
}

// begin looks how the lab is, and tells what the step lacks of what it wants.
func (g *Guide) begin(s *Step) *lack {
	if s.Have == Connected {
		g.argv = nil
		for _, t := range s.Tasks {
			g.argv = t.program()
		}
	}
	if s.Have == "" {
		return nil
	}
	now, _ := g.Lab.Status()
	g.note(now)
	return s.Have.lacks(now, g.argv)
}

// note takes down how the lab is, if it is up.
func (g *Guide) note(now *byhand.Status) {
	if now != nil {
		g.stood = now
	}
}

// keep makes a condition one that must hold on.
func (g *Guide) keep(c Condition) {
	for _, c := range []Condition{c, map[Condition]Condition{Connected: Running}[c]} {
		if c.lasts() && !slices.Contains(g.kept, c) {
			g.kept = append(g.kept, c)
		}
	}
}

// ended lets the conditions go that a step ends: once it has begun to.
func (g *Guide) ended(s *Step) {
	g.kept = slices.DeleteFunc(g.kept, func(c Condition) bool { return slices.Contains(s.Ends, c) })
}

// measured puts the figures of what was seen into a paragraph.
func (g *Guide) measured(text string) string {
	var sysctls map[string]string
	if g.stood != nil {
		sysctls = g.stood.Sysctls[client]
	}
	return measured(text, g.seen, g.Params, sysctls)
}

// client is the connection of the client's, for who waits.
func (g *Guide) client() string {
	if g.stood == nil {
		return ""
	}
	for _, h := range g.stood.Hosts {
		for _, row := range h.Sockets {
			if h.Name != client || row.State == "TIME_WAIT" {
				continue
			}
			text := row.State
			if row.Timer != "" {
				text += fmt.Sprintf(", %s in %v, sent %d times", row.Timer, time.Duration(row.Expires).Round(100*time.Millisecond), row.Retransmits)
			}
			return text
		}
	}
	return ""
}
