package lab

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
)

// A matcher looks for the events of an expectation.
type matcher struct {
	e      *Experiment
	expect scenarios.Expect
	since  int64
	until  int64 // what comes later does not count
	// patient: programs may still be started.
	patient bool

	found *record.Event
	over  string // why no such event can come any more
	count int
	near  *record.Event // the first of the kind with another result

	streams            record.Streams          // for Sends, Receives, Retransmits
	exchanges          map[[2]string]*exchange // for Acknowledged, by the ends
	begun              time.Time               // when it was looked for first
	asked              time.Time               // when the kernel was asked last
	lastRetransmission int64
}

// look implements the callback of timeline.await.
func (m *matcher) look(events []record.Event) bool {
	return m.sees(events) || m.mayAsk() && m.ask() || !m.expect.Never && !m.patient && m.hopeless()
}

// sees is look for what there is an event of, and not what the kernel has to be
// asked for.
func (m *matcher) sees(events []record.Event) bool {
	for i := range events {
		ev := &events[i]
		part := m.streams.Classify(ev)
		if m.expect.Event.What == scenarios.Acknowledged {
			if m.acknowledged(ev) {
				return true
			}
		} else if ev.Time >= m.since && ev.Time <= m.until && m.matches(ev, part) {
			if m.count++; m.count >= m.expect.Times {
				m.found = ev
				return true
			}
		}
	}
	return false
}

// lastWords is how long after the end of its programs a host may still be
// told of by an observer. The timeline is poked then.
const lastWords = time.Second

// hopeless tells whether what is waited for is a doing of programs that have
// all ended.
func (m *matcher) hopeless() bool {
	switch m.expect.Event.What {
	case scenarios.Call, scenarios.Blocked, scenarios.Prints, scenarios.Exits:
	default:
		return false
	}
	ended := ""
	for _, p := range m.e.programs {
		if who := m.expect.Event.Who; p.name != who && !(m.e.isHost(who) && p.process.Host.Name == who) {
			continue
		}
		at, ok := p.ended()
		if !ok || time.Since(at) < lastWords {
			return false
		}
		ended = p.argv[0] + " had ended"
	}
	m.over = ended
	return ended != ""
}

// pollEvery is how often the kernel is asked for what it does not tell, 0
// where it tells all.
func (m *matcher) pollEvery() time.Duration {
	switch m.expect.Event.What {
	case scenarios.Blocked: // nothing tells that a call has begun
		return 2 * time.Millisecond
	case scenarios.Timer, scenarios.Zombies:
		return 20 * time.Millisecond
	case scenarios.Socket: // what tells of a state may fail to
		if m.expect.Event.State == scenarios.NoSocket {
			return 20 * time.Millisecond
		}
		return 200 * time.Millisecond
	}
	return 0
}

// due is in how long the connection's timer fires, if that is what may change
// what is waited for: soon after an event other things may.
func (m *matcher) due(quiet time.Duration) (in time.Duration, known bool) {
	if quiet < m.pollEvery() {
		return 0, false
	}
	switch m.expect.Event.What {
	case scenarios.Socket, scenarios.Timer:
	default:
		return 0, false
	}
	h, ok := m.host()
	if !ok {
		return 0, false
	}
	row, err := m.e.connection(h)
	if err != nil || row.Timer == "" {
		return 0, false
	}
	return max(time.Duration(row.Expires), overdue), true
}

// overdue is how long is waited for a timer that was due: the kernel's wheel lets
// it fire up to an eighth of its time later.
const overdue = 100 * time.Millisecond

// mayAsk tells whether it is time to ask.
func (m *matcher) mayAsk() bool {
	now := time.Now()
	if m.begun.IsZero() {
		m.begun = now
		if m.expect.Event.What == scenarios.Socket && m.expect.Event.State != scenarios.NoSocket {
			m.asked = now // the report has its time first
		}
	}
	if every := m.pollEvery(); every > 0 && now.Sub(m.asked) < every {
		return false
	}
	m.asked = now
	return true
}

// ask looks at what the kernel does not tell of itself.
func (m *matcher) ask() bool {
	switch m.expect.Event.What {
	case scenarios.Socket:
		if m.expect.Event.State == scenarios.NoSocket {
			return m.gone()
		}
		return m.reached()
	case scenarios.Exits: // is known from the init, whoever else observes
		return m.ended()
	case scenarios.Blocked:
		return m.blocked()
	case scenarios.Timer:
		return m.timer()
	case scenarios.Zombies:
		return m.zombies()
	}
	return false
}

func (m *matcher) host() (*topology.Host, bool) {
	h, err := m.e.net.Host(m.expect.Event.Who)
	return h, err == nil
}

// read makes an event of something that was read, not told of.
func (m *matcher) read(h *topology.Host, ev record.Event) bool {
	ev.Time, ev.Host, ev.Boot = m.e.clock.Now(), h.Name, h.Boot()
	m.e.timeline.add(ev)
	m.found = &ev
	return true
}

// reached asks sock_diag for the state. Some kernels do not call a tracepoint's
// programs for what happens in an interrupt on top of certain processes, and of
// TIME_WAIT and a half-open request no kernel tells; the socket's state is as
// true then.
func (m *matcher) reached() bool {
	h, ok := m.host()
	if !ok || m.e.options.without(ObserveSockets) {
		return false
	}
	want := m.expect.Event.State
	row, err := m.e.connection(h)
	if err != nil || row.State != want {
		return false
	}
	state := &record.State{Local: row.Local, Remote: row.Remote, From: m.e.lastState(h.Name), To: row.State}
	text := "read by sock_diag: the kernel did not report the change"
	switch {
	case want == "TIME_WAIT" || want == "SYN_RECV":
		text, state.From = "read by sock_diag: the kernel reports no such change", ""
	case state.From == want:
		return m.read(h, record.Event{Source: record.Step, Kind: "seen", Text: "the connection is still " + want})
	}
	return m.read(h, record.Event{Source: record.Socket, Kind: record.KindState, Text: text, State: state})
}

// gone asks sock_diag whether the connection is no more.
func (m *matcher) gone() bool {
	h, ok := m.host()
	if !ok {
		return false
	}
	if _, err := m.e.connection(h); !errors.Is(err, errNoConnection) || !m.e.connectedOnce(h.Name) {
		return false
	}
	return m.read(h, record.Event{Source: record.Step, Kind: "seen", Text: "the connection is in no socket table any more"})
}

func (m *matcher) timer() bool {
	h, ok := m.host()
	if !ok {
		return false
	}
	row, err := m.e.connection(h)
	if err != nil {
		return false
	}
	timer := row.Timer
	if timer == "" {
		timer = "none"
	}
	if timer != m.expect.Event.Timer {
		return false
	}
	text := "the connection has no timer"
	if row.Timer != "" {
		text = fmt.Sprintf("the connection's %s timer is due in %s", timer, record.Span(row.Expires))
	}
	return m.read(h, record.Event{Source: record.Step, Kind: "seen", Text: text})
}

func (m *matcher) zombies() bool {
	h, ok := m.host()
	if !ok {
		return false
	}
	all, err := h.Processes()
	if err != nil {
		return false
	}
	var ids []string
	for _, p := range all {
		if p.State == 'Z' && p.Threads <= 1 {
			ids = append(ids, strconv.Itoa(p.PID))
		}
	}
	if len(ids) != m.expect.Event.Number {
		return false
	}
	text := "no zombie"
	if len(ids) > 0 {
		text = fmt.Sprintf("%s: %s", count(len(ids), "zombie"), strings.Join(ids, ", "))
	}
	return m.read(h, record.Event{Source: record.Step, Kind: "seen", Text: text})
}

// connectedOnce tells whether the host ever had a connection: what never was
// is not gone.
func (e *Experiment) connectedOnce(host string) bool {
	for _, ev := range e.timeline.all() {
		if ev.Kind == record.KindState && ev.Host == host && ev.State.Remote != "" || ev.Host == host && ev.Packet != nil && ev.Packet.Proto == "tcp" {
			return true
		}
	}
	return false
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

// blocked asks the kernel which system calls are under way. Only one that
// began after the last thing that the scenario did is what is waited for.
func (m *matcher) blocked() bool {
	calls, err := m.e.watch.tracing.InFlight()
	if err != nil {
		return false // not known now; it is asked again
	}
	for i := range calls {
		ev := &calls[i]
		if ev.Time >= m.since && m.by(ev) && sameCall(ev.Syscall.Name, m.expect.Event.Call) && m.on(ev.Syscall) {
			m.found = ev
			return true
		}
	}
	return false
}

// acknowledged looks for the acknowledgement of the last data that the host
// sent on a connection, some of it since the expectation counts. Packets are
// told of in blocks, so that their order is to be made first.
func (m *matcher) acknowledged(ev *record.Event) bool {
	if ev.Source != record.Wire || ev.Host != m.expect.Event.Who || ev.Packet == nil || ev.Packet.Proto != "tcp" {
		return false
	}
	p := ev.Packet
	key := [2]string{p.Src, p.Dst}
	if ev.Kind == record.KindIn {
		key = [2]string{p.Dst, p.Src}
	}
	if m.exchanges == nil {
		m.exchanges = map[[2]string]*exchange{}
	}
	x := m.exchanges[key]
	if x == nil {
		x = &exchange{}
		m.exchanges[key] = x
	}
	switch {
	case ev.Kind == record.KindOut && p.Len > 0 && (x.data == nil || ev.Time > x.data.Time):
		x.data = ev
	case ev.Kind == record.KindIn && (x.ack == nil || ev.Time > x.ack.Time):
		x.ack = ev
	}
	if x.data == nil || x.ack == nil || x.data.Time < m.since ||
		x.ack.Packet.Ack != x.data.Packet.Seq+uint32(x.data.Packet.Len) {
		return false
	}
	m.found = x.ack
	return true
}

// An exchange is the last data that a host sent on a connection, and the last
// segment that it got there.
type exchange struct{ data, ack *record.Event }

// by tells whether the event is the host's or the program's that is meant.
func (m *matcher) by(ev *record.Event) bool {
	who := m.expect.Event.Who
	if p := m.e.started(who); p != nil && !m.e.isHost(who) {
		return ev.Host == p.process.Host.Name && ev.Boot == p.boot && ev.PID == p.process.PID
	}
	return ev.Host == who
}

// on tells whether a call is on what is meant: standard input, or a TCP
// socket. A call that waits for several descriptors is on all of them.
func (m *matcher) on(c *record.Call) bool {
	switch {
	case m.expect.Event.Input:
		return c.FD == 0
	case isWait(c.Name):
		return true
	}
	return c.Socket
}

func (m *matcher) matches(ev *record.Event, part record.StreamPart) bool {
	p := m.expect.Event
	if !m.by(ev) {
		return false
	}
	switch p.What {
	case scenarios.Socket:
		return ev.Source == record.Socket && ev.Kind == record.KindState && ev.State.To == p.State
	case scenarios.Call:
		return m.returned(ev)
	case scenarios.Retransmits:
		return m.retransmits(ev, part)
	case scenarios.Reaps:
		return ev.Source == record.Syscall && ev.Kind == record.KindCall &&
			(ev.Syscall.Name == "wait4" || ev.Syscall.Name == "waitid") && ev.Syscall.Ret > 0
	case scenarios.Sends:
		return ev.Source == record.Wire && ev.Kind == record.KindOut && isPacket(ev.Packet, p.Packet, part)
	case scenarios.Receives:
		return ev.Source == record.Wire && ev.Kind == record.KindIn && isPacket(ev.Packet, p.Packet, part)
	case scenarios.Prints:
		return ev.Source == record.Output && strings.Contains(ev.Text, p.Text)
	case scenarios.Gets:
		return ev.Source == record.Process && ev.Kind == record.KindSignal && ev.Process.Signal == p.Signal
	case scenarios.Error:
		return ev.Source == record.TCP && ev.Kind == record.KindError && ev.TCP.Error == p.Errno
	}
	return false
}

// returned matches a system call with its result.
func (m *matcher) returned(ev *record.Event) bool {
	p := m.expect.Event
	if ev.Source != record.Syscall || ev.Kind != record.KindCall || !sameCall(ev.Syscall.Name, p.Call) || !m.on(ev.Syscall) {
		return false
	}
	if result := resultOf(ev.Syscall); p.Result != "" && result != p.Result && !m.foreseen(result) {
		if m.near == nil {
			m.near = ev
		}
		return false
	}
	return true
}

// retransmits matches one by the kernel's word or, where that was not heard,
// by the wire.
func (m *matcher) retransmits(ev *record.Event, part record.StreamPart) bool {
	told := ev.Source == record.TCP && (ev.Kind == record.KindRetransmit || ev.Kind == record.KindTLP)
	if !told && !(ev.Kind == record.KindOut && part == record.SentAgain) {
		return false
	}
	// The two tell of the same one within a millisecond or so.
	if m.lastRetransmission != 0 && ev.Time-m.lastRetransmission < int64(5*time.Millisecond) {
		return false
	}
	m.lastRetransmission = ev.Time
	return true
}

// foreseen tells whether a result is as good as the one that the scenario
// names, because the kernel's rules leave several.
func (m *matcher) foreseen(result string) bool {
	return m.expect.Detection && slices.Contains(m.e.prediction.Errors, result) &&
		slices.Contains(m.e.prediction.Errors, m.expect.Event.Result)
}

// ended looks at the program itself.
func (m *matcher) ended() bool {
	p := m.e.started(m.expect.Event.Who)
	if p == nil {
		return false
	}
	at, ok := p.ended()
	if !ok {
		return false
	}
	d := p.describe()
	ago := time.Since(at)
	ev := &record.Event{
		Time: m.e.clock.Now() - int64(ago), Host: p.process.Host.Name, Boot: p.boot, Source: record.Process, Kind: record.KindExit,
		PID: p.process.PID, Comm: p.argv[0], Process: &record.ProcEvent{Signal: d.Signal},
	}
	end := d.Signal
	if end == "" {
		ev.Process.Status = d.Exit
		end = strconv.Itoa(d.Exit)
	}
	if m.patient && ev.Time < m.since {
		return false // another of the name may come
	}
	if want := m.expect.Event.End; want != "" && want != end {
		m.near = ev
		return false
	}
	m.found = ev
	return true
}
