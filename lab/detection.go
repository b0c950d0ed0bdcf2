package lab

import (
	"slices"
	"strings"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// nonblocking is how soon a call that never waits has returned: EAGAIN is
// then no news, but a read's own timeout (SO_RCVTIMEO) takes a jiffy at least.
const nonblocking = int64(time.Millisecond)

// news is what a call's result says of the peer's end: an errno's name, "EOF",
// or "" for nothing.
func (v *view) news(e *record.Event) string {
	c := e.Syscall
	if len(c.Ready) > 0 {
		return v.readyNews(e)
	}
	result := resultOf(c)
	switch {
	case result == "ok", result == "EINTR", result == "EINPROGRESS", strings.HasPrefix(result, "ERESTART"):
		return ""
	case result == "EALREADY", result == "EISCONN": // of a connect() that is repeated
		return ""
	case result == "EAGAIN" && (c.Duration < nonblocking || !v.hasTimeout(c)):
		return ""
	}
	return result
}

// hasTimeout tells whether the socket of a call has a timeout of its own, as
// far as its options are known: without, a call that is long in returning
// EAGAIN was kept from running.
func (v *view) hasTimeout(c *record.Call) bool {
	for _, k := range v.r.Connections {
		if k.Local == c.Local && k.Remote == c.Remote {
			return slices.ContainsFunc(k.Options, func(o string) bool {
				return strings.HasPrefix(o, "SO_RCVTIMEO=") || strings.HasPrefix(o, "SO_SNDTIMEO=")
			})
		}
	}
	return true
}

// readyNews is what poll and the like tell of a connection's end. They name no
// errno: that is the one which the kernel had set.
func (v *view) readyNews(e *record.Event) string {
	for _, r := range v.ready(e.Syscall) {
		bits := strings.Split(strings.ReplaceAll(r.Events, "EPOLL", "POLL"), "|")
		failed := slices.Contains(bits, "POLLERR")
		if failed {
			if errno := v.errnoOf(r, e.Time); errno != "" {
				return errno
			}
			return "POLLERR"
		}
		if slices.Contains(bits, "POLLHUP") || slices.Contains(bits, "POLLRDHUP") {
			return "EOF"
		}
	}
	return ""
}

// errnoOf is the last error that the kernel set on a socket of the client's
// until then, or the one that the program asks for next.
func (v *view) errnoOf(r record.Ready, until int64) string {
	last := ""
	for i := range v.r.Events {
		e := &v.r.Events[i]
		if e.Host != "client" || !v.after(e) {
			continue
		}
		if e.Source == record.TCP && e.Kind == record.KindError && e.TCP.Local == r.Local && e.TCP.Remote == r.Remote && e.Time <= until {
			last = e.TCP.Error
		}
		if e.Time > until && last == "" && e.Source == record.Syscall && e.Kind == record.KindCall && e.Syscall.FD == r.FD && len(e.Syscall.Ready) == 0 {
			if result := resultOf(e.Syscall); strings.HasPrefix(result, "E") && !slices.Contains([]string{"EAGAIN", "EOF", "EALREADY", "EINPROGRESS", "EISCONN"}, result) {
				return result
			}
		}
	}
	return last
}

// detection finds the system call that told the client.
func (v *view) detection() record.Detection {
	d := record.Detection{AfterFault: -1, AfterWrite: -1, AfterHeard: -1}
	if v.r.Fault.Kind == "" {
		return d
	}
	for _, e := range v.calls() {
		told := v.news(e)
		if told == "" {
			continue
		}
		d = record.Detection{
			Host: e.Host, PID: e.PID, Syscall: e.Syscall.Name, Error: told, Time: e.Time,
			AfterFault: e.Time - v.r.Fault.Time, AfterWrite: -1, AfterHeard: -1, Blocked: e.Syscall.Duration,
		}
		if w := v.firstWrite(); w != nil && w.Time <= e.Time {
			d.AfterWrite = e.Time - (w.Time - w.Syscall.Duration)
		}
		if heard := v.lastHeard(); heard != nil && heard.Time <= e.Time {
			d.AfterHeard = e.Time - heard.Time
		}
		for _, r := range v.ready(e.Syscall) {
			d.Events = r.Events
			break
		}
		return d
	}
	return d
}
