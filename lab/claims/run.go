package claims

import (
	"math"
	"slices"
	"strings"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// A run is a record with what the judges ask of it.
type run struct {
	*record.Record
	// The ends of the connection, as addresses with ports, and the client's
	// process; empty where no connect was seen.
	client, server string
	clientPID      int
	// What left the client of the connection: octets for the first time,
	// octets once more, and probes, which have none (tcp_xmit_probe_skb).
	fresh, repeated, probes []*record.Event
}

func newRun(r *record.Record) *run {
	v := &run{Record: r}
	if c := v.first(on("client"), call("connect"), succeeded); c != nil {
		v.client, v.server, v.clientPID = c.Syscall.Local, c.Syscall.Remote, c.PID
	}
	v.sort()
	return v
}

// sort tells the client's segments apart.
func (r *run) sort() {
	var s record.Streams
	for _, e := range r.find(on("client"), out, tcp) {
		part := s.Classify(e)
		switch {
		case e.Packet.Src != r.client:
		case part == record.Probe:
			r.probes = append(r.probes, e)
		case e.Packet.Len == 0:
		case part == record.Fresh:
			r.fresh = append(r.fresh, e)
		case part == record.SentAgain:
			r.repeated = append(r.repeated, e)
		}
	}
}

// A test is a question to an event.
type test func(*record.Event) bool

// find returns the events that pass all tests, in their order.
func (r *run) find(tests ...test) []*record.Event {
	var found []*record.Event
	for i := range r.Events {
		e := &r.Events[i]
		if !slices.ContainsFunc(tests, func(t test) bool { return !t(e) }) {
			found = append(found, e)
		}
	}
	return found
}

// first returns the first of them, nil if there is none.
func (r *run) first(tests ...test) *record.Event { return first(r.find(tests...)) }

func first(events []*record.Event) *record.Event {
	if len(events) == 0 {
		return nil
	}
	return events[0]
}

// keep returns those events that pass all tests.
func keep(events []*record.Event, tests ...test) []*record.Event {
	return slices.DeleteFunc(slices.Clone(events), func(e *record.Event) bool {
		return slices.ContainsFunc(tests, func(t test) bool { return !t(e) })
	})
}

// at makes an event the deciding one.
func (r *run) at(e *record.Event) moment { return moment{run: r, event: e} }

// fault passes what came after the fault.
func (r *run) fault(e *record.Event) bool { return e.Time >= r.Fault.Time }

// conn passes a call of the client's process on the connection.
func (r *run) conn(e *record.Event) bool {
	return e.Host == "client" && e.PID == r.clientPID && e.Syscall != nil && e.Syscall.Socket && e.Syscall.Remote == r.server && r.server != ""
}

func on(host string) test { return func(e *record.Event) bool { return e.Host == host } }
func of(pid int) test     { return func(e *record.Event) bool { return e.PID == pid } }

// since and until bound the time: from t on, and before t.
func since(t int64) test { return func(e *record.Event) bool { return e.Time >= t } }
func until(t int64) test { return func(e *record.Event) bool { return e.Time < t } }

func packet(e *record.Event) bool { return e.Source == record.Wire && e.Packet != nil }
func out(e *record.Event) bool    { return packet(e) && e.Kind == record.KindOut }
func in(e *record.Event) bool     { return packet(e) && e.Kind == record.KindIn }
func tcp(e *record.Event) bool    { return packet(e) && e.Packet.Proto == "tcp" }
func data(e *record.Event) bool   { return tcp(e) && e.Packet.Len > 0 }
func arrived(e *record.Event) bool {
	return packet(e) && e.Packet.Fate == record.FateArrived
}
func icmpError(e *record.Event) bool { return packet(e) && e.Packet.ICMPError() }

// flag passes segments that carry one of the flags.
func flag(flags int) test {
	return func(e *record.Event) bool { return tcp(e) && e.Packet.Flags&flags != 0 }
}

// call passes returned system calls of these names.
func call(names ...string) test {
	return func(e *record.Event) bool {
		return e.Source == record.Syscall && e.Kind == record.KindCall && slices.Contains(names, e.Syscall.Name)
	}
}

var waits = []string{"poll", "ppoll", "select", "pselect6", "epoll_wait", "epoll_pwait"}

func fd(n int) test {
	return func(e *record.Event) bool { return e.Syscall != nil && e.Syscall.FD == n }
}

func succeeded(e *record.Event) bool {
	return e.Syscall != nil && e.Syscall.Error == "" && e.Syscall.Ret >= 0
}

// moved passes calls that moved octets.
func moved(e *record.Event) bool { return succeeded(e) && e.Syscall.Ret > 0 }

// endOfFile passes reads of 0 octets, failed those with that error.
func endOfFile(e *record.Event) bool { return succeeded(e) && e.Syscall.Ret == 0 }

func failed(errno string) test {
	return func(e *record.Event) bool { return e.Syscall != nil && e.Syscall.Error == errno }
}

// interrupted passes calls that a signal ended, and that the kernel means to
// begin again by itself (ERESTARTSYS).
func interrupted(e *record.Event) bool {
	return e.Syscall != nil && strings.HasPrefix(e.Syscall.Error, "ERESTART")
}

// with passes calls that read or wrote that.
func with(text string) test {
	return func(e *record.Event) bool { return e.Syscall != nil && e.Syscall.Data == text }
}

// entered is when a call began.
func entered(e *record.Event) int64 { return e.Time - e.Syscall.Duration }

func proc(kind string) test {
	return func(e *record.Event) bool { return e.Source == record.Process && e.Kind == kind && e.Process != nil }
}

func signal(name string) test {
	return func(e *record.Event) bool {
		return proc(record.KindSignal)(e) && e.Process.Signal == name
	}
}

func exit(e *record.Event) bool { return proc(record.KindExit)(e) }

func childOf(pid int) test {
	return func(e *record.Event) bool {
		return proc(record.KindFork)(e) && e.Process.Parent == pid
	}
}

// step passes what the scenario did.
func step(kind string) test {
	return func(e *record.Event) bool { return e.Source == record.Step && e.Kind == kind }
}

// told is the client's first call on the connection after the fault that says
// that the peer is gone: an error, or end of file. A call that does not wait
// returns EAGAIN at once, and a read whose own time is up later.
func (r *run) told() *record.Event {
	return r.first(r.conn, r.fault, func(e *record.Event) bool {
		c := e.Syscall
		switch {
		case e.Kind != record.KindCall:
			return false
		case c.Error == "EAGAIN":
			return c.Duration > 1e6
		case c.Error != "":
			return c.Error != "EINTR" && c.Error != "EINPROGRESS" && !interrupted(e)
		}
		return c.Name == "read" && c.Ret == 0
	})
}

// wrote is the client's first write on the connection after the fault that
// moved octets.
func (r *run) wrote() *record.Event { return r.first(r.conn, r.fault, call("write"), moved) }

// typed is the first line that the user typed after the fault.
func (r *run) typed() *record.Event { return r.first(step("type"), r.fault) }

// acknowledges is the first segment of a host that acknowledges a FIN.
func (r *run) acknowledges(host string, fin *record.Event) *record.Event {
	want := fin.Packet.Seq + uint32(fin.Packet.Len) + 1
	return r.first(on(host), out, flag(record.FlagACK), since(fin.Time), func(e *record.Event) bool {
		return int32(e.Packet.Ack-want) >= 0
	})
}

// row finds the connection in a host's socket tables after the fault.
func (r *run) row(host string) (moment, record.SocketRow) {
	local, remote := r.client, r.server
	if host == "server" {
		local, remote = remote, local
	}
	for _, e := range r.find(on(host), r.fault) {
		for _, s := range e.Sockets {
			if s.Local == local && s.Remote == remote {
				return moment{r, e, "socket table: " + s.Local + " " + s.State}, s
			}
		}
	}
	return moment{}, record.SocketRow{}
}

// socket finds the first socket of a host's tables after the fault that f holds
// for.
func (r *run) socket(host string, f func(record.SocketRow) bool) (moment, *record.SocketRow) {
	for _, e := range r.find(on(host), r.fault) {
		for i, s := range e.Sockets {
			if f(s) {
				return r.at(e), &e.Sockets[i]
			}
		}
	}
	return moment{}, nil
}

// heard is what of the connection's peer, or of a router, reached the client
// between two times.
func (r *run) heard(from, to int64) []*record.Event {
	return r.find(on("client"), in, since(from), until(to), func(e *record.Event) bool { return tcp(e) || icmpError(e) })
}

const ever = math.MaxInt64

func span(ns int64) string { return record.Span(ns) }
