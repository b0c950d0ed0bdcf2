package lab

import (
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/observe"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
)

// Renew begins a new experiment on the same network: times count from now, and
// nothing has happened. What is there stays: programs run on under their names,
// connections live, what was going on goes on, and faults that are in force are;
// all of it is noted at the beginning. Of the hand only Name, Title, Command and
// Keep matter; frames is Options.Frames. Of the experiment before no record can
// be made any more. It is a step, of some 30 ms: what passes the wire is seen from
// its end on.
//
// An error other than os.ErrClosed says what is not observed; the new experiment
// has begun, and its record says so, too.
func (s *Session) Renew(h Hand, frames bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	over, err := s.begin(h, frames)
	over()
	return err
}

// Conclude makes the record of all that was seen so far, with what was captured,
// and begins a new experiment as Renew does, which keeps no frames. Both are one
// step: whatever else is asked for is in that record, or in force or under way when
// the next begins. The record is judged last, while the next is observed. An error is
// Renew's; the record is there all the same.
func (s *Session) Conclude(next Hand) (r *record.Record, captures []*record.Capture, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.current.Load()
	g := last.e.gather()
	for _, h := range s.net.Hosts() {
		if c := last.e.Capture(h.Name); c != nil {
			captures = append(captures, c)
		}
	}
	over, err := s.begin(next, false)
	last.finished = last.e.conclude(g, nil)
	over()
	return last.finished, captures, err
}

// begin is Renew, but that who follows the experiment before is told of its end by
// over. It needs mu.
func (s *Session) begin(h Hand, frames bool) (over func(), err error) {
	if s.closed {
		return func() {}, fmt.Errorf("renew session: %w", os.ErrClosed)
	}
	old := s.e
	errs := []error{old.watch.catchUp()}
	e := old.next(s.lines.Renew(h.Name, h.Title), h, frames)
	inForce := s.InForce()
	s.power.Lock() // for whoever asks the old one's observers
	errs = append(errs, e.watch.takeOver(old.watch, s.alive()))
	e.clock = e.watch.clock
	for _, p := range old.programs { // of those that have ended, too: they would hold it
		p.sees.Store(e)
	}
	e.noteBeginning(inForce)
	errs = append(errs, e.snapshot())
	e.publish()
	s.e = e
	errs = append(errs, old.watch.close())
	s.power.Unlock()
	next := newChapter(e)
	last := s.current.Swap(next)
	over = func() { last.end(next) }
	if err := errors.Join(errs...); err != nil {
		return over, fmt.Errorf("renew session: %w", err)
	}
	return over, nil
}

// alive are the hosts that no fault has ended. It needs mu.
func (s *Session) alive() []*topology.Host {
	var alive []*topology.Host
	for _, h := range s.net.Hosts() {
		if !s.e.isDead(h.Name, h.Boot()) {
			alive = append(alive, h)
		}
	}
	return alive
}

// next is another experiment on the same network, with the programs that run on
// there. Its watch observes nothing yet.
func (e *Experiment) next(sc *scenarios.Scenario, h Hand, frames bool) *Experiment {
	o := e.options
	o.Frames = frames
	n := &Experiment{
		scenario: sc, options: o, sysctls: e.sysctls, changed: e.changed, net: e.net, serverAddr: e.serverAddr,
		rerun: h.Command, text: e.text, scratchDir: e.scratchDir, expectations: []record.Expectation{},
	}
	e.scratchDir = "" // the other's, to be removed
	n.timeline.keep = h.Keep
	n.watch = newWatch(observe.Clock{}, o, n.timeline.observe)
	n.watch.text, n.watch.idle = n.text, h.Keep > 0
	for _, d := range e.dead {
		if host, err := e.net.Host(d.host); err == nil && d.boot == host.Boot() {
			n.dead = append(n.dead, deadBoot{d.host, d.boot, math.MinInt64})
		}
	}
	for _, p := range e.programs {
		if _, ended := p.ended(); ended {
			p.close()
		} else {
			n.programs = append(n.programs, p)
		}
	}
	return n
}

// noteBeginning notes what there was at the beginning.
func (e *Experiment) noteBeginning(inForce []Force) {
	for _, f := range inForce {
		text := "in force: " + f.Text
		if !f.Since.IsZero() {
			text += ", for " + record.Span(int64(time.Since(f.Since)))
		}
		e.timeline.add(record.Event{Time: e.clock.Now(), Host: f.Host, PID: f.PID, Source: record.Step, Kind: "in-force", Text: text})
	}
	for _, h := range e.net.Hosts() {
		boot := h.Boot()
		processes, err := h.Processes()
		if err != nil {
			continue // it is down
		}
		for _, p := range processes {
			e.timeline.add(record.Event{
				Time: e.clock.Now(), Host: h.Name, Boot: boot, PID: p.PID, Comm: p.Comm, Source: record.Process, Kind: record.KindRunning,
				Process: &record.ProcEvent{Parent: p.Parent, Argv: p.Argv},
			})
		}
	}
}
