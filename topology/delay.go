package topology

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A Delay is what a link adds: each way.
type Delay struct {
	Time time.Duration // each way
	Loss float64       // 0 to 1: the share of frames lost, each way
	// Seed is that of the losses: the same seed loses the same frames, by
	// their number in their direction, ARP and neighbour discovery counted.
	Seed uint64
}

// maxDelay keeps within what netem's clock can count.
const maxDelay = time.Minute

func (d Delay) check() error {
	if d.Time < 0 || d.Time > maxDelay {
		return fmt.Errorf("delay of %v: not within 0 to %v", d.Time, maxDelay)
	}
	if !(d.Loss >= 0 && d.Loss <= 1) { // NaN is neither
		return fmt.Errorf("loss of %v: not within 0 to 1", d.Loss)
	}
	return nil
}

// What a network can be delayed by (Network.DelayedBy).
const (
	byNetem = "netem"
	byWire  = "a wire in user space"
)

// A delayBox is a namespace between a host's link and the rest of the network,
// with a port to each. Its ports have no address and do not speak by
// themselves. What delays is an engine.
type delayBox struct {
	ns     *Namespace
	delay  Delay
	engine delayer // nil until the box is started
}

// Names of the box's ports. Names are all that differs from an ordinary
// link's: the hosts' captures tell nothing of the box.
const (
	nearPort = "near" // to the host
	farPort  = "far"  // to the rest
)

// A delayer is at work between the two ports of a box.
type delayer interface {
	// check tells whether it did anything but delay and lose as asked, of a
	// network of which a link was cut, or none.
	check(cut bool) error
	// lateness is by how much a frame left later than asked for, at most.
	lateness() time.Duration
	// settle begins what check tells of: the network is built.
	settle()
	Close() error
}

// A delayEngine starts a delayer between the ports, which are up. Where the
// kernel lacks what it takes the error is a MissingFeature and the ports are
// as before.
type delayEngine struct {
	name  string
	start func(ns *Namespace, d Delay) (delayer, error)
}

// engines are those that can do what is asked, the best first. netem draws its
// losses itself (a seed can be given since 6.6, but not by the library), so
// that losses are the wire's on every kernel.
func (d Delay) engines() []delayEngine {
	netem, wire := delayEngine{byNetem, startNetem}, delayEngine{byWire, startWire}
	if d.Loss > 0 {
		return []delayEngine{wire}
	}
	return []delayEngine{netem, wire}
}

// startFirst starts the first engine that this kernel has what it takes for.
func startFirst(engines []delayEngine, ns *Namespace, d Delay) (started delayer, name string, err error) {
	var missing []error
	for _, e := range engines {
		started, err = e.start(ns, d)
		if err == nil {
			return started, e.name, nil
		}
		err = fmt.Errorf("delay by %s: %w", e.name, err)
		if _, ok := errors.AsType[*MissingFeature](err); !ok {
			return nil, "", err
		}
		missing = append(missing, err)
	}
	return nil, "", errors.Join(missing...)
}

// buildDelay makes the box, if there is to be one, and the link from the
// client to it.
func (n *Network) buildDelay(d Delay) error {
	if d.Time == 0 && d.Loss == 0 {
		return nil
	}
	ns, err := NewNamespace()
	if err != nil {
		return err
	}
	n.delay = &delayBox{ns: ns, delay: d}
	if err := ns.beQuiet(IPv4); err != nil {
		return err
	}
	return connect(n.delay.port(nearPort), n.Client.end())
}

// outer is the end by which a host is connected: its own, or its box's.
func (n *Network) outer(h *Host) end {
	if n.delay != nil && h == n.Client {
		return n.delay.port(farPort)
	}
	return h.end()
}

// startDelay sets the box's ports up, both of which are connected now, and the
// engine to work.
func (n *Network) startDelay() error {
	if n.delay == nil {
		return nil
	}
	var err error
	n.DelayedBy, err = n.delay.start()
	return err
}

func (b *delayBox) port(name string) end {
	last := byte(1)
	if name == farPort {
		last = 2
	}
	return end{ns: b.ns, name: name, mac: net.HardwareAddr{0x02, 0, 0, 0, 2, last}}
}

func (b *delayBox) start() (engine string, err error) {
	for _, port := range []string{nearPort, farPort} {
		if err := b.ns.withLink(port, mute); err != nil {
			return "", fmt.Errorf("delay box: %w", err)
		}
	}
	b.engine, engine, err = startFirst(b.delay.engines(), b.ns, b.delay)
	return engine, err
}

// mute sets a port up that neither asks nor answers. It has no address, but
// whoever sends to all would be heard by its kernel too.
func mute(h *netlink.Handle, port netlink.Link) error {
	if err := h.LinkSetARPOff(port); err != nil {
		return fmt.Errorf("turn ARP of %s off: %w", port.Attrs().Name, err)
	}
	if err := h.LinkSetUp(port); err != nil {
		return fmt.Errorf("set %s up: %w", port.Attrs().Name, err)
	}
	return nil
}

// waitUp waits until both ports are operational.
func (b *delayBox) waitUp() error {
	if b == nil {
		return nil
	}
	for _, port := range []string{nearPort, farPort} {
		if err := b.ns.waitUp(port); err != nil {
			return fmt.Errorf("delay box: %w", err)
		}
	}
	return nil
}

// check tells whether the box itself falsified what it carried.
// Lateness is by how much the delay of the client's link was longer than asked
// for, at most: on a machine that has no time to forward, it is.
func (n *Network) Lateness() time.Duration {
	if n.delay == nil || n.delay.engine == nil {
		return 0
	}
	return n.delay.engine.lateness()
}

func (b *delayBox) check(cut bool) error {
	if b == nil || b.engine == nil {
		return nil
	}
	if err := b.engine.check(cut); err != nil {
		return fmt.Errorf("delay box: %w", err)
	}
	return nil
}

// settle begins what check tells of.
func (b *delayBox) settle() {
	if b != nil && b.engine != nil {
		b.engine.settle()
	}
}

// close may be called again.
func (b *delayBox) close() error {
	if b == nil {
		return nil
	}
	var err error
	if b.engine != nil {
		err = b.engine.Close()
	}
	if err = errors.Join(err, b.ns.Close()); err != nil {
		return fmt.Errorf("take delay box down: %w", err)
	}
	return nil
}

// netemLimit is the queue's, in frames: what a port can hold back. 100 ms of
// 10 Gbit/s are 83,000 full frames.
const netemLimit = 100_000

// netem delays in the kernel: the two ports are in a bridge, and each delays
// what leaves by it.
type netem struct{}

func (netem) check(bool) error        { return nil }
func (netem) lateness() time.Duration { return 0 } // the kernel's timers
func (netem) settle()                 {}
func (netem) Close() error            { return nil } // it ends with its namespace

func startNetem(ns *Namespace, d Delay) (delayer, error) {
	h, err := ns.NetlinkHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	var added []netlink.Qdisc
	for _, name := range []string{nearPort, farPort} {
		qdisc, err := addNetem(h, name, d)
		if err != nil {
			for _, q := range added {
				err = errors.Join(err, h.QdiscDel(q))
			}
			return nil, err
		}
		added = append(added, qdisc)
	}
	if err := bridgePorts(h); err != nil {
		return nil, err
	}
	return netem{}, nil
}

func addNetem(h *netlink.Handle, port string, d Delay) (netlink.Qdisc, error) {
	link, err := h.LinkByName(port)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", port, err)
	}
	attrs := netlink.QdiscAttrs{LinkIndex: link.Attrs().Index, Parent: netlink.HANDLE_ROOT, Handle: 1 << 16} // 1:
	qdisc := netlink.NewNetem(attrs, netlink.NetemQdiscAttrs{Latency: uint32(d.Time.Microseconds()), Limit: netemLimit})
	if err := h.QdiscAdd(qdisc); err != nil {
		return nil, missingFeature(byNetem, fmt.Errorf("add netem to %s: %w", port, err), unix.ENOENT, unix.EOPNOTSUPP)
	}
	return qdisc, nil
}

// bridgePorts makes the box's ports those of a bridge, as buildSwitch does.
func bridgePorts(h *netlink.Handle) error {
	bridge, err := addBridge(h)
	if err != nil {
		return err
	}
	for _, port := range []string{nearPort, farPort} {
		link, err := h.LinkByName(port)
		if err != nil {
			return fmt.Errorf("find %s: %w", port, err)
		}
		if err := h.LinkSetMaster(link, bridge); err != nil {
			return fmt.Errorf("add %s to bridge: %w", port, err)
		}
	}
	return nil
}

// addBridge makes a bridge without spanning tree and multicast snooping, which
// would delay and pollute, and sets it up.
func addBridge(h *netlink.Handle) (netlink.Link, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = bridgeName
	snooping := false
	bridge := &netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping}
	if err := h.LinkAdd(bridge); err != nil {
		return nil, missingFeature("bridge", fmt.Errorf("create bridge: %w", err), unix.EOPNOTSUPP)
	}
	if err := mute(h, bridge); err != nil {
		return nil, err
	}
	return bridge, nil
}
