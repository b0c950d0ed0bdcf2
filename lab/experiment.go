// Package lab runs experiments: a scenario goes in, a record comes out.
package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab/observe"
	"github.com/seed-6fefc909/tcplab/lab/programs"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/lab/warp"
	"github.com/seed-6fefc909/tcplab/topology"
)

// An Experiment is one run of a scenario.
type Experiment struct {
	scenario *scenarios.Scenario
	options  Options
	sysctls  map[string]map[string]string // planned, then in force
	changed  []string

	clock    observe.Clock
	timeline timeline
	net      *topology.Network
	watch    *watch

	programs []*program // changed with mu held
	// acted is the time of the last thing that the scenario did, seen that
	// of the last thing that it did or saw.
	acted, seen  int64
	lastAct      atomic.Int64    // acted, for others to read
	injected     scenarios.Fault // the last one
	dead         []deadBoot
	fault        record.FaultInfo // the first, or the zero
	later        []record.FaultInfo
	held         record.FaultInfo    // what was known of the connection's process before the fault
	froze        frozenProcess       // what a step stopped last, or let go on
	noted        []record.Connection // the client's, just before the fault; nil: not looked at
	socket       programs.Options    // of the client's connection
	prediction   record.Prediction
	idle         record.Prediction // for one's own client, if it sends nothing after the fault
	expectations []record.Expectation
	found        *record.Event   // what the last expectation saw, nil if nothing
	did          *[]record.Event // where what a step does is gathered, nil: nowhere
	rerun        string          // the command line that makes such a run; "": that of lab run
	serverAddr   netip.AddrPort
	scratchDir   string      // "": none was made
	text         bool        // as Hand.Text
	faulted      atomic.Bool // the first fault is about to come
	clientStart  int64       // when the client was started last

	mu      sync.Mutex // guards what others read during the run
	status  status
	known   *known
	reading sync.RWMutex // held for reading while others look at the events
	judging bool         // guarded by reading: the events are the judges'
	tidying sync.Mutex   // held while the events' packets and calls are tidied
}

// New prepares a run of a scenario. It builds nothing yet.
func New(source *scenarios.Source, o Options) (*Experiment, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s, err := source.Compile(o.variant())
	if err != nil {
		return nil, err
	}
	if err := o.Check(s); err != nil {
		return nil, err
	}
	if err := o.checkSource(source); err != nil {
		return nil, err
	}
	if o.Own != nil {
		if s, err = s.WithPrograms(*o.Own); err != nil {
			return nil, err
		}
	}
	e := &Experiment{scenario: s, options: o, expectations: []record.Expectation{}}
	if e.socket, err = o.declaredOptions(s); err != nil {
		return nil, err
	}
	if m := models()[s.Predict.Model]; m.needs != nil && !s.OwnClient() {
		if lacks := m.needs(e.socket); lacks != "" {
			return nil, fmt.Errorf("%s: predict %s: the client sets no %s", s.File, s.Predict.Model, lacks)
		}
	}
	e.sysctls, e.changed = sysctlPlan(s, o)
	e.prediction = e.predict(record.SocketRow{})
	e.setStatus("not started")
	e.publish()
	return e, nil
}

// Scenario is what is run.
func (e *Experiment) Scenario() *scenarios.Scenario { return e.scenario }

// Preview is what can be said before the run: a record without events. Its
// prediction assumes a short round trip.
func (e *Experiment) Preview() *record.Record {
	r := e.header()
	r.Prediction = e.prediction
	return r
}

// Run builds the network, performs the scenario and judges what was seen. The
// record is never nil; where err is not nil it holds what came before. What
// Run built stays until Close.
func (e *Experiment) Run(ctx context.Context) (*record.Record, error) {
	if e.options.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, e.options.Timeout, ErrTimeout)
		defer cancel()
	}
	err := e.start()
	if err == nil {
		err = e.perform(ctx)
	}
	return e.finish(err), err
}

// ErrTimeout ends a run that took longer than Options.Timeout.
var ErrTimeout = errors.New("the run took longer than it was given")

// start builds the network and the observers, which take their time beside
// each other.
func (e *Experiment) start() error {
	e.setStatus("building the network")
	var err error
	if e.clock, err = observe.NewClock(); err != nil {
		return err
	}
	e.watch = newWatch(e.clock, e.options, e.timeline.observe)
	e.watch.text, e.watch.idle = e.text, e.timeline.keep > 0
	tracing := make(chan struct{})
	go func() {
		defer close(tracing)
		e.watch.openTracer()
	}()
	e.net, err = topology.New(topology.Config{
		Path: topology.Path(e.scenario.Path), Family: e.options.family(), AnswerARP: e.scenario.AnswerARP,
		Standby: e.scenario.Standby, Firewall: topology.Firewall(e.scenario.Firewall),
		Delay: e.options.delay(e.scenario), Sysctls: e.sysctls,
	})
	<-tracing
	if err != nil {
		return err
	}
	if e.sysctls, err = readSysctls(e.net, e.sysctls); err != nil {
		return err
	}
	e.serverAddr = netip.AddrPortFrom(e.net.Server.NIC.Address.Addr(), programs.DefaultPort)
	for _, h := range e.net.Hosts() {
		if err := e.watch.add(h); err != nil {
			return err
		}
	}
	e.publish()
	return nil
}

// perform does the steps, one after the other, until one cannot be done or
// sees other than it must.
func (e *Experiment) perform(ctx context.Context) error {
	for i, step := range e.scenario.Steps {
		held, err := e.do(ctx, step)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", step.Place(), step, err)
		}
		if !held {
			e.notReached(i + 1)
			break
		}
	}
	return nil
}

// notReached notes the expectations that were not looked at, for the run ended
// at another.
func (e *Experiment) notReached(from int) {
	for _, step := range e.scenario.Steps[from:] {
		if x, ok := step.(scenarios.Expect); ok {
			e.expectations = append(e.expectations, record.Expectation{
				What: x.String(), Place: x.Place(), Optional: true, Actual: "not reached",
			})
		}
	}
}

// finish makes the record out of all that was seen.
func (e *Experiment) finish(failure error) *record.Record {
	return e.conclude(e.gather(), failure)
}

// A gathering is all that was seen, of which nothing is judged.
type gathering struct {
	record    *record.Record // without events
	events    [][]record.Event
	tidier    tidier
	dropped   uint64 // events that were lost
	forgotten int    // events that were not kept
}

// gather ends what is seen. It needs the observers, and copies no events: what comes
// before another experiment observes is lost.
func (e *Experiment) gather() gathering {
	e.setStatus("judging")
	e.reading.Lock()
	e.judging = true
	e.reading.Unlock()
	r := e.header()
	if e.watch == nil {
		return gathering{record: r}
	}
	e.drainOutputs()
	for _, p := range e.programs {
		if p.tty != nil {
			p.tty.Close() // what follows is for the user's terminal as it was
		}
	}
	r.Duration = e.clock.Now()
	dropped, underWay := e.watch.flush()
	dropped += e.timeline.dropped()
	r.Spared = e.watch.spared
	if e.net != nil {
		r.Neighbours = e.neighbours()
		r.Delay.By = e.net.DelayedBy
	}
	r.Missing, r.Missed = e.watch.missing, e.watch.missed
	r.Fault, r.Prediction, r.Expectations = e.fault, e.prediction, e.expectations
	r.Later = append(r.Later, e.later...)
	for _, p := range e.programs {
		d := p.describe()
		if at, ended := p.ended(); ended && !d.Running {
			d.Ended = e.clock.Now() - int64(time.Since(at))
		}
		r.Programs = append(r.Programs, d)
	}
	r.Connections = append(r.Connections, e.noted...)
	return gathering{r, append(e.timeline.pieces(), underWay), e.tidier(), dropped, e.timeline.forgotten()}
}

// conclude makes the record of what was gathered. It needs no observers.
func (e *Experiment) conclude(g gathering, failure error) *record.Record {
	r := g.record
	if e.watch == nil {
		r.Outcome, r.Reasons = record.Inconclusive, []string{failure.Error()}
		return r
	}
	e.tidying.Lock()
	r.Events = g.tidier.tidy(slices.Concat(g.events...))
	e.tidying.Unlock()
	v := newView(r, e.serverAddr)
	r.Why = append(slices.Clip(r.Why), e.withDefaults()...)
	r.Detection = v.detection()
	if e.idle.Model != "" && v.firstWrite() == nil {
		r.Prediction = e.idle
	}
	r.Actions = v.actions(r.Detection)
	if failure == nil {
		e.demanded(r, v)
	}
	if r.Fault.Kind != "" {
		r.Signature = v.signature(e.scenario)
	}
	judge(r, v, g.dropped, failure)
	if e.net != nil {
		if err := e.net.Check(); err != nil {
			inconclusive(r, "the network broke: "+err.Error())
		}
		if late := e.net.Lateness(); late > wireLate && r.Outcome == record.NotAsExpected {
			r.Outcome = record.Inconclusive
			r.Reasons = append(r.Reasons, fmt.Sprintf("but the machine was too busy to keep to the delay: a frame was %v late", late.Round(time.Millisecond)))
		}
	}
	if g.forgotten > 0 {
		inconclusive(r, fmt.Sprintf("the first %d events were not kept", g.forgotten))
	}
	if step, err := e.clock.Step(); err != nil || step > clockTolerance || step < -clockTolerance {
		inconclusive(r, fmt.Sprintf("the wall clock was set by %v during the run: packets and other events cannot be ordered", time.Duration(step)))
	}
	return r
}

// wireLate is how late a frame may leave a delay before a run that was not as
// expected is no evidence: of the half second that a prediction allows, two
// frames, a question and its answer, may then take the most.
const wireLate = 200 * time.Millisecond

// clockTolerance is how far the wall clock may have moved against the
// monotonic one, in nanoseconds: what measuring it can be wrong by. The
// packets' times come from the one, all others from the other.
const clockTolerance = 50_000

// neighbours reads what the network knows of the server's hardware address.
func (e *Experiment) neighbours() []record.Neighbour {
	nodes := []string{"client"}
	if e.net.Path == topology.Router {
		nodes = append(nodes, string(topology.Router))
	}
	list := []record.Neighbour{}
	for _, node := range nodes {
		mac, state, err := e.net.Neighbour(node)
		if err != nil {
			e.watch.miss(ObserveSockets, err.Error(), "what the network knew of the server's hardware address")
		} else if state != "" {
			list = append(list, record.Neighbour{Node: node, Address: e.serverAddr.Addr().String(), MAC: mac, State: state})
		}
	}
	return list
}

// header is the part of the record that is known before the run.
func (e *Experiment) header() *record.Record {
	s := e.scenario
	r := &record.Record{
		Schema: record.Schema, Scenario: s.Name, Title: s.Title, Command: e.options.command(s),
		Outcome: record.Inconclusive,
		Kernel:  thisKernel(), Path: s.Path, Family: int(e.options.family()), AnswerARP: s.AnswerARP, Firewall: s.Firewall,
		Demand: demand(s.Own),
		Timers: "quick", Sysctls: e.sysctls, Changed: filled(e.changed),
		Why: filled(s.Why), Next: filled(s.Next),
		Reasons: []string{}, Expectations: []record.Expectation{}, Programs: []record.Program{},
		Later: []record.FaultInfo{}, Connections: []record.Connection{}, Actions: []record.Action{}, Missing: []record.Missing{}, Neighbours: []record.Neighbour{}, Events: []record.Event{}, Hosts: []record.Host{},
		Signature: record.Signature{Checks: []record.Check{}},
		Detection: record.Detection{AfterFault: -1, AfterWrite: -1, AfterHeard: -1},
	}
	if !s.BuiltIn() && !s.ByHand {
		r.File = s.File
	}
	if r.ByHand = s.ByHand; e.rerun != "" {
		r.Command = e.rerun
	}
	if d := e.options.delay(s); d.Time > 0 || d.Loss > 0 {
		r.Delay = record.Delay{Time: int64(d.Time), Loss: d.Loss, Seed: d.Seed}
	}
	if e.options.Real {
		r.Timers = "real"
	}
	if e.clock != (observe.Clock{}) {
		r.Started = time.Unix(0, e.clock.Start()).UTC().Format(time.RFC3339Nano)
	}
	for _, h := range e.plan() {
		host := record.Host{Name: h.Name, MAC: h.NIC.MAC.String(), Interface: h.NIC.Name}
		if addr := h.NIC.Address.Addr(); addr.IsValid() { // a standby has none until it takes over
			host.Address = addr.String()
		}
		r.Hosts = append(r.Hosts, host)
	}
	return r
}

// filled is the list, which no record has as null.
func filled(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// plan gives the hosts that the network has, or will have.
func (e *Experiment) plan() []*topology.Host {
	if e.net != nil {
		return e.net.Hosts()
	}
	return topology.Plan(topology.Path(e.scenario.Path), e.options.family(), e.scenario.Standby)
}

// withDefaults says how long it would take with the kernel's own timers, where
// they were shortened.
func (e *Experiment) withDefaults() []string {
	if e.options.Real || e.scenario.Own != nil { // what its own client would do is not known
		return nil
	}
	real := e.options
	real.Real = true
	quick, err1 := New(e.scenario.Source, e.options)
	other, err2 := New(e.scenario.Source, real)
	if err1 != nil || err2 != nil || other.prediction.Max == quick.prediction.Max || other.prediction.Error == "" {
		return nil
	}
	p := other.prediction
	what := p.Error
	if len(p.Errors) > 1 {
		what = strings.Join(p.Errors, " or ")
	}
	return []string{fmt.Sprintf("With the kernel's own timers: %s after %v to %v (--real).",
		what, time.Duration(p.Min).Round(time.Second), time.Duration(p.Max).Round(time.Second))}
}

// thisKernel describes the running one.
func thisKernel() record.Kernel {
	var u unix.Utsname
	_ = unix.Uname(&u) // cannot fail with a valid buffer
	k := record.Kernel{
		Release: unix.ByteSliceToString(u.Release[:]), Machine: unix.ByteSliceToString(u.Machine[:]), HZ: observe.HZ(),
	}
	if place, inside := warp.Inside(); inside {
		k.Warp = &record.Warp{Engine: place.Engine, Seed: place.Seed}
	}
	return k
}

// Close ends every program and takes the network down. An error says what
// could not be removed.
func (e *Experiment) Close() error {
	var errs []error
	if e.watch != nil {
		errs = append(errs, e.watch.close())
	}
	if e.net != nil {
		errs = append(errs, e.net.Close())
	}
	for _, p := range e.programs {
		p.close()
	}
	if e.scratchDir != "" {
		errs = append(errs, os.RemoveAll(e.scratchDir))
		e.scratchDir = ""
	}
	return errors.Join(errs...)
}
