package tutorial

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/report"
)

// A Voice says to the reader what there is to say.
type Voice struct {
	W      io.Writer
	Screen func() report.Screen
}

// width is how long lines may be.
const width = 80

// commandMark is before a paragraph that is a command, which is told and not to be
// typed just then.
const commandMark = "$ "

// say says a paragraph. A command, which begins with a $, has a line of its own, to
// be copied.
func (v *Voice) say(text string) {
	if command, ok := strings.CutPrefix(text, commandMark); ok {
		fmt.Fprintf(v.W, "  %s\n\n", v.Screen().Strong(report.Clean(command)))
		return
	}
	columns := width
	if w := v.Screen().Width; w > 0 {
		columns = min(columns, w)
	}
	fmt.Fprintf(v.W, "%s\n\n", strings.Join(report.Wrap(report.Clean(strings.Join(strings.Fields(text), " ")), columns), "\n"))
}

// strong is a line that stands out.
func (v *Voice) strong(text string) {
	fmt.Fprintf(v.W, "%s\n\n", v.Screen().Strong(text))
}

func (v *Voice) heading(p *Part) {
	v.strong(strings.ToUpper(strings.TrimPrefix(p.ID+". ", ". ")+p.Title) + "  (" + p.Source + ")")
	for _, text := range p.Intro {
		v.say(text)
	}
}

// step says what is to be done.
func (v *Voice) step(s *Step, g *Guide) {
	if s.Title != "" {
		v.strong(s.Title)
	}
	for _, text := range s.Before {
		v.say(g.measured(text))
	}
	v.tasks(s.Tasks, g)
	if s.Enter {
		v.task("here", "Enter, when you have seen it")
		fmt.Fprintln(v.W)
	}
}

// tasks says what to type, and where.
func (v *Voice) tasks(all []Task, g *Guide) {
	for _, t := range all {
		text := t.Key
		switch {
		case t.Command != "":
			text = "$ " + g.Command(t.Command)
		case t.Line != "":
			text = "> " + t.Line
		}
		v.task(fmt.Sprintf("terminal %d", t.Terminal), text)
	}
	if len(all) > 0 {
		fmt.Fprintln(v.W)
	}
}

func (v *Voice) task(where, what string) {
	fmt.Fprintf(v.W, "  %-10s  %s\n", where, v.Screen().Strong(report.Clean(what)))
}

// seen tells an event that was waited for, and when it was.
func (v *Voice) seen(s *lab.Seen, at time.Duration) {
	fmt.Fprintf(v.W, "%13.6f  %v\n", at.Seconds(), report.Clean(s.String()))
}

// after says what it means.
func (v *Voice) after(s *Step, g *Guide) {
	if len(s.Awaits) > 0 {
		fmt.Fprintln(v.W)
	}
	for _, text := range s.After {
		v.say(g.measured(text))
	}
}

// astray says what is wrong, and how to get back.
func (v *Voice) astray(l *lack, g *Guide) {
	v.say("! " + strings.ToUpper(l.why[:1]) + l.why[1:] + ".")
	v.tasks(l.helps, g)
}

// remind says what is waited for.
func (v *Voice) remind(s *Step, what string, g *Guide) {
	text := "(Waiting: " + what + "."
	if c := g.client(); c != "" {
		text += " The client's connection: " + c + "."
	}
	how := " s and Enter skips this, q ends the tutorial.)"
	if g.Keys == nil {
		how = " Ctrl-C ends the tutorial.)"
	}
	v.say(text + how)
	v.tasks(s.Tasks, g)
}

// Command is one with the lab's name where that is needed.
func (g *Guide) Command(text string) string {
	words := strings.Fields(text)
	if i := slices.Index(words, "lab"); g.Name != "" && i >= 0 && i+1 < len(words) {
		words = slices.Insert(words, i+2, "--name", g.Name)
	}
	return strings.Join(words, " ")
}
