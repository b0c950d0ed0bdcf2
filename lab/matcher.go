package lab

import (
	"context"
	"errors"
	"slices"
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

	lastData, lastAck *record.Event // of an Idle pattern
	highest           uint32        // of a Resend pattern: the end of what was sent
	sent              bool
	asked             time.Time // of a State pattern: when sock_diag was asked last
}

// look implements the callback of timeline.await.
func (m *matcher) look(events []record.Event) bool {
	for i := range events {
		ev := &events[i]
		if m.pattern.Idle {
			if m.idle(ev) {
				return true
			}
		} else if ev.Time >= m.since && m.matches(ev) {
			m.found = ev
			return true
		}
	}
	switch {
	case m.pattern.State != "":
		return m.reached()
	case m.pattern.Exit: // is known from the init, whoever else observes
		return m.ended()
	case m.pattern.Block != "":
		return m.blocked()
	}
	return false
}

// reached asks sock_diag for the state. Now and then, when other tracers come
// and go, the kernel does not call a tracepoint's programs; the socket's state
// is as true then.
func (m *matcher) reached() bool {
	if !m.polled() || m.e.options.without(ObserveSockets) {
		return false
	}
	h, err := m.e.net.Host(m.pattern.Host)
	if err != nil {
		return false
	}
	row, err := m.e.connection(h)
	if err != nil || row.State != m.pattern.State {
		return false
	}
	ev := record.Event{
		Time: m.e.clock.Now(), Host: h.Name, Boot: h.Boot(), Source: record.Socket, Kind: record.KindState,
		Text:  "read by sock_diag: the kernel did not report the change",
		State: &record.State{Local: row.Local, Remote: row.Remote, From: m.e.lastState(h.Name), To: row.State},
	}
	m.e.timeline.add(ev)
	m.found = &ev
	return true
}

// lastState is the last state of the host's connection that was reported.
func (e *Experiment) lastState(host string) string {
	last := "CLOSE"
	for _, ev := range e.timeline.all() {
		if ev.Kind == record.KindState && ev.Host == host && ev.State.Remote != "" {
			last = ev.State.To
		}
	}
	return last
}

// pollState is how often sock_diag is asked for a state that was not reported.
const pollState = 200 * time.Millisecond

// polled tells whether it is time to ask.
func (m *matcher) polled() bool {
	now := time.Now()
	if m.asked.IsZero() {
		m.asked = now // the report has its time first
	}
	if now.Sub(m.asked) < pollState {
		return false
	}
	m.asked = now
	return true
}

// blocked asks the kernel which system calls are under way. Only one that
// began after the last thing that the scenario did is what is waited for.
func (m *matcher) blocked() bool {
	calls, err := m.e.watch.tracer.InFlight()
	if err != nil {
		return false // not known now; it is asked again
	}
	for i := range calls {
		ev := &calls[i]
		if ev.Time >= m.e.acted && m.by(ev) && ev.Syscall.Name == m.pattern.Block && m.on(ev.Syscall) {
			m.found = ev
			return true
		}
	}
	return false
}

// idle looks for the acknowledgement of the last data that the host sent.
// Packets are told of in blocks, so that their order is to be made first.
func (m *matcher) idle(ev *record.Event) bool {
	if ev.Source != record.Wire || ev.Host != m.pattern.Host || ev.Packet == nil || ev.Packet.Proto != "tcp" {
		return false
	}
	if ev.Kind == record.KindOut && ev.Packet.Len > 0 && (m.lastData == nil || ev.Time > m.lastData.Time) {
		m.lastData = ev
	}
	if ev.Kind == record.KindIn && (m.lastAck == nil || ev.Time > m.lastAck.Time) {
		m.lastAck = ev
	}
	if m.lastData == nil || m.lastAck == nil ||
		m.lastAck.Packet.Ack != m.lastData.Packet.Seq+uint32(m.lastData.Packet.Len) {
		return false
	}
	m.found = m.lastAck
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
		if result := resultOf(ev.Syscall); p.Result != "" && result != p.Result && !m.foreseen(result) {
			if m.near == nil {
				m.near = ev
			}
			return false
		}
		return true
	case p.Resend:
		return ev.Source == record.TCP && (ev.Kind == record.KindRetransmit || ev.Kind == record.KindTLP) || m.again(ev)
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

// foreseen tells whether a result is as good as the one that the scenario
// names, because the kernel's rules leave several.
func (m *matcher) foreseen(result string) bool {
	return m.pattern.Detection && slices.Contains(m.e.prediction.Errors, result) &&
		slices.Contains(m.e.prediction.Errors, m.pattern.Result)
}

// again tells whether a packet carries only what was sent before.
func (m *matcher) again(ev *record.Event) bool {
	if ev.Source != record.Wire || ev.Kind != record.KindOut || ev.Packet == nil || ev.Packet.Len == 0 {
		return false
	}
	end := ev.Packet.Seq + uint32(ev.Packet.Len)
	if m.sent && int32(end-m.highest) <= 0 {
		return true
	}
	m.highest, m.sent = end, true
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
		if e.watch.tracer == nil || e.watch.lacks(ObserveEBPF+":inet_sock_set_state") {
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
	wait := scenarios.DefaultWithin / 150
	if s.Event.Detection {
		wait = margin(time.Duration(e.prediction.Max + e.prediction.Tolerance))
	}
	if s.Never {
		wait = s.Within
	}
	waiting, cancel := context.WithTimeoutCause(ctx, wait, errNotSeen)
	defer cancel()
	since := e.cursor
	err := e.timeline.await(waiting, func(events []record.Event) bool {
		for _, ev := range events {
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
