package lab

import "github.com/seed-6fefc909/tcplab/lab/record"

// Now is the time on the session's clock, which Renew begins anew.
func (s *Session) Now() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.e.clock.Now()
}

// Deeds are what steps did from a time of Now's on: faults, moment by moment, what
// was typed, signalled, stopped.
func (s *Session) Deeds(since int64) []record.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	var deeds []record.Event
	s.e.timeline.each(func(ev *record.Event) {
		if ev.Time >= since && (ev.Source == record.Fault || ev.Source == record.Step) {
			deeds = append(deeds, *ev)
		}
	})
	record.Sort(deeds)
	return deeds
}
