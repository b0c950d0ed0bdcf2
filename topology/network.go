// Package topology builds small networks out of Linux namespaces: hosts with
// an init of their own, links between them, and the faults that befall them.
// Nothing of a network has a name outside of it, and nothing of it outlives
// the process that made it, but for what its programs write into the machine's
// file system, which they share (Host). It knows nothing of experiments.
package topology

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A Path is what lies between the client and the server.
type Path string

const (
	// Direct is one veth pair between the two hosts' namespaces. What one
	// end's link does, the other end's carrier sees.
	Direct Path = "direct"
	// Switch is a bridge between the hosts: each keeps its carrier
	// whatever happens beyond it.
	Switch Path = "switch"
	// Router is a routed hop between two networks.
	Router Path = "router"
)

// Paths lists them all.
var Paths = []Path{Direct, Switch, Router}

// Config says what network to build.
type Config struct {
	Path   Path
	Family Family // 0: IPv4
	// AnswerARP: the network goes on resolving the address of a host that
	// is dead, as the fabrics of clouds do; frames for it vanish. Without,
	// resolving it fails as on a plain LAN.
	AnswerARP bool
	// Standby: a third host waits beside the server for TakeOver. It takes
	// a switch.
	Standby bool
	// Delay of the client's link; zero: none.
	Delay Delay
	// Firewall of the router.
	Firewall Firewall
	// Sysctls by node: "client", "server", "standby", "router".
	Sysctls map[string]map[string]string
}

// A Network is two hosts and what lies between them, and perhaps a standby.
type Network struct {
	Path    Path
	Family  Family
	Client  *Host
	Server  *Host
	Standby *Host // nil if there is none
	// DelayedBy is what delays the client's link: "netem", "a wire in user
	// space", "" if nothing does.
	DelayedBy string

	answerARP bool
	firewall  Firewall
	delay     *delayBox   // nil without one
	middle    *Namespace  // the switch or the router; nil on a direct path
	cut       atomic.Bool // a link was cut: frames for it are lost, as they should be
}

// Names of interfaces: eth0 on every host, and in the middle that of the host
// at the other end.
const (
	nicName    = "eth0"
	bridgeName = "br0"
)

// New builds a network and returns when every end of every link is up, but
// for the standby's. The caller closes it.
func New(c Config) (*Network, error) {
	n := &Network{Path: c.Path, Family: c.Family, answerARP: c.AnswerARP}
	if n.Family == 0 {
		n.Family = IPv4
	}
	switch {
	case n.Family != IPv4 && n.Family != IPv6:
		return nil, fmt.Errorf("build network: unknown family %d", c.Family)
	case c.Standby && c.Path != Switch:
		return nil, fmt.Errorf("build network: a standby needs a switch, the path is %s", c.Path)
	}
	if err := c.Delay.check(); err != nil {
		return nil, fmt.Errorf("build network: %w", err)
	}
	planned := Plan(c.Path, n.Family, c.Standby)
	n.Client, n.Server = planned[0], planned[1]
	if c.Standby {
		n.Standby = planned[2]
	}
	for _, h := range n.hosts() {
		h.Sysctls = c.Sysctls[h.Name]
	}
	if err := n.build(c); err != nil {
		err = fmt.Errorf("build network: %w", err)
		if unclean := n.Close(); unclean != nil {
			err = errors.Join(err, &CleanupError{unclean})
		}
		return nil, err
	}
	return n, nil
}

func (n *Network) build(c Config) error {
	// The inits take some milliseconds to start, which all the rest is done
	// beside.
	for _, h := range n.hosts() {
		if err := h.start(); err != nil {
			return err
		}
	}
	var err error
	if c.Path != Direct {
		if n.middle, err = NewNamespace(); err != nil {
			return err
		}
	}
	if err := n.buildDelay(c.Delay); err != nil {
		return err
	}
	if err := n.buildFirewall(c.Firewall); err != nil {
		return err
	}
	switch c.Path {
	case Direct:
		err = n.link(n.Client, n.Server.end())
	case Switch:
		err = n.buildSwitch()
	case Router:
		err = n.buildRouter(c.Sysctls[routerName])
	default:
		err = fmt.Errorf("unknown path %q", c.Path)
	}
	if err == nil {
		err = n.startDelay()
	}
	if err != nil {
		return err
	}
	for _, h := range n.hosts() {
		if err := h.bringUp(); err != nil {
			return err
		}
	}
	if c.Path == Direct && c.AnswerARP {
		if err := n.pinNeighbour(n.Client.Namespace(), nicName); err != nil {
			return err
		}
	}
	for _, h := range n.hosts() {
		if c.Path != Direct || h == n.Client { // a direct link has both hosts' ends
			err = errors.Join(err, n.waitUp(h))
		}
		err = errors.Join(err, h.ready())
	}
	n.delay.settle()
	return err
}

// hosts are all hosts of the network, the standby too.
func (n *Network) hosts() []*Host {
	all := []*Host{n.Client, n.Server}
	if n.Standby != nil {
		all = append(all, n.Standby)
	}
	return all
}

// link makes the host's link, whose other end is far: the one place where
// links of hosts are made, of the client and of every host that has a port.
func (n *Network) link(h *Host, far end) error { return connect(far, n.outer(h)) }

// Hosts are the client, the server, and the standby where there is one.
func (n *Network) Hosts() []*Host { return n.hosts() }

// Host finds a host by its name.
func (n *Network) Host(name string) (*Host, error) {
	for _, h := range n.hosts() {
		if h.Name == name {
			return h, nil
		}
	}
	return nil, fmt.Errorf("no host %q", name)
}

// Middle is the namespace of the switch or router, nil on a direct path.
func (n *Network) Middle() *Namespace { return n.middle }

func (h *Host) end() end {
	return end{ns: h.Namespace(), name: h.NIC.Name, mac: h.NIC.MAC, address: h.NIC.Address}
}

// port is the middle's interface towards a host; a router's has the address
// that is the host's gateway.
func (n *Network) port(h *Host) end {
	mac := append(net.HardwareAddr(nil), h.NIC.MAC...)
	mac[4] = 1
	port := end{ns: n.middle, name: h.Name, mac: mac}
	if h.NIC.Gateway.IsValid() {
		port.address = netip.PrefixFrom(h.NIC.Gateway, h.NIC.Address.Bits())
	}
	return port
}

// waitUp waits until both ends of the host's link are operational. That of a
// standby that did not take over is down, and not waited for.
func (n *Network) waitUp(h *Host) error {
	if !h.NIC.Address.IsValid() {
		return nil
	}
	if err := h.end().waitUp(); err != nil {
		return fmt.Errorf("%s: %w", h.Name, err)
	}
	if err := n.far(h).waitUp(); err != nil {
		return fmt.Errorf("other end of %s's link: %w", h.Name, err)
	}
	return n.delay.waitUp()
}

// far is the other end of the host's link.
func (n *Network) far(h *Host) end {
	switch {
	case n.Path != Direct:
		return n.port(h)
	case h == n.Client:
		return n.Server.end()
	default:
		return n.Client.end()
	}
}

// buildSwitch makes a bridge without spanning tree and multicast snooping,
// which would delay and pollute, and a port for each host.
func (n *Network) buildSwitch() error {
	if err := n.middle.beQuiet(n.Family); err != nil {
		return err
	}
	h, err := n.middle.NetlinkHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = bridgeName
	snooping := false
	bridge := &netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping}
	if err := h.LinkAdd(bridge); err != nil {
		return missingFeature("bridge", fmt.Errorf("create bridge: %w", err), unix.EOPNOTSUPP)
	}
	if err := h.LinkSetUp(bridge); err != nil {
		return fmt.Errorf("set bridge up: %w", err)
	}
	for _, host := range n.hosts() {
		port := n.port(host)
		if err := n.link(host, port); err != nil {
			return err
		}
		link, err := h.LinkByName(port.name)
		if err != nil {
			return fmt.Errorf("find port %s: %w", port.name, err)
		}
		if err := h.LinkSetMaster(link, bridge); err != nil {
			return fmt.Errorf("add %s to bridge: %w", port.name, err)
		}
		if err := h.LinkSetUp(link); err != nil {
			return fmt.Errorf("set port %s up: %w", port.name, err)
		}
		if n.answerARP && host.NIC.Address.IsValid() {
			if err := n.answer(h, bridge, link, host); err != nil {
				return err
			}
		}
	}
	if n.answerARP {
		return n.answerFor(n.Server)
	}
	return nil
}

func (n *Network) buildRouter(sysctls map[string]string) error {
	if err := n.middle.beQuiet(n.Family); err != nil {
		return err
	}
	forward := map[string]string{"net.ipv4.ip_forward": "1"}
	if n.Family == IPv6 {
		forward = map[string]string{"net.ipv6.conf.all.forwarding": "1"}
	}
	if err := n.middle.SetSysctls(forward); err != nil {
		return err
	}
	if err := n.middle.SetSysctls(sysctls); err != nil {
		return err
	}
	for _, host := range n.hosts() {
		port := n.port(host)
		if err := n.link(host, port); err != nil {
			return err
		}
		nic := Interface{Name: port.name, Address: port.address}
		if err := nic.up(n.middle); err != nil {
			return fmt.Errorf("router: %w", err)
		}
	}
	if n.answerARP {
		return n.pinNeighbour(n.middle, n.port(n.Server).name)
	}
	return nil
}

// Check tells whether a host broke: its init ended, with all of its processes,
// though no fault was to do that; or the delay box lost what it was not to.
func (n *Network) Check() error {
	errs := []error{n.delay.check(n.cut.Load())}
	for _, h := range n.hosts() {
		if h.lost() {
			errs = append(errs, fmt.Errorf("%s: %w", h.Name, errInitGone))
		}
	}
	return errors.Join(errs...)
}

// Close ends every process of the network and gives up all of it. The kernel
// frees the namespaces a little later (cleanup_net). It may be called again.
func (n *Network) Close() error {
	var errs []error
	hosts := n.hosts()
	closed := make(chan error, len(hosts))
	for _, h := range hosts {
		go func() { closed <- h.close() }()
	}
	for range hosts {
		errs = append(errs, <-closed)
	}
	errs = append(errs, n.delay.close())
	if n.middle != nil {
		errs = append(errs, n.middle.Close())
	}
	return errors.Join(errs...)
}
