package page

import (
	"fmt"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// A program, with what it wrote.
type program struct {
	Host, Name, Command string
	Facts               []fact
	Lines               []outputLine
	Left                string // what of its output is not shown
}

type outputLine struct {
	At, Stream, Text string
	Error            bool // of standard error
}

// What is shown of a program's output at most.
const (
	maxLines  = 400
	maxLine   = 2000  // octets of a line
	maxOutput = 60000 // octets of all
)

func programsOf(r *record.Record) []program {
	var programs []program
	said := outputs(r)
	for _, p := range r.Programs {
		v := program{Host: plain(p.Host), Name: plain(p.Name), Command: commandLine(p.Argv), Facts: programFacts(r, &p)}
		key := writer{p.Host, p.Name, p.PID}
		v.Lines, v.Left = shown(r, said[key])
		delete(said, key)
		programs = append(programs, v)
	}
	// What no program of the list wrote, in the order in which it began.
	for i := range r.Events {
		key := writerOf(&r.Events[i])
		if events := said[key]; len(events) > 0 && events[0] == i {
			v := program{Host: plain(key.host), Name: plain(key.name), Facts: []fact{{"process", fmt.Sprint(key.pid)}}}
			v.Lines, v.Left = shown(r, events)
			programs = append(programs, v)
		}
	}
	return programs
}

// A writer is a program as its lines name it.
type writer struct {
	host, name string
	pid        int
}

func writerOf(e *record.Event) writer { return writer{e.Host, e.Comm, e.PID} }

// outputs are the events of each writer's lines, by their index.
func outputs(r *record.Record) map[writer][]int {
	said := map[writer][]int{}
	for i := range r.Events {
		if e := &r.Events[i]; e.Source == record.Output {
			said[writerOf(e)] = append(said[writerOf(e)], i)
		}
	}
	return said
}

// shown are the first lines, and what of them is left out.
func shown(r *record.Record, events []int) (lines []outputLine, left string) {
	octets, room, rest := 0, maxOutput, 0
	for n, i := range events {
		e := &r.Events[i]
		octets += len(e.Text)
		if n >= maxLines || room <= 0 {
			rest++
			continue
		}
		room -= min(len(e.Text), maxLine)
		lines = append(lines, outputLine{since(r, e.Time), plain(e.Kind), bounded(e.Text, maxLine), e.Kind == record.KindStderr})
	}
	if rest > 0 {
		left = fmt.Sprintf("%s are not shown; the record has %s octets of what it wrote", ladder.Count(rest, "more line"), ladder.Thousands(octets))
	}
	return lines, left
}

func programFacts(r *record.Record, p *record.Program) []fact {
	facts := []fact{{"process", fmt.Sprint(p.PID)}}
	if p.Own {
		facts = append(facts, fact{"user", plain(p.User)})
	}
	end := "exit " + fmt.Sprint(p.Exit)
	switch {
	case p.Running:
		end = "was still running when the run ended"
	case p.Signal != "":
		end = "ended by " + plain(p.Signal)
	case p.Exit < 0:
		end = "ended with the run"
	}
	if p.Ended > 0 {
		end += ", at " + since(r, endedAt(r, p)) + " s"
	}
	return append(facts, fact{"end", end})
}

// endedAt is when a program ended: as the kernel told it, or else when it was
// known. Of several processes that had its number, one after the other, it is
// the last one that had ended by then.
func endedAt(r *record.Record, p *record.Program) int64 {
	at := p.Ended
	for i := range r.Events {
		e := &r.Events[i]
		if e.Time > p.Ended {
			break
		}
		if e.Source == record.Process && e.Kind == record.KindExit && e.Host == p.Host && e.PID == p.PID &&
			e.Process != nil && e.Process.Signal == p.Signal && (p.Signal != "" || e.Process.Status == p.Exit) {
			at = e.Time
		}
	}
	return at
}
