package observe

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// The programs for system calls: they slow down every call of the machine, by
// some 140 ns even if they do nothing (measured: 6.18).
const (
	enterProgram = "sys_enter"
	exitProgram  = "sys_exit"
)

// Rest says that the run can do without system calls until Everything: its
// programs exchange so much that only a part of the calls would be reported.
// If all runs of the tracer can, the programs for system calls are detached;
// of a call that began meanwhile the beginning is then not known, and taken to
// be when they are attached again. The caller may say it again at any time:
// another run may have come and gone.
func (r *Tracing) Rest() error {
	release, err := r.using()
	if err != nil {
		return nil // it was closed: nothing is reported
	}
	defer release()
	t := r.tracer
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.all {
		return nil
	}
	r.resting = true
	for other := range t.tracings {
		if !other.resting {
			return nil
		}
	}
	if err := t.object.rest(); err != nil {
		return fmt.Errorf("rest from system calls: %w", err)
	}
	return nil
}

// rest detaches the programs for system calls.
func (o *bpfObject) rest() error {
	var errs []error
	for name := range o.calls {
		if l := o.links[name]; l != nil {
			errs = append(errs, l.Close())
			delete(o.links, name)
		}
	}
	return errors.Join(errs...)
}

// wake attaches them again, if they were detached.
func (o *bpfObject) wake() error {
	if len(o.calls) == 0 || o.links[exitProgram] != nil || o.links[enterProgram] != nil {
		return nil
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return err
	}
	// Before: what begins from now on either is seen to, or began now.
	if err := o.maps["attached"].Put(uint32(0), uint64(now.Nano())); err != nil {
		return err
	}
	for _, name := range []string{enterProgram, exitProgram} {
		if o.calls[name] == nil {
			continue
		}
		l, err := attach(o.calls[name])
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		o.links[name] = l
	}
	return nil
}
