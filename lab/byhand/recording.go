package byhand

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

// record begins a recording.
func (s *supervisor) record(out string) (b begun, err error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	if r, _ := s.recordings(); r != nil {
		return b, usage(fmt.Errorf("%s is being recorded, since %s", called(s.config.Name), r.Since.Format(time.TimeOnly)), Command(s.config.Name, "record stop"))
	}
	err = s.session.Renew(s.config.recorded(), true)
	if errors.Is(err, os.ErrClosed) {
		return b, err
	}
	if err != nil {
		b.Warning = err.Error()
	}
	s.setRecording(&Recording{Since: time.Now(), Out: out}, nil)
	return b, nil
}

// stop ends the recording, and gives it to who asks until one has saved it.
func (s *supervisor) stop(c *conn) error {
	made, err := s.finish()
	if err != nil {
		return err
	}
	if err := c.say(made); err != nil {
		return err
	}
	if c.receive(&done{}) != nil {
		return nil // it is still there for who asks next
	}
	s.saved(made)
	return c.say(done{})
}

// giveBack gives the machine the memory back that a recording took, and with it
// what its line was written from, which encoding/json keeps for one collection.
func giveBack() {
	runtime.GC()
	debug.FreeOSMemory()
}

// finish ends the recording. If there is none it is the last one, unless that was
// saved.
func (s *supervisor) finish() (*Recorded, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	r, unsaved := s.recordings()
	if unsaved != nil {
		return unsaved, nil
	}
	if r == nil {
		return nil, usage(fmt.Errorf("%s is not being recorded", called(s.config.Name)), Command(s.config.Name, "record start"))
	}
	made := &Recorded{Recording: *s.filled(r)}
	var err error
	made.Record, made.Captures, err = s.session.Conclude(s.config.hand())
	if err != nil && !errors.Is(err, os.ErrClosed) {
		made.Warning = err.Error()
	}
	s.setRecording(nil, made)
	return made, nil
}

// filled is a recording that goes on, with how much there is of it by now.
func (s *supervisor) filled(r *Recording) *Recording {
	now := *r
	now.Events, now.Room = s.session.Observed()
	return &now
}

// saved forgets what somebody has saved.
func (s *supervisor) saved(made *Recorded) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unsaved == made {
		s.unsaved = nil
	}
}

func (s *supervisor) recordings() (now *Recording, unsaved *Recorded) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.recording, s.unsaved
}

func (s *supervisor) setRecording(now *Recording, unsaved *Recorded) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recording, s.unsaved = now, unsaved
}
