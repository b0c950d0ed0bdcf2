package lab

import (
	"net/netip"
	"strings"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// A view is a record with what the judges ask of it. It judges from the
// record alone: the same record always gets the same verdict.
type view struct {
	r      *record.Record
	server string // address and port of the connection's server end
	client string // that of its client end, as far as it is known
	mac    map[string]string
}

func newView(r *record.Record, server netip.AddrPort) *view {
	v := &view{r: r, server: server.String(), mac: map[string]string{}}
	for _, h := range r.Hosts {
		v.mac[h.Name] = h.MAC
	}
	for _, e := range r.Events {
		if e.Host == "client" && e.Packet != nil && e.Packet.Proto == "tcp" && e.Packet.Dst == v.server {
			v.client = e.Packet.Src
			break
		}
	}
	return v
}

// lacks tells why something was not observed, "" if it was.
func (v *view) lacks(observers ...string) string {
	for _, m := range v.r.Missing {
		for _, o := range observers {
			if m.Observer == o || strings.HasPrefix(m.Observer, o+":") && o != ObserveEBPF {
				return "not observed: " + m.Observer + ": " + m.Why
			}
		}
	}
	return ""
}

// events returns those that f holds for.
func (v *view) events(f func(*record.Event) bool) []*record.Event {
	var found []*record.Event
	for i := range v.r.Events {
		if f(&v.r.Events[i]) {
			found = append(found, &v.r.Events[i])
		}
	}
	return found
}

// after tells whether the event came after the fault.
func (v *view) after(e *record.Event) bool { return e.Time >= v.r.Fault.Time }

// segments are the TCP segments of the connection as one host saw them after
// the fault.
func (v *view) segments(host, direction string) []*record.Event {
	return v.events(func(e *record.Event) bool {
		return e.Source == record.Wire && e.Kind == direction && e.Host == host && v.after(e) && e.Packet.Proto == "tcp"
	})
}

// with keeps those that carry one of the flags.
func with(events []*record.Event, flags int) []*record.Event {
	var kept []*record.Event
	for _, e := range events {
		if e.Packet.Flags&flags != 0 {
			kept = append(kept, e)
		}
	}
	return kept
}

// withData keeps those that carry octets.
func withData(events []*record.Event) []*record.Event {
	var kept []*record.Event
	for _, e := range events {
		if e.Packet.Len > 0 {
			kept = append(kept, e)
		}
	}
	return kept
}

// calls are the returned system calls on the connection, after the fault, of
// the client's programs.
func (v *view) calls() []*record.Event {
	return v.events(func(e *record.Event) bool {
		return e.Source == record.Syscall && e.Kind == record.KindCall && e.Host == "client" && v.after(e) &&
			e.Syscall.Socket && e.Syscall.Remote == v.server
	})
}

// detection finds the system call that told the client.
func (v *view) detection() record.Detection {
	d := record.Detection{AfterFault: -1, AfterWrite: -1}
	if v.r.Fault.Kind == "" {
		return d
	}
	for _, e := range v.calls() {
		result := resultOf(e.Syscall)
		if result == "ok" || result == "EINTR" || strings.HasPrefix(result, "ERESTART") {
			continue
		}
		d = record.Detection{
			Host: e.Host, PID: e.PID, Syscall: e.Syscall.Name, Error: result, Time: e.Time,
			AfterFault: e.Time - v.r.Fault.Time, AfterWrite: -1,
		}
		if w := v.firstWrite(); w != nil && w.Time <= e.Time {
			d.AfterWrite = e.Time - (w.Time - w.Syscall.Duration)
		}
		return d
	}
	return d
}

// firstWrite is the client's first successful write after the fault.
func (v *view) firstWrite() *record.Event {
	for _, e := range v.calls() {
		switch e.Syscall.Name {
		case "write", "writev", "sendto", "sendmsg":
			if e.Syscall.Error == "" {
				return e
			}
		}
	}
	return nil
}

// retransmissions are the client's segments after the fault that carry what
// was sent before: the tail loss probe and what the timer sent.
func (v *view) retransmissions() []*record.Event {
	var again []*record.Event
	highest, any := uint32(0), false
	for _, e := range withData(v.segments("client", record.KindOut)) {
		end := e.Packet.Seq + uint32(e.Packet.Len)
		if any && int32(end-highest) <= 0 {
			again = append(again, e)
			continue
		}
		highest, any = end, true
	}
	return again
}
