package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
)

// A Session is an experiment by hand: the network and its observers are there,
// and each step is asked for as it comes, in a scenario's words. Steps come one
// after the other: one that is asked for meanwhile waits.
type Session struct {
	net   *topology.Network
	typed bool     // a person types the steps
	build []string // Hand.Build

	mu      sync.Mutex // held for a step
	e       *Experiment
	lines   *scenarios.Lines
	economy economy

	forces  forces
	current atomic.Pointer[chapter]

	// power is held for writing while a host goes down or comes back, and while
	// the observers change; for reading while somebody makes something in a host,
	// or asks an observer beside the steps.
	power  sync.RWMutex
	closed bool // guarded by power
}

// A Hand says what Options do not, of a session.
type Hand struct {
	Name    string // of the record
	Title   string // of the record, "" for none
	Command string // that makes such a session again
	// Build are lines of a scenario that say what is built.
	Build []string
	// Text: what programs of the hosts print, and what is typed into them, is
	// observed, for others start them.
	Text bool
	// Keep is how many of the last events are kept, for a session that stays
	// up for days; 0 is all, until there are more than a run may have.
	Keep int
	// Typed: a person types the steps. The server goes without saying, a
	// process can be named by its id (fault kill server 12), a host that is
	// down be booted (fault reboot), and the name of a built-in scenario stands
	// for its fault.
	Typed bool
}

// Open builds the network of a session and begins to observe it. The timers
// are the kernel's own, but for Options.Sysctls; Own, Real, Timeout and Input
// of the options mean nothing here. The caller closes it. The error is an
// *OptionsError if it lies in what was asked for, and wraps a
// *topology.SysctlError if a host does not take a sysctl.
func Open(h Hand, o Options) (*Session, error) {
	o.Real, o.Own = true, nil
	lines, s, err := h.built(o)
	if err != nil {
		return nil, &OptionsError{err}
	}
	e := &Experiment{scenario: s, options: o, rerun: h.Command, expectations: []record.Expectation{}, text: h.Text}
	e.timeline.keep = h.Keep
	e.sysctls, e.changed = sysctlPlan(s, o)
	if err := e.start(); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	if h.Keep > 0 { // it stays up, mostly without the memory that the kernel's types took
		debug.FreeOSMemory()
	}
	session := &Session{net: e.net, typed: h.Typed, build: h.Build, e: e, lines: lines, forces: newForces()}
	session.current.Store(newChapter(e))
	return session, nil
}

// An OptionsError is of what was asked for, and cannot be built.
type OptionsError struct{ Err error }

func (e *OptionsError) Error() string { return e.Err.Error() }

func (e *OptionsError) Unwrap() error { return e.Err }

// built is what the session's lines and options come to, before anything is made.
func (h Hand) built(o Options) (*scenarios.Lines, *scenarios.Scenario, error) {
	if err := o.check(); err != nil {
		return nil, nil, err
	}
	lines := scenarios.NewLines(h.Name, h.Name, o.variant())
	if h.Typed {
		lines.Typed()
	}
	for i, text := range h.Build {
		if _, err := lines.Add("build", i+1, text); err != nil {
			return nil, nil, err
		}
	}
	s := lines.Built()
	s.Title = h.Title
	return lines, s, o.Check(s)
}

// Network is what was built. Its hosts are not to be crashed or booted but by
// Do.
func (s *Session) Network() *topology.Network { return s.net }

// An UnmetError is an expectation that was not met.
type UnmetError struct {
	record.Expectation
	Unseen bool // it cannot be known: what would tell is not observed
	zero   int64
}

func (e *UnmetError) Error() string {
	if e.Unseen {
		return e.What + ": " + e.Actual
	}
	x := e.Expectation
	return strings.TrimPrefix(expected(&x, e.zero), x.Place+": ")
}

// A Done is what a line of a scenario came to.
type Done struct {
	// Seen is what an expectation saw, nil if it was to see nothing.
	Seen *record.Event
	// Did is what any other step did: a fault, moment by moment, what was typed,
	// signalled, stopped.
	Did []record.Event
}

// Do performs a line of a scenario; file and line are where it stands. An error
// is an *UnmetError if an expectation was not met, and a *scenarios.SyntaxError if
// the line is wrong.
func (s *Session) Do(ctx context.Context, file string, line int, text string) (Done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var done Done
	s.e.did = &done.Did
	defer func() { s.e.did = nil }()
	var err error
	done.Seen, err = s.do(ctx, file, line, text)
	return done, err
}

// do needs mu.
func (s *Session) do(ctx context.Context, file string, line int, text string) (seen *record.Event, err error) {
	s.tellPower()
	defer s.tellPower() // it may have failed
	step, err := s.lines.Add(file, line, text)
	if err != nil || step == nil {
		return nil, err
	}
	switch step := step.(type) {
	case scenarios.Expect:
		return s.expect(ctx, step)
	case scenarios.Fault:
		if err := s.befalls(step); err != nil {
			return nil, err
		}
		if step.Powers() {
			s.power.Lock()
			defer s.power.Unlock()
		}
	case scenarios.Freeze:
		if s.ofFaults(step) {
			defer s.e.forget()
			return nil, s.thaw(ctx, step)
		}
	}
	_, err = s.e.do(ctx, step)
	if err == nil {
		if _, heals := step.(scenarios.Heal); heals {
			s.tellForgotten()
		}
		s.forces.note(step, s.e.froze)
	}
	if s.e.watch.all {
		switch step.(type) {
		case scenarios.Fault, scenarios.Zero:
			s.economizeLater()
		}
	}
	s.e.forget()
	return nil, err
}

// tellPower lets a person's lines know which hosts are down: it is not what the
// lines before say that counts. It needs mu.
func (s *Session) tellPower() {
	if !s.typed {
		return
	}
	for _, h := range s.net.Hosts() {
		s.lines.Power(h.Name, h.Down())
	}
}

func (s *Session) expect(ctx context.Context, x scenarios.Expect) (*record.Event, error) {
	if x.Event.What.ByProgram() && !s.runs(x.Event.Who) {
		return nil, fmt.Errorf("%w: no command was started on %s, and what other code does there is observed on the wire and in the socket tables only", ErrScenario, x.Event.Who)
	}
	if _, err := s.e.do(ctx, x); err != nil {
		return nil, err
	}
	if got := s.e.expectations[len(s.e.expectations)-1]; !got.OK && !got.Optional {
		return nil, &UnmetError{got, got.Unknown, s.e.fault.Time}
	}
	if s.e.found == nil {
		return nil, nil
	}
	seen := detached(*s.e.found)
	return &seen, nil
}

// runs tells whether a command was started under the name, or on the host.
func (s *Session) runs(who string) bool {
	for _, p := range s.e.programs {
		if p.name == who || p.process.Host.Name == who {
			return true
		}
	}
	return false
}

// befalls tells whether there is somebody whom a fault can befall.
func (s *Session) befalls(f scenarios.Fault) error {
	if f.Kind != "shutdown" {
		return nil
	}
	h, err := s.e.net.Host(f.Host)
	if err != nil {
		return err
	}
	if left, err := h.Processes(); err != nil || len(left) > 0 {
		return err
	}
	return fmt.Errorf("%w: no process runs on %s", ErrScenario, f.Host)
}

// AfterFault is how long after the first fault something was, or after the
// session's beginning if there was none yet.
func (s *Session) AfterFault(e *record.Event) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(e.Time - s.e.fault.Time)
}

// Alive tells whether that boot of a host has not ended.
func (s *Session) Alive(h *topology.Host, boot int) bool {
	s.power.RLock()
	defer s.power.RUnlock()
	return boot == h.Boot() && !s.e.isDead(h.Name, boot)
}

// Mark notes in the timeline that somebody acts on a host, and lets
// expectations count from there.
func (s *Session) Mark(host, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.e.mark("mark", host, text)
}

// Inside runs f on a thread inside of the host's network namespace; what
// topology.Namespace.Do says holds. Until f calls release, or returns, the
// host neither goes down nor comes back: what f makes until then belongs to
// the host's boot. The error wraps ErrDown if the host is down.
func (s *Session) Inside(h *topology.Host, f func(release func()) error) error {
	s.power.RLock()
	release := sync.OnceFunc(s.power.RUnlock)
	defer release()
	if s.closed || s.e.isDead(h.Name, h.Boot()) {
		return fmt.Errorf("%s: %w", h.Name, ErrDown)
	}
	return h.Namespace().Do(func() error { return f(release) })
}

// Sockets is the socket table of a host. It waits for no step, but for a host
// that is just going down or coming back, and for Renew. The error wraps ErrDown
// if the host is down.
func (s *Session) Sockets(h *topology.Host) ([]record.SocketRow, error) {
	s.power.RLock()
	defer s.power.RUnlock()
	if s.closed || h.Down() {
		return nil, fmt.Errorf("%s: %w", h.Name, ErrDown)
	}
	return socketsOf(h)
}

// Observed is how many events were observed since the session, or the last
// experiment in it, began, and how many there is room for: of what comes then
// nothing is recorded. It is 0 where the latest are kept.
func (s *Session) Observed() (events, room int) {
	s.power.RLock()
	defer s.power.RUnlock()
	return s.e.timeline.observed()
}

// Steady runs f while no host goes down or comes back, and no experiment begins.
func (s *Session) Steady(f func()) {
	s.power.RLock()
	defer s.power.RUnlock()
	f()
}

// ErrDown is of a host that a fault has ended.
var ErrDown = topology.ErrDown

// Finish makes the record of all that was seen so far.
func (s *Session) Finish() *record.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.e.finish(nil)
	s.current.Load().finished = r
	return r
}

// Capture is what Experiment.Capture is: complete after Finish.
func (s *Session) Capture(host string) *record.Capture {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.e.Capture(host)
}

// Close ends every program and takes the network down. An error says what
// could not be removed.
func (s *Session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.power.Lock()
	defer s.power.Unlock()
	if !s.closed {
		s.closed = true
		s.economy.end()
		_ = s.e.watch.catchUp() // who follows is told all that was
		s.current.Load().end(nil)
	}
	return s.e.Close()
}

// holdsItself tells whether this very process holds a socket: a session's
// caller can have some on a host.
func holdsItself(inode uint32) bool {
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return false
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return false
	}
	want := fmt.Sprintf("socket:[%d]", inode)
	for _, name := range names {
		if link, err := os.Readlink("/proc/self/fd/" + name); err == nil && link == want {
			return true
		}
	}
	return false
}
