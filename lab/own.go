package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/observe"
	"github.com/seed-6fefc909/tcplab/lab/programs"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
)

// The steps of a run of the user's own programs: nothing is known of them but
// what is observed.

// An OwnError says why the user's own programs did not come as far as the
// fault. It is an ErrScenario.
type OwnError struct{ Why string }

func (e *OwnError) Error() string { return e.Why }

// Is makes it one.
func (e *OwnError) Is(target error) bool { return target == ErrScenario }

// readyTimeout is how long a server may take to listen, and a client to
// connect, if Options.Patience does not say otherwise.
const readyTimeout = 30 * time.Second

// lookEvery is how often is looked for what the kernel does not tell of.
const lookEvery = 5 * time.Millisecond

// until looks again and again until look is done, which is told the events
// since the last time. It ends at the timeout with errNotSeen.
func (e *Experiment) until(ctx context.Context, timeout time.Duration, look func(events []record.Event) (done bool, err error)) error {
	waiting, cancel := context.WithTimeoutCause(ctx, timeout, errNotSeen)
	defer cancel()
	defer e.poll(waiting, lookEvery)()
	var failed error
	err := e.timeline.await(waiting, func(events []record.Event) bool {
		done, err := look(events)
		failed = err
		return done || err != nil
	})
	return errors.Join(failed, err)
}

// listening waits for the server to listen where the client can reach it.
func (e *Experiment) listening(ctx context.Context, s scenarios.Listening) error {
	port := 0
	if e.scenario.Own.FixedPort() {
		port = programs.DefaultPort
	}
	began := e.clock.Now()
	var all, right []netip.AddrPort
	var broke error
	err := e.until(ctx, e.options.patience(), func([]record.Event) (bool, error) {
		if all, broke = e.listeners(e.net.Server); broke != nil {
			return false, broke
		}
		right = slices.DeleteFunc(slices.Clone(all), func(a netip.AddrPort) bool {
			return !e.reachable(a.Addr()) || port != 0 && int(a.Port()) != port
		})
		return len(right) > 0 || e.deserted(e.net.Server), nil
	})
	if broke != nil || err != nil && !errors.Is(err, errNotSeen) {
		return err
	}
	if len(right) == 0 {
		return &OwnError{e.notListening(all, port, err != nil)}
	}
	if port == 0 { // for lab's own client
		e.serverAddr = netip.AddrPortFrom(e.serverAddr.Addr(), right[0].Port())
	}
	took := record.Span(e.clock.Now() - began)
	e.met(s, "the server listens on "+addresses(right)+", after "+took)
	return nil
}

// notListening says what is wrong with a server that does not.
func (e *Experiment) notListening(all []netip.AddrPort, port int, waited bool) string {
	why := "the server listens nowhere"
	if len(all) > 0 {
		why = "the server listens on " + addresses(all) + " only"
		switch {
		case port != 0 && !slices.ContainsFunc(all, func(a netip.AddrPort) bool { return int(a.Port()) == port }):
			why += fmt.Sprintf(", not on port %d ({port})", port)
		default:
			why += fmt.Sprintf(", where the client cannot reach it: it is to listen on any address, or on %s", e.serverAddr.Addr())
		}
	}
	if waited {
		return fmt.Sprintf("%s after %v%s", why, e.options.patience(), e.lastWords("server"))
	}
	return why + ", and " + e.fate("server") + e.lastWords("server")
}

// addresses lists some.
func addresses(list []netip.AddrPort) string {
	var all []string
	for _, a := range list {
		if s := a.String(); !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return strings.Join(all, ", ")
}

// reachable tells whether the client can reach what listens on an address.
func (e *Experiment) reachable(a netip.Addr) bool {
	server := e.serverAddr.Addr()
	return a.IsUnspecified() && (a.Is6() || server.Is4()) || a.Unmap() == server
}

// listeners are what a host's programs listen on.
func (e *Experiment) listeners(h *topology.Host) ([]netip.AddrPort, error) {
	rows, err := observe.Sockets(e.watch.describe(h))
	if err != nil {
		return nil, err
	}
	var all []netip.AddrPort
	for _, r := range rows {
		if a, err := netip.ParseAddrPort(r.Local); err == nil && r.State == "LISTEN" {
			all = append(all, a)
		}
	}
	return all, nil
}

// deserted tells whether no process is left on a host.
func (e *Experiment) deserted(h *topology.Host) bool {
	for _, p := range e.programs {
		if p.process.Host == h {
			if _, ended := p.ended(); !ended {
				return false
			}
		}
	}
	left, err := h.Processes()
	return err == nil && len(left) == 0
}

// connected waits for the client's connection.
func (e *Experiment) connected(ctx context.Context, s scenarios.Connected) error {
	began := e.clock.Now()
	var tried *record.Call
	var seen *record.Event
	var rows []record.SocketRow
	err := e.until(ctx, e.options.patience(), func(events []record.Event) (bool, error) {
		for i := range events {
			ev := &events[i]
			if ev.Host != "client" {
				continue
			}
			if ev.State != nil && ev.State.To == "ESTABLISHED" && e.toServer(ev.State.Remote) {
				seen = ev
			}
			if ev.Syscall != nil && ev.Syscall.Name == "connect" && (ev.Syscall.Error != "" && ev.Syscall.Error != "EINPROGRESS" || tried == nil) {
				tried = ev.Syscall
			}
		}
		if now, err := e.connections(e.net.Client); err == nil && len(now) > 0 {
			rows = now
			return true, nil
		}
		return e.deserted(e.net.Client), nil
	})
	if err != nil && !errors.Is(err, errNotSeen) {
		return err
	}
	if len(rows) == 0 {
		return &OwnError{e.notConnected(tried, seen, err != nil)}
	}
	what := fmt.Sprintf("the client is connected to %s, after %s", rows[0].Remote, record.Span(e.clock.Now()-began))
	if len(rows) > 1 {
		what = fmt.Sprintf("the client has %s, after %s", count(len(rows), "connection"), record.Span(e.clock.Now()-began))
	}
	e.met(s, what)
	return nil
}

// notConnected says what is wrong with a client that is not.
func (e *Experiment) notConnected(tried *record.Call, seen *record.Event, waited bool) string {
	why := "the client made no connection"
	switch {
	case seen != nil:
		why = "the client was connected, and is no more before the fault could come"
	case tried != nil:
		why = fmt.Sprintf("the client tried to connect to %s (%s)", tried.Arg, resultOf(tried))
	}
	if all, err := e.listeners(e.net.Server); err == nil && seen == nil && len(all) > 0 {
		why += "; the server listens on " + addresses(all)
	}
	if waited {
		return fmt.Sprintf("%s after %v%s", why, e.options.patience(), e.lastWords("client"))
	}
	return why + "; " + e.fate("client") + e.lastWords("client")
}

// fate says how a program ended.
func (e *Experiment) fate(name string) string {
	p := e.started(name)
	if p == nil {
		return name + " was not started"
	}
	select { // it may be about to
	case <-p.process.Done():
	case <-time.After(drainTimeout):
	}
	d := p.describe()
	switch {
	case d.Running:
		return p.argv[0] + " runs on"
	case d.Signal != "":
		return p.argv[0] + " was killed by " + d.Signal
	}
	return fmt.Sprintf("%s ended with exit %d", p.argv[0], d.Exit)
}

// lastWords are the last lines that a program wrote, for an error.
func (e *Experiment) lastWords(host string) string {
	e.drainOutputs()
	var words []string
	for _, ev := range e.timeline.all() {
		if ev.Source == record.Output && ev.Host == host && strings.TrimSpace(ev.Text) != "" {
			words = append(words, strings.TrimSpace(ev.Text))
		}
	}
	if len(words) == 0 {
		return ""
	}
	return "; its last words: " + strings.Join(words[max(0, len(words)-3):], " / ")
}

// toServer tells whether an address and port is one of the server's.
func (e *Experiment) toServer(endpoint string) bool {
	return endpoint != "" && host(endpoint) == e.serverAddr.Addr().String()
}

// connections are the rows of a host's connections with the server, those that
// are being made or ended left out.
func (e *Experiment) connections(h *topology.Host) ([]record.SocketRow, error) {
	rows, err := observe.Sockets(e.watch.describe(h))
	return slices.DeleteFunc(rows, func(r record.SocketRow) bool {
		ours := e.toServer(r.Remote)
		if h != e.net.Client {
			ours = e.toServer(r.Local)
		}
		return !ours || r.State != "ESTABLISHED" && r.State != "CLOSE_WAIT"
	}), err
}

// met notes that what had to come has come.
func (e *Experiment) met(s scenarios.Step, what string) {
	now := e.clock.Now()
	e.act(now)
	e.timeline.add(record.Event{Time: now, Source: record.Step, Kind: "seen", Text: what})
	e.expectations = append(e.expectations, record.Expectation{
		What: s.String(), Place: s.Place(), OK: true, Actual: what, Within: int64(e.options.patience()), Time: now,
	})
}

// triggerTimeout is how long the moment of the fault is waited for, beyond
// what it takes itself.
const triggerTimeout = 5 * time.Minute

// restEvery is how often is looked whether the programs exchange so much that
// they are better not watched until then.
const restEvery = 50 * time.Millisecond

// trigger waits for the moment at which the fault is to come.
func (e *Experiment) trigger(ctx context.Context, s scenarios.Trigger) error {
	t := moment{e: e, when: s.When, from: e.clock.Now()}
	t.last = t.from
	looked := time.Now()
	err := e.until(ctx, triggerTimeout+s.When.Time, func(events []record.Event) (bool, error) {
		if come, err := t.come(events); come || err != nil {
			return come, err
		}
		if time.Since(looked) >= restEvery {
			looked = time.Now()
			if err := e.watch.rest(); err != nil {
				return false, err
			}
		}
		if e.deserted(e.net.Client) {
			return false, &OwnError{e.fate("client") + " before the fault could come" + e.lastWords("client")}
		}
		return false, nil
	})
	switch {
	case errors.Is(err, errNotSeen):
		return &OwnError{fmt.Sprintf("it has not come within %v: %s", triggerTimeout+s.When.Time, t.far())}
	case err != nil:
		return err
	}
	if s.When.Kind != scenarios.WhenConnected && s.When.Kind != "" {
		e.met(s, t.far())
	}
	if rows, err := e.connections(e.net.Client); err != nil || len(rows) > 0 {
		return err
	}
	return &OwnError{"the client was connected, and is no more before the fault could come; " + e.fate("client") + e.lastWords("client")}
}

// A moment is watched for.
type moment struct {
	e      *Experiment
	when   scenarios.When
	from   int64 // when the client was connected
	last   int64 // when data was seen to have passed
	octets int64
	line   string // that matched
}

// come tells whether it is there.
func (m *moment) come(events []record.Event) (bool, error) {
	now := m.e.clock.Now()
	switch m.when.Kind {
	case scenarios.WhenIdle, scenarios.WhenOctets:
		if err := m.count(); err != nil {
			return false, err
		}
		if m.when.Kind == scenarios.WhenIdle {
			return now-m.last >= int64(m.when.Time), nil
		}
		return m.octets >= m.when.Octets, nil
	case scenarios.WhenAt:
		return now-m.from >= int64(m.when.Time), nil
	case scenarios.WhenOutput:
		for i := range events {
			if ev := &events[i]; ev.Source == record.Output && ev.Time >= m.e.clientStart && m.when.Output.MatchString(ev.Text) {
				m.line = ev.Text
				return true, nil
			}
		}
		return false, nil
	}
	return true, nil
}

// count asks the client's sockets how many octets they have received and sent.
func (m *moment) count() error {
	rows, err := m.e.connections(m.e.net.Client)
	octets := int64(0)
	for _, r := range rows {
		octets += int64(r.Received + r.Acked)
	}
	if octets != m.octets {
		m.octets, m.last = octets, m.e.clock.Now()
	}
	return err
}

// far says how far it got.
func (m *moment) far() string {
	switch m.when.Kind {
	case scenarios.WhenIdle:
		return "the last data passed " + record.Span(m.e.clock.Now()-m.last) + " ago"
	case scenarios.WhenOctets:
		return fmt.Sprintf("%d octets have passed", m.octets)
	case scenarios.WhenOutput:
		if m.line == "" {
			return "no line matched " + m.when.Output.String()
		}
		return "a program printed: " + m.line
	}
	return record.Span(m.e.clock.Now()-m.from) + " after the client connected"
}
