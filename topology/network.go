// Package topology builds small networks out of Linux namespaces: hosts with
// an init of their own, links between them, and the faults that befall them.
// Nothing of a network has a name outside of it, and nothing of it outlives
// the process that made it. It knows nothing of experiments.
package topology

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"

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
	Path Path
	// AnswerARP: the network goes on resolving the address of a host that
	// is dead, as the fabrics of clouds do; frames for it vanish. Without,
	// resolving it fails as on a plain LAN.
	AnswerARP bool
	// Sysctls by node: "client", "server", "router".
	Sysctls map[string]map[string]string
}

// A Network is two hosts and what lies between them.
type Network struct {
	Path   Path
	Client *Host
	Server *Host

	answerARP bool
	middle    *Namespace // the switch or the router; nil on a direct path
}

// Names of interfaces: eth0 on every host, and in the middle that of the host
// at the other end.
const (
	nicName    = "eth0"
	bridgeName = "br0"
)

// beQuiet keeps what does not belong to an experiment off the wire: no IPv6
// autoconfiguration, no multicast listener reports. It comes before any
// interface, so that all inherit it. A kernel without IPv6 is quiet as it is.
func (n *Namespace) beQuiet() error {
	err := n.setSysctls(map[string]string{
		"net.ipv6.conf.all.disable_ipv6":     "1",
		"net.ipv6.conf.default.disable_ipv6": "1",
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// New builds a network and returns when every end of every link is up. The
// caller closes it.
func New(c Config) (*Network, error) {
	n := &Network{Path: c.Path, answerARP: c.AnswerARP}
	planned := Plan(c.Path)
	n.Client, n.Server = planned[0], planned[1]
	for _, h := range planned {
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

// Plan gives the client and the server that a network of this path would
// have: their addresses and hardware addresses, the same in every network, so
// that runs can be compared. They are not built.
func Plan(path Path) []*Host {
	hosts := []*Host{{Name: "client"}, {Name: "server"}}
	for i, h := range hosts {
		number, subnet := byte(i+1), byte(0)
		if path == Router {
			subnet = byte(i)
			h.NIC.Gateway = netip.AddrFrom4([4]byte{10, 0, subnet, 254})
		}
		h.NIC.Name = nicName
		h.NIC.MAC = net.HardwareAddr{0x02, 0, 0, 0, 0, number}
		h.NIC.Address = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, subnet, number}), 24)
	}
	return hosts
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
	switch c.Path {
	case Direct:
		err = connect(n.Client.end(), n.Server.end())
	case Switch:
		err = n.buildSwitch()
	case Router:
		err = n.buildRouter(c.Sysctls["router"])
	default:
		err = fmt.Errorf("unknown path %q", c.Path)
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
	err = n.waitUp()
	for _, h := range n.hosts() {
		err = errors.Join(err, h.ready())
	}
	return err
}

func (n *Network) hosts() []*Host { return []*Host{n.Client, n.Server} }

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

func (h *Host) end() end { return end{ns: h.Namespace(), name: h.NIC.Name, mac: h.NIC.MAC} }

// port is the middle's interface towards a host.
func (n *Network) port(h *Host) end {
	mac := append(net.HardwareAddr(nil), h.NIC.MAC...)
	mac[4] = 1
	return end{ns: n.middle, name: h.Name, mac: mac}
}

// waitUp waits until all ends are operational.
func (n *Network) waitUp() error {
	for _, h := range n.hosts() {
		if err := h.Namespace().waitUp(h.NIC.Name); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
		if n.middle != nil {
			if err := n.middle.waitUp(n.port(h).name); err != nil {
				return fmt.Errorf("%s: %w", n.Path, err)
			}
		}
	}
	return nil
}

// buildSwitch makes a bridge without spanning tree and multicast snooping,
// which would delay and pollute, and a port for each host.
func (n *Network) buildSwitch() error {
	if err := n.middle.beQuiet(); err != nil {
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
		if err := connect(port, host.end()); err != nil {
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
		if n.answerARP {
			if err := n.proxyARP(h, bridge, link, host); err != nil {
				return err
			}
		}
	}
	return nil
}

// proxyARP lets the bridge answer for the host, from what it was told once
// and whether the host lives or not (br_do_proxy_suppress_arp): a neighbour
// on the bridge, a static forwarding entry for its port, and ports that
// answer.
func (n *Network) proxyARP(h *netlink.Handle, bridge, port netlink.Link, host *Host) error {
	if err := h.LinkSetBrProxyArp(port, true); err != nil {
		return fmt.Errorf("turn proxy ARP of port %s on: %w", host.Name, err)
	}
	forward := &netlink.Neigh{
		LinkIndex: port.Attrs().Index, Family: unix.AF_BRIDGE, Flags: netlink.NTF_MASTER,
		State: netlink.NUD_NOARP, HardwareAddr: host.NIC.MAC, // NUD_NOARP: static, not the bridge's own
	}
	if err := h.NeighSet(forward); err != nil {
		return fmt.Errorf("add forwarding entry for %s: %w", host.Name, err)
	}
	if err := h.NeighSet(permanent(bridge, host)); err != nil {
		return fmt.Errorf("add neighbour %s to bridge: %w", host.Name, err)
	}
	return nil
}

func permanent(link netlink.Link, host *Host) *netlink.Neigh {
	return &netlink.Neigh{
		LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT,
		IP: host.NIC.Address.Addr().AsSlice(), HardwareAddr: host.NIC.MAC,
	}
}

// pinNeighbour makes the server's hardware address known for good.
func (n *Network) pinNeighbour(ns *Namespace, iface string) error {
	return ns.withLink(iface, func(h *netlink.Handle, link netlink.Link) error {
		if err := h.NeighSet(permanent(link, n.Server)); err != nil {
			return fmt.Errorf("add neighbour %s: %w", n.Server.Name, err)
		}
		return nil
	})
}

func (n *Network) buildRouter(sysctls map[string]string) error {
	if err := n.middle.beQuiet(); err != nil {
		return err
	}
	if err := n.middle.setSysctls(map[string]string{"net.ipv4.ip_forward": "1"}); err != nil {
		return err
	}
	if err := n.middle.setSysctls(sysctls); err != nil {
		return err
	}
	for _, host := range n.hosts() {
		port := n.port(host)
		if err := connect(port, host.end()); err != nil {
			return err
		}
		nic := Interface{Name: port.name, Address: netip.PrefixFrom(host.NIC.Gateway, host.NIC.Address.Bits())}
		if err := nic.up(n.middle); err != nil {
			return fmt.Errorf("router: %w", err)
		}
	}
	if n.answerARP {
		return n.pinNeighbour(n.middle, n.port(n.Server).name)
	}
	return nil
}

// Neighbour is what a node of the network (client, or router) knows of the
// hardware address of the server's address: the state in the kernel's words,
// "" if it knows nothing. Behind a router the client never resolves it.
func (n *Network) Neighbour(node string) (mac, state string, err error) {
	ns := n.Client.Namespace()
	if node == string(Router) {
		ns = n.middle
	}
	h, err := ns.NetlinkHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return "", "", err
	}
	defer h.Close()
	var list []netlink.Neigh
	err = RetryDump(func() (err error) {
		list, err = h.NeighList(0, netlink.FAMILY_V4)
		return err
	})
	if err != nil {
		return "", "", fmt.Errorf("list neighbours of %s: %w", node, err)
	}
	for _, neigh := range list {
		if addr, ok := netip.AddrFromSlice(neigh.IP); ok && addr.Unmap() == n.Server.NIC.Address.Addr() {
			return neigh.HardwareAddr.String(), neighbourStates[neigh.State], nil
		}
	}
	return "", "", nil
}

// neighbourStates are the kernel's names (NUD_*, linux/neighbour.h).
var neighbourStates = map[int]string{
	netlink.NUD_INCOMPLETE: "INCOMPLETE", netlink.NUD_REACHABLE: "REACHABLE", netlink.NUD_STALE: "STALE",
	netlink.NUD_DELAY: "DELAY", netlink.NUD_PROBE: "PROBE", netlink.NUD_FAILED: "FAILED",
	netlink.NUD_NOARP: "NOARP", netlink.NUD_PERMANENT: "PERMANENT",
}

// Check tells whether a host broke: its init ended, with all of its processes,
// though no fault was to do that.
func (n *Network) Check() error {
	var errs []error
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
	closed := make(chan error, 2)
	for _, h := range n.hosts() {
		go func() { closed <- h.close() }()
	}
	errs = append(errs, <-closed, <-closed)
	if n.middle != nil {
		errs = append(errs, n.middle.Close())
	}
	return errors.Join(errs...)
}
