package topology

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// answer tells the bridge what it needs to answer for the host, whether that
// lives or not: a neighbour on the bridge and a static forwarding entry for
// its port. Which of them it does answer for, answerFor says.
func (n *Network) answer(h *netlink.Handle, bridge, port netlink.Link, host *Host) error {
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

// answerFor lets the bridge answer for the host, dead or alive; nil: for none.
//
// Proxy ARP answers on every port for whoever is on another one
// (br_do_proxy_suppress_arp). For IPv6 there is neighbour suppression alone
// (br_do_suppress_nd): the bridge answers for those whose port has it, but
// nobody who asks from such a port. With it on both ports nobody gets an
// answer (measured on 6.18), so one host has it: the server, until the link of
// another is cut.
func (n *Network) answerFor(host *Host) error {
	return n.eachPort(func(h *netlink.Handle, port netlink.Link, of *Host) error {
		if n.Family == IPv6 {
			return h.LinkSetBrNeighSuppress(port, of == host)
		}
		return h.LinkSetBrProxyArp(port, host != nil)
	})
}

// eachPort runs f with every port of the switch.
func (n *Network) eachPort(f func(*netlink.Handle, netlink.Link, *Host) error) error {
	for _, host := range n.hosts() {
		err := n.middle.withLink(n.port(host).name, func(h *netlink.Handle, port netlink.Link) error {
			return f(h, port, host)
		})
		if err != nil {
			return fmt.Errorf("port %s of switch: %w", host.Name, err)
		}
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
		list, err = h.NeighList(0, n.Family.netlink())
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
