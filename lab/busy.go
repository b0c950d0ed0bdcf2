package lab

import "github.com/seed-6fefc909/tcplab/lab/record"

// heldUp is how long the client's process waited to be run, once its kernel had
// set the error that the call then returned, and had woken it: 0 if it was not
// in the call, or the error was not seen. On a machine with more to run than it
// can, some waited for seconds (measured: 6.18, 2 processors, 8 runs at a time,
// while kernel threads waited for half a second).
func (v *view) heldUp() int64 {
	d := v.detection()
	set := v.events(func(e *record.Event) bool {
		return e.Source == record.TCP && e.Kind == record.KindError && e.Host == d.Host && v.after(e) &&
			e.TCP.Error == d.Error && e.Time <= d.Time && e.Time >= d.Time-d.Blocked
	})
	if len(set) == 0 {
		return 0
	}
	return d.Time - set[len(set)-1].Time
}
