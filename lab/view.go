package lab

import (
	"math"
	"net/netip"
	"slices"
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
	fault  record.FaultInfo // the one that is looked at
	until  int64            // when the next one came
	parts  map[*record.Event]record.StreamPart
}

func newView(r *record.Record, server netip.AddrPort) *view {
	v := &view{
		r: r, server: server.String(), mac: map[string]string{}, parts: map[*record.Event]record.StreamPart{},
		fault: r.Fault, until: math.MaxInt64,
	}
	for _, h := range r.Hosts {
		v.mac[h.Name] = h.MAC
	}
	var s record.Streams
	for i := range r.Events {
		e := &r.Events[i]
		if part := s.Classify(e); part != record.NotOfStream {
			v.parts[e] = part
		}
		if v.client == "" && e.Host == "client" && e.Packet != nil && e.Packet.Proto == "tcp" && v.ofServer(e.Packet.Dst) {
			v.client = e.Packet.Src
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

// of is the view of one of several faults, until the next.
func (v *view) of(f record.FaultInfo, until int64) *view {
	other := *v
	other.fault, other.until = f, until
	return &other
}

// after tells whether the event came after the fault, and before the next.
func (v *view) after(e *record.Event) bool { return e.Time >= v.fault.Time && e.Time < v.until }

// during tells whether it came while the fault was in force: until the host,
// or the way to it, was back.
func (v *view) during(e *record.Event) bool {
	return v.after(e) && (v.fault.Back == 0 || e.Time < v.fault.Back)
}

// segments are the TCP segments of the connection as one host saw them after
// the fault.
func (v *view) segments(host, direction string) []*record.Event {
	return keep(v.segmentsSince(host, direction, v.fault.Time), v.after)
}

func (v *view) segmentsSince(host, direction string, since int64) []*record.Event {
	return v.events(func(e *record.Event) bool {
		return e.Source == record.Wire && e.Kind == direction && e.Host == host && e.Time >= since && e.Packet != nil && e.Packet.Proto == "tcp"
	})
}

func keep(events []*record.Event, f func(*record.Event) bool) []*record.Event {
	var kept []*record.Event
	for _, e := range events {
		if f(e) {
			kept = append(kept, e)
		}
	}
	return kept
}

// with keeps those that carry one of the flags.
func with(events []*record.Event, flags int) []*record.Event {
	return keep(events, func(e *record.Event) bool { return e.Packet.Flags&flags != 0 })
}

// withData keeps those that carry octets.
func withData(events []*record.Event) []*record.Event {
	return keep(events, func(e *record.Event) bool { return e.Packet.Len > 0 })
}

func before(events []*record.Event, t int64) []*record.Event {
	return keep(events, func(e *record.Event) bool { return e.Time < t })
}

// parted keeps those that are of one kind in their sender's stream.
func (v *view) parted(events []*record.Event, part record.StreamPart) []*record.Event {
	return keep(events, func(e *record.Event) bool { return v.parts[e] == part })
}

// calls are the returned system calls on the connection, after the fault, of
// the client's programs. A call that failed to connect has no connection, but
// was told an address.
func (v *view) calls() []*record.Event {
	return v.events(func(e *record.Event) bool {
		return e.Source == record.Syscall && e.Kind == record.KindCall && e.Host == "client" && v.after(e) &&
			(v.noted(e.Syscall.Local, e.Syscall.Remote) && e.Syscall.Socket ||
				len(v.r.Connections) == 0 && e.Syscall.Name == "connect" && v.ofServer(e.Syscall.Arg) || len(v.ready(e.Syscall)) > 0)
	})
}

// noted tells whether a connection is one that the client had at the fault; if
// it had none, whether it is with the server.
func (v *view) noted(local, remote string) bool {
	if len(v.r.Connections) == 0 {
		return v.ofServer(remote)
	}
	return slices.ContainsFunc(v.r.Connections, func(c record.Connection) bool { return c.Local == local && c.Remote == remote })
}

// ofServer tells whether an address and port is one of the server's: which
// port it is, its program decides.
func (v *view) ofServer(endpoint string) bool {
	return endpoint != "" && host(endpoint) == host(v.server)
}

// ready is what a call that waits for several sockets told of those that are
// such connections.
func (v *view) ready(c *record.Call) []record.Ready {
	var list []record.Ready
	for _, r := range c.Ready {
		if v.noted(r.Local, r.Remote) {
			list = append(list, r)
		}
	}
	return list
}

// lastHeard is the last segment of the server that the client received before
// the fault.
func (v *view) lastHeard() *record.Event {
	all := before(v.segmentsSince("client", record.KindIn, math.MinInt64), v.r.Fault.Time)
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1]
}

// firstWrite is the client's first successful write after the fault.
func (v *view) firstWrite() *record.Event {
	for _, e := range v.calls() {
		if isWrite(e.Syscall) {
			return e
		}
	}
	return nil
}

// isWrite tells whether a call wrote something.
func isWrite(c *record.Call) bool {
	switch c.Name {
	case "write", "writev", "sendto", "sendmsg":
		return c.Error == ""
	}
	return false
}

// retransmissions are the client's segments after the fault that carry what
// was sent before: the tail loss probe and what the timer sent.
func (v *view) retransmissions() []*record.Event {
	return v.parted(withData(v.segments("client", record.KindOut)), record.SentAgain)
}

// otherEnd is the host at the other end of the connection.
func otherEnd(host string) string {
	if host == "client" {
		return "server"
	}
	return "client"
}
