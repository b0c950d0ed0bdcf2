package lab

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

// A matcher looks for a pattern among the events.
type matcher struct {
	e       *Experiment
	pattern scenarios.Pattern
	since   int64

	found *record.Event
	near  *record.Event // the first of the kind with another result
}

// look implements the callback of timeline.await.
func (m *matcher) look(events []record.Event, seen int) bool {
	if m.pattern.Block != "" {
		return m.blocked(events)
	}
	if m.pattern.Idle {
		return m.idle(events)
	}
	for i := range events[seen:] {
		ev := &events[seen+i]
		if ev.Time >= m.since && m.matches(ev) {
			m.found = ev
			return true
		}
	}
	// A program's end is known from its init, whoever else observes.
	if m.pattern.Exit {
		return m.ended()
	}
	return false
}

// blocked looks for a thread whose last event is the entry into the call. The
// kernel's events of one thread come in the order of their times.
func (m *matcher) blocked(events []record.Event) bool {
	last := map[int]*record.Event{}
	for i := range events {
		ev := &events[i]
		if ev.Source == record.Syscall && m.by(ev) {
			last[threadOf(*ev)] = ev
		}
	}
	for _, ev := range last {
		if ev.Kind == record.KindEnter && ev.Syscall.Name == m.pattern.Block && m.on(ev.Syscall) {
			m.found = ev
			return true
		}
	}
	return false
}

// idle looks for the acknowledgement of the last data that the host sent.
// Packets are told of in blocks, so that their order is to be made first.
func (m *matcher) idle(events []record.Event) bool {
	var last, ack *record.Event
	for i := range events {
		ev := &events[i]
		if ev.Source != record.Wire || ev.Host != m.pattern.Host || ev.Packet == nil || ev.Packet.Proto != "tcp" {
			continue
		}
		if ev.Kind == record.KindOut && ev.Packet.Len > 0 && (last == nil || ev.Time > last.Time) {
			last = ev
		}
		if ev.Kind == record.KindIn && (ack == nil || ev.Time > ack.Time) {
			ack = ev
		}
	}
	if last == nil || ack == nil || ack.Packet.Ack != last.Packet.Seq+uint32(last.Packet.Len) {
		return false
	}
	m.found = ack
	return true
}

// by tells whether the event is the pattern's program's or host's.
func (m *matcher) by(ev *record.Event) bool {
	if m.pattern.Program == "" {
		return m.pattern.Host == "" || ev.Host == m.pattern.Host
	}
	p, err := m.e.find(m.pattern.Program)
	return err == nil && ev.Host == p.process.Host.Name && ev.Boot == p.boot && ev.PID == p.process.PID
}

// on tells whether a call is on what the pattern means: standard input, or
// the connection.
func (m *matcher) on(c *record.Call) bool {
	if m.pattern.Input {
		return c.FD == 0
	}
	return c.Socket
}

func (m *matcher) matches(ev *record.Event) bool {
	p := m.pattern
	if p.Exit || !m.by(ev) {
		return false
	}
	switch {
	case p.State != "":
		return ev.Source == record.Socket && ev.Kind == record.KindState && ev.State.To == p.State
	case p.Call != "":
		if ev.Source != record.Syscall || ev.Kind != record.KindCall || ev.Syscall.Name != p.Call || !m.on(ev.Syscall) {
			return false
		}
		if p.Result != "" && resultOf(ev.Syscall) != p.Result {
			if m.near == nil {
				m.near = ev
			}
			return false
		}
		return true
	case p.Resend:
		return ev.Source == record.TCP && (ev.Kind == record.KindRetransmit || ev.Kind == record.KindTLP)
	case p.Reaped:
		return ev.Source == record.Syscall && ev.Kind == record.KindCall &&
			(ev.Syscall.Name == "wait4" || ev.Syscall.Name == "waitid") && ev.Syscall.Ret > 0
	case p.Flags != "":
		return ev.Source == record.Wire && ev.Kind == record.KindOut && ev.Packet.Flags&flagOf(p.Flags) != 0
	case p.Data:
		return ev.Source == record.Wire && ev.Kind == record.KindIn && ev.Packet.Len > 0
	case p.Output != "":
		return ev.Source == record.Output && strings.Contains(ev.Text, p.Output)
	}
	return false
}

// ended looks at the program itself.
func (m *matcher) ended() bool {
	p, err := m.e.find(m.pattern.Program)
	if err != nil {
		return false
	}
	select {
	case <-p.process.Done():
		m.found = &record.Event{
			Time: m.e.clock.Now(), Host: p.process.Host.Name, Boot: p.boot, Source: record.Process, Kind: record.KindExit,
			PID: p.process.PID, Comm: p.name, Process: &record.ProcEvent{},
		}
		if d := p.describe(); d.Signal != "" {
			m.found.Process.Signal = d.Signal
		} else {
			m.found.Process.Status = d.Exit
		}
		return true
	default:
		return false
	}
}

// resultOf names a call's result as scenarios do: "ok" for more than 0, "EOF"
// for a read of 0, or errno's name.
func resultOf(c *record.Call) string {
	switch {
	case c.Error != "":
		return c.Error
	case c.Ret == 0 && isRead(c.Name):
		return "EOF"
	}
	return "ok"
}

func isRead(call string) bool {
	switch call {
	case "read", "readv", "recvfrom", "recvmsg":
		return true
	}
	return false
}

func flagOf(name string) int {
	switch name {
	case "FIN":
		return record.FlagFIN
	case "SYN":
		return record.FlagSYN
	case "RST":
		return record.FlagRST
	}
	return 0
}

// blind says why a pattern cannot be seen in this run, "" if it can.
func (e *Experiment) blind(p scenarios.Pattern) string {
	lacks := func(observers ...string) string {
		for _, o := range observers {
			for _, m := range e.watch.missing {
				if m.Observer == o {
					return "not observed: " + o + ": " + m.Why
				}
			}
		}
		return ""
	}
	switch {
	case p.State != "":
		if e.watch.tracer == nil {
			return lacks(ObserveSockets)
		}
		return ""
	case p.Call != "" || p.Block != "" || p.Reaped:
		return lacks(ObserveEBPF, ObserveEBPF+":sys_enter", ObserveEBPF+":sys_exit")
	case p.Resend:
		return lacks(ObserveEBPF, ObserveEBPF+":tcp_retransmit_skb")
	case p.Flags != "" || p.Data || p.Idle:
		return lacks(ObserveWire)
	}
	return ""
}

// substitute waits for another trace of something that cannot be observed:
// what a client is told it says, or ends of. Without, the steps would run
// ahead of the programs.
func (e *Experiment) substitute(ctx context.Context, s scenarios.Expect) error {
	wait := scenarios.DefaultWithin / 50
	if s.Event.Detection {
		wait = margin(time.Duration(e.prediction.Max + e.prediction.Tolerance))
	}
	if s.Never {
		wait = s.Within
	}
	waiting, cancel := context.WithTimeoutCause(ctx, wait, errNotSeen)
	defer cancel()
	since := e.cursor
	err := e.timeline.await(waiting, func(events []record.Event, seen int) bool {
		for _, ev := range events[seen:] {
			if s.Event.Detection && ev.Source == record.Output && ev.Host == "client" && ev.Time >= since {
				return true
			}
		}
		return false
	})
	if errors.Is(err, errNotSeen) {
		return nil
	}
	return err
}
