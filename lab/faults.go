package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab/observe"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
)

// A deed makes a kind of fault happen to a host; nil where it is no host's.
type deed func(e *Experiment, ctx context.Context, f scenarios.Fault, h *topology.Host) error

// deeds are the faults that scenarios can ask for.
func deeds() map[string]deed {
	return map[string]deed{
		"kill":        kill(unix.SIGTERM),
		"kill-unread": kill(unix.SIGKILL),
		"hang":        (*Experiment).hang,
		"crash":       (*Experiment).crash,
		"power-off":   (*Experiment).crash,
		"reboot":      (*Experiment).reboot,
		"failover":    (*Experiment).failover,
		"shutdown":    (*Experiment).shutdown,
		"partition":   (*Experiment).partition,
		"destroy":     (*Experiment).destroy,
		"forget-flow": (*Experiment).forgetFlow,
		"unreachable-host": network("the router has no way to the host any more", func(n *topology.Network) error {
			return n.HostUnreachable()
		}),
		"unreachable-net": network("the router has no route to the network any more", func(n *topology.Network) error {
			return n.NetUnreachable()
		}),
		"reject-reset": network("the router answers what is for the server with RST", func(n *topology.Network) error {
			return n.RejectAll(topology.RejectReset)
		}),
		"reject-prohibited": network("the router answers what is for the server with ICMP prohibited", func(n *topology.Network) error {
			return n.RejectAll(topology.RejectProhibited)
		}),
	}
}

// network is the deed of a fault of what lies between the hosts.
func network(what string, change func(*topology.Network) error) deed {
	return func(e *Experiment, _ context.Context, f scenarios.Fault, _ *topology.Host) error {
		if err := change(e.net); err != nil {
			return err
		}
		e.inForce(f, what)
		return nil
	}
}

// inject makes the fault happen. Just before, it lets the observers report
// everything, and takes down what the client's TCP knows, which the prediction
// is computed from.
func (e *Experiment) inject(ctx context.Context, f scenarios.Fault) error {
	var h *topology.Host
	if f.Host != "" {
		var err error
		if h, err = e.net.Host(f.Host); err != nil {
			return err
		}
	}
	// By hand the same line may come again.
	e.injected, e.held = scenarios.Fault{}, record.FaultInfo{}
	if err := e.watch.everything(); err != nil {
		return err
	}
	e.faulted.Store(true)
	e.noteConnections()
	e.measureOptions()
	conn := e.conn()
	e.prediction = e.predict(conn)
	if e.scenario.Own != nil && silentModel(e.scenario.Predict.Model) && conn.SendQueue == 0 && e.fault.Kind == "" && conn.State != "" {
		e.idle = e.predictIdle(conn)
	}
	if h != nil {
		e.look(f, h)
	}
	do := deeds()[f.Kind]
	if do == nil {
		return fmt.Errorf("unknown fault %q", f.Kind)
	}
	return do(e, ctx, f, h)
}

// look notes whom on the host the fault befalls: who holds the connection, if
// it has one.
func (e *Experiment) look(f scenarios.Fault, h *topology.Host) {
	p, unread, err := e.victim(f, h)
	if err != nil {
		return // those faults that need one ask again
	}
	e.held = record.FaultInfo{PID: p.PID}
	if !e.options.without(ObserveSockets) {
		e.held.Unread = unread
	}
}

// victim is the process that the fault befalls, the one that is named or else
// the holder of the connection, and how many octets lie unread there.
func (e *Experiment) victim(f scenarios.Fault, h *topology.Host) (p topology.ProcessInfo, unread int, err error) {
	if f.PID == 0 {
		p, row, err := e.holder(h)
		return p, row.RecvQueue, err
	}
	if p, err = e.processOf(h, f.PID); err != nil {
		return p, 0, err
	}
	rows, err := observe.Sockets(e.watch.describe(h))
	for _, row := range rows {
		if row.State != "LISTEN" && slices.Contains(p.Sockets, row.Inode) {
			unread = max(unread, row.RecvQueue)
		}
	}
	return p, unread, err
}

// processOf finds a process of a host by its id.
func (e *Experiment) processOf(h *topology.Host, pid int) (topology.ProcessInfo, error) {
	all, err := h.Processes()
	if err != nil {
		return topology.ProcessInfo{}, err
	}
	i := slices.IndexFunc(all, func(p topology.ProcessInfo) bool { return p.PID == pid && p.State != zombie })
	if i < 0 {
		return topology.ProcessInfo{}, fmt.Errorf("%w: no process %d on %s", ErrScenario, pid, h.Name)
	}
	return all[i], nil
}

// States of processes, as proc_pid_stat(5) has them.
const (
	zombie  = 'Z'
	stopped = 'T'
	traced  = 't' // stopped by a debugger
)

// aim says which process it is that a signal goes to.
func aim(f scenarios.Fault, signal unix.Signal, p topology.ProcessInfo) string {
	s := fmt.Sprintf("%s to process %d, ", unix.SignalName(signal), p.PID)
	if f.PID == 0 {
		s += "which serves the connection"
	} else {
		s += p.Comm
	}
	if p.State == stopped && signal == unix.SIGTERM {
		s += "; it is stopped, and gets it when it goes on"
	}
	return s
}

// kill ends the process that holds the connection, or one that is named.
func kill(signal unix.Signal) deed {
	return func(e *Experiment, _ context.Context, f scenarios.Fault, h *topology.Host) error {
		p, unread, err := e.victim(f, h)
		if err != nil {
			return err
		}
		what := aim(f, signal, p)
		if f.Kind == "kill-unread" && unread == 0 {
			what += "; no octet lies unread in a connection of its own"
		}
		e.held.PID = p.PID
		at, err := h.Signal(p.PID, signal)
		if err == nil {
			e.inForceAt(f, e.clock.Monotonic(at), what)
		}
		if err == nil && (p.State != stopped || signal == unix.SIGKILL) {
			e.awaitEnd(h, p.PID)
		}
		return err
	}
}

// endTimeout is how long a killed process is waited for: it may take the
// signal as a reason to finish what it does.
const endTimeout = 2 * time.Second

// awaitEnd waits for the end of a process, and so for what its kernel sends in
// closing its connections: what the script does next comes after that.
func (e *Experiment) awaitEnd(h *topology.Host, pid int) {
	for deadline := time.Now().Add(endTimeout); !h.Ended(pid) && time.Now().Before(deadline); {
		time.Sleep(200 * time.Microsecond)
	}
}

func (e *Experiment) hang(_ context.Context, f scenarios.Fault, h *topology.Host) error {
	p, _, err := e.victim(f, h)
	if err != nil {
		return err
	}
	e.held.PID = p.PID
	e.froze = frozenProcess{h.Name, h.Boot(), p.PID}
	if err := h.Freeze(p.PID); err != nil {
		return err
	}
	e.inForce(f, aim(f, unix.SIGSTOP, p))
	return nil
}

func (e *Experiment) crash(_ context.Context, f scenarios.Fault, h *topology.Host) error {
	e.dead = append(e.dead, deadBoot{h.Name, h.Boot(), e.clock.Now()})
	e.publish()
	return e.net.Crash(h, func(what string) { e.inForce(f, what) })
}

// reboot also changes the observers over from the old boot to the new. Of a
// host that is down it is the second half.
func (e *Experiment) reboot(ctx context.Context, f scenarios.Fault, h *topology.Host) error {
	if e.tookOver() && h == e.net.Server {
		return fmt.Errorf("%w: the standby has the address of the %s, which stays down", ErrScenario, h.Name)
	}
	note := func(what string) { e.inForce(f, what) }
	if e.isDead(h.Name, h.Boot()) {
		e.act(e.clock.Now())
		note = func(what string) {
			e.tell(record.Event{Time: e.clock.Now(), Host: h.Name, Source: record.Fault, Kind: "boot", Text: what})
		}
	} else if err := e.crash(ctx, f, h); err != nil {
		return err
	}
	// What still observes the old namespace would keep it.
	if err := e.watch.remove(h.Name); err != nil {
		return err
	}
	if err := e.net.Boot(h, note); err != nil {
		return err
	}
	e.hostBack(h)
	if err := e.watch.add(h); err != nil || e.scenario.Own == nil {
		return err
	}
	return e.startAgain(h)
}

// tookOver tells whether the standby has the server's address.
func (e *Experiment) tookOver() bool {
	return e.net.Standby != nil && e.net.Standby.NIC.Address.IsValid()
}

// startAgain starts what ran on a host that has booted again, as its own init
// would.
func (e *Experiment) startAgain(h *topology.Host) error {
	for _, step := range e.scenario.Steps {
		if s, ok := step.(scenarios.Start); ok && s.Host == h.Name {
			e.tell(record.Event{Time: e.clock.Now(), Host: h.Name, Source: record.Step, Kind: "start", Text: "again: " + s.String()})
			if err := e.startProgram(s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *Experiment) failover(ctx context.Context, f scenarios.Fault, h *topology.Host) error {
	if err := e.crash(ctx, f, h); err != nil {
		return err
	}
	if err := e.net.TakeOver(func(what string) { e.inForce(f, what) }); err != nil {
		return err
	}
	e.back()
	return nil
}

// back notes that what the last fault took is there again: the address, or the
// way to it.
func (e *Experiment) back() {
	last := &e.fault
	if n := len(e.later); n > 0 {
		last = &e.later[n-1]
	}
	e.backFrom(func(f *record.FaultInfo) bool { return f == last })
}

// hostBack notes that a host is there again, whatever took it.
func (e *Experiment) hostBack(h *topology.Host) {
	e.backFrom(func(f *record.FaultInfo) bool { return f.Host == h.Name && powers(f) })
}

// allBack notes that no fault of the network is in force any more. Hosts that
// are down stay so.
func (e *Experiment) allBack() {
	e.backFrom(func(f *record.FaultInfo) bool { return !powers(f) })
}

// powers tells whether a fault took a host's power.
func powers(f *record.FaultInfo) bool { return scenarios.Fault{Kind: f.Kind}.Powers() }

// backFrom notes that some faults are over, as of now.
func (e *Experiment) backFrom(over func(*record.FaultInfo) bool) {
	e.act(e.clock.Now())
	note := func(f *record.FaultInfo) {
		if f.Kind != "" && f.Back == 0 && over(f) {
			f.Back = e.acted
		}
	}
	note(&e.fault)
	for i := range e.later {
		note(&e.later[i])
	}
	e.publish()
}

func (e *Experiment) shutdown(ctx context.Context, f scenarios.Fault, h *topology.Host) error {
	return h.Shutdown(ctx, e.options.grace(), func(s topology.Stage) {
		e.inForceAt(f, e.clock.Monotonic(s.At), fmt.Sprintf("%s to every process: %d", unix.SignalName(s.Signal), s.Left))
	})
}

func (e *Experiment) partition(_ context.Context, f scenarios.Fault, h *topology.Host) error {
	if err := e.net.Partition(h); err != nil {
		return err
	}
	e.inForce(f, "nothing that the "+h.Name+" sends gets through any more")
	return nil
}

func (e *Experiment) destroy(_ context.Context, f scenarios.Fault, h *topology.Host) error {
	row, err := e.connection(h)
	if err != nil {
		return err
	}
	local, err1 := netip.ParseAddrPort(row.Local)
	remote, err2 := netip.ParseAddrPort(row.Remote)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	at := e.clock.Now()
	if err := h.DestroyConnection(local, remote); err != nil {
		return err
	}
	e.inForceAt(f, at, "the socket of the connection is destroyed")
	return nil
}

func (e *Experiment) forgetFlow(_ context.Context, f scenarios.Fault, _ *topology.Host) error {
	n, err := e.net.ForgetFlows()
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("%w: the firewall knew of no flow", ErrScenario)
	}
	what := "the firewall forgets " + count(n, "flow")
	if e.scenario.Typed {
		what += ": what belongs to a forgotten one is lost or refused, and no heal brings it back"
	}
	e.inForce(f, what)
	return nil
}

func (e *Experiment) heal(scenarios.Heal) error {
	e.allBack() // before: what gets through in the meantime does so because of it
	if err := e.net.Heal(); err != nil {
		return err
	}
	e.tell(record.Event{Time: e.acted, Source: record.Fault, Kind: "heal", Text: "the network does what it did before"})
	return nil
}

// inForce notes a moment of the fault; the first is the fault's time.
func (e *Experiment) inForce(f scenarios.Fault, what string) {
	e.inForceAt(f, e.clock.Now(), what)
	for _, h := range e.net.Hosts() {
		if !e.isDead(h.Name, h.Boot()) {
			e.watch.askCarrier(h.Name)
		}
	}
}

func (e *Experiment) inForceAt(f scenarios.Fault, at int64, what string) {
	info := record.FaultInfo{Kind: f.Kind, Host: f.Host, Time: at, PID: e.held.PID, Unread: e.held.Unread}
	if e.fault.Kind == "" {
		e.fault = info
		e.repredict()
	} else if e.injected != f {
		e.later = append(e.later, info)
	}
	if e.injected != f { // its first moment
		e.injected = f
		e.act(at)
	}
	e.publish()
	e.tell(record.Event{Time: at, Host: f.Host, Source: record.Fault, Kind: f.Kind, Text: what})
}

// A deadBoot is a boot of a host that a fault ended.
type deadBoot struct {
	host string
	boot int
	time int64 // just before
}

func (e *Experiment) isDead(host string, boot int) bool {
	for _, d := range e.dead {
		if d.host == host && d.boot == boot {
			return true
		}
	}
	return false
}
