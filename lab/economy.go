package lab

import "time"

// economyAfter is how long after a fault a session that stays up observes
// everything. What breaks, repeats or ends is told anyway; but the plain calls
// and segments of a busy exchange, which matter just after a fault, would for
// days slow the programs down, and leave room for nothing else among the events
// that are kept.
const economyAfter = time.Minute

// An economy says when a session's observers go back to telling but a part of
// what goes on and on.
type economy struct {
	timer *time.Timer // nil: there was no fault
	due   time.Time
}

// economizeLater is called after a fault. It needs mu.
func (s *Session) economizeLater() {
	if s.e.timeline.keep == 0 {
		return // a record has everything, from its first fault on
	}
	s.economy.due = time.Now().Add(economyAfter)
	if s.economy.timer == nil {
		s.economy.timer = time.AfterFunc(economyAfter, s.economize)
	} else {
		s.economy.timer.Reset(economyAfter)
	}
}

func (s *Session) economize() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.e.timeline.keep == 0 || time.Now().Before(s.economy.due) {
		return // there was another fault, or it is another experiment
	}
	_ = s.e.watch.economize() // what goes on to tell everything loses nothing
}

// end needs the session's mu.
func (y *economy) end() {
	if y.timer != nil {
		y.timer.Stop()
	}
}
