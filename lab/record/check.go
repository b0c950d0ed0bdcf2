package record

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// maxTime bounds every time and span of a record, either way: no wait of TCP
// lasts so long, and the sum of five of them is still an int64.
const maxTime = int64(50 * 365 * 24 * time.Hour)

// errEmpty is what a record without anything in it is read with. One of a run
// that was cut short has at least its hosts.
var errEmpty = errors.New("a record with neither hosts nor events: no run leaves such a one")

// check tells whether the record is one that who reads it can rely on: of this
// schema, with times that can be reckoned with, and events that have their
// payloads and are in the order of their times.
func (r *Record) check() error {
	switch r.Schema {
	case Schema:
	case "":
		return errors.New("not a record: it names no schema")
	default:
		return fmt.Errorf("a record of another version of lab: its schema is %q, not %q", r.Schema, Schema)
	}
	if len(r.Hosts) == 0 && len(r.Events) == 0 {
		return errEmpty
	}
	if err := r.checkTimes(); err != nil {
		return err
	}
	for i := range r.Events {
		e := &r.Events[i]
		err := cmp.Or(e.check(), e.checkTimes())
		if err == nil && i > 0 && e.Time < r.Events[i-1].Time {
			err = errors.New("earlier than the one before it: they are to be in the order of their times")
		}
		if err != nil {
			return fmt.Errorf("event %d: %w", i, err)
		}
	}
	return nil
}

// checkTimes tells whether all times but those of the events can be reckoned
// with.
func (r *Record) checkTimes() error {
	d, p := &r.Detection, &r.Prediction
	err := cmp.Or(
		sane("duration_ns", r.Duration), sane("delay", r.Delay.Time), sane("spared", r.Spared.Rest),
		sane("fault", r.Fault.Time, r.Fault.Back),
		sane("detection", d.Time, d.AfterFault, d.AfterWrite, d.AfterHeard, d.Blocked),
		sane("prediction", p.Min, p.Max, p.Tolerance),
	)
	for _, f := range r.Later {
		err = cmp.Or(err, sane("later_faults", f.Time, f.Back))
	}
	if r.Demand != nil {
		err = cmp.Or(err, sane("demand", r.Demand.Within))
	}
	for _, a := range r.Actions {
		err = cmp.Or(err, sane("actions", a.Time, a.AfterFault, a.AfterTold))
	}
	for _, s := range p.Sends {
		err = cmp.Or(err, sane("sends", s.Min, s.Max))
	}
	for _, x := range r.Expectations {
		err = cmp.Or(err, sane("expectations", x.After, x.Within, x.Time))
	}
	for _, x := range r.Programs {
		err = cmp.Or(err, sane("programs", x.Ended))
	}
	return err
}

func (e *Event) checkTimes() error {
	err := sane("t_ns", e.Time)
	if e.Packet != nil {
		err = cmp.Or(err, sane("packet", e.Packet.Transit))
	}
	if e.TCP != nil {
		err = cmp.Or(err, sane("tcp", e.TCP.RTO))
	}
	if e.Syscall != nil {
		err = cmp.Or(err, sane("syscall", e.Syscall.Duration))
	}
	for i := range e.Sockets {
		s := &e.Sockets[i]
		err = cmp.Or(err, sane("sockets", s.Expires, s.RTO, s.RTT, s.RTTVar))
	}
	return err
}

// sane tells the first of some times that is beyond what a record may hold.
func sane(where string, times ...int64) error {
	for _, t := range times {
		if t < -maxTime || t > maxTime {
			return fmt.Errorf("%s: a time of %d ns: more than 50 years are none", where, t)
		}
	}
	return nil
}
