package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
)

// freeze stops a process, or lets one go on.
func (e *Experiment) freeze(s scenarios.Freeze) error {
	h, pid, err := e.stoppable(s)
	if err != nil {
		return err
	}
	e.froze = frozenProcess{h.Name, h.Boot(), pid}
	if s.Thaw {
		e.mark("thaw", h.Name, fmt.Sprintf("SIGCONT to process %d", pid))
		return h.Thaw(pid)
	}
	e.mark("freeze", h.Name, fmt.Sprintf("SIGSTOP to process %d", pid))
	return h.Freeze(pid)
}

// stoppable is the process that is meant: one that is named, or whom process
// finds.
func (e *Experiment) stoppable(s scenarios.Freeze) (*topology.Host, int, error) {
	if s.PID == 0 {
		return e.process(s.Who)
	}
	h, err := e.net.Host(s.Who)
	if err != nil {
		return nil, 0, err
	}
	p, err := e.processOf(h, s.PID)
	return h, p.PID, err
}

// ofFaults tells whether a step is about what faults have stopped, and about no
// process in particular.
func (s *Session) ofFaults(f scenarios.Freeze) bool {
	_, noHost := s.net.Host(f.Who)
	return s.typed && f.Thaw && f.PID == 0 && (f.Who == "" || noHost == nil)
}

// thaw lets go on what faults have stopped, on a host or, if that is "", on any.
func (s *Session) thaw(ctx context.Context, step scenarios.Freeze) error {
	s.forces.mu.Lock()
	frozen := s.forces.processes(s.net)
	s.forces.mu.Unlock()
	frozen = slices.DeleteFunc(frozen, func(f Force) bool { return step.Who != "" && step.Who != f.Host })
	if len(frozen) == 0 {
		return fmt.Errorf("%w: no fault has stopped a process%s", ErrScenario, on(step.Who))
	}
	var errs []error
	for _, f := range frozen {
		one := step
		one.Who, one.PID = f.Host, f.PID
		_, err := s.e.do(ctx, one)
		if err == nil {
			s.forces.note(one, s.e.froze)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// on says where, if that is known.
func on(host string) string {
	if host == "" {
		return ""
	}
	return " of " + host
}
