package topology

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// An end is one end of a veth pair: an interface in a namespace.
type end struct {
	ns      *Namespace
	name    string
	mac     net.HardwareAddr
	address netip.Prefix // that it has or is to have; invalid: none
}

// waitUp waits until the end is operational and its address can be resolved.
func (e end) waitUp() error {
	if err := e.ns.waitUp(e.name); err != nil {
		return err
	}
	if e.address.IsValid() && e.address.Addr().Is6() {
		return e.ns.waitJoined(e.name, e.address.Addr())
	}
	return nil
}

// connect makes a veth pair straight across the two namespaces: nothing ever
// exists outside of them, so nothing can clash or be left behind. Both ends
// are up afterwards, but the operational state follows a little later.
//
// A segment on the wire is at most one MSS: without segmentation offload the
// captures show what a real wire would carry.
func connect(a, b end) error {
	h, err := a.ns.NetlinkHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr, attrs.GSOMaxSegs = a.name, a.mac, 1
	veth := &netlink.Veth{
		LinkAttrs: attrs, PeerName: b.name, PeerHardwareAddr: b.mac, PeerNamespace: netlink.NsFd(b.ns.FD()),
	}
	if err := h.LinkAdd(veth); err != nil {
		return missingFeature("veth", fmt.Errorf("create veth pair %s-%s: %w", a.name, b.name, err), unix.EOPNOTSUPP)
	}
	return nil
}

// withLink runs f with an interface of the namespace and a handle to change it.
func (n *Namespace) withLink(name string, f func(*netlink.Handle, netlink.Link) error) error {
	h, err := n.NetlinkHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	link, err := h.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find %s: %w", name, err)
	}
	return f(h, link)
}

// up sets an interface up and gives it its address and gateway.
func (i Interface) up(ns *Namespace) error {
	return ns.withLink(i.Name, func(h *netlink.Handle, link netlink.Link) error {
		if err := i.setUp(h, link); err != nil {
			return err
		}
		return i.configure(h, link)
	})
}

// linkUp sets the interface up, without an address.
func (i Interface) linkUp(ns *Namespace) error { return ns.withLink(i.Name, i.setUp) }

func (i Interface) setUp(h *netlink.Handle, link netlink.Link) error {
	if err := h.LinkSetGSOMaxSegs(link, 1); err != nil {
		return fmt.Errorf("turn segmentation offload of %s off: %w", i.Name, err)
	}
	if err := h.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s up: %w", i.Name, err)
	}
	return nil
}

// assign gives an interface that is up its address and gateway.
func (i Interface) assign(ns *Namespace) error { return ns.withLink(i.Name, i.configure) }

// configure adds the address and the gateway, and for IPv6 a link-local
// address. IPv6 addresses are used at once: nobody else has them (IFA_F_NODAD).
func (i Interface) configure(h *netlink.Handle, link netlink.Link) error {
	addresses := []*netlink.Addr{{IPNet: ipNet(i.Address)}}
	if i.Address.Addr().Is6() {
		addresses = append(addresses, &netlink.Addr{IPNet: ipNet(linkLocal(i.Address))})
	}
	for _, addr := range addresses {
		if i.Address.Addr().Is6() {
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := h.AddrAdd(link, addr); err != nil {
			return fmt.Errorf("add address %s to %s: %w", addr.IPNet, i.Name, err)
		}
	}
	if i.Gateway.IsValid() {
		if err := h.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: i.Gateway.AsSlice()}); err != nil {
			return fmt.Errorf("add default route via %s: %w", i.Gateway, err)
		}
	}
	return nil
}

// ipNet is a prefix in the form that the netlink library takes.
func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// operstateTimeout is generous: older kernels update the operational state
// once a second for the entire system (net/core/link_watch.c).
const operstateTimeout = 10 * time.Second

// waitUp waits for the interface's operational state to be UP: before that a
// first segment can be swallowed, and its retransmission starts at a second.
// The state is asked for, not subscribed to: asking makes the kernel update
// it now (since 6.8), a subscriber waits for its next round.
func (n *Namespace) waitUp(iface string) error {
	h, err := n.NetlinkHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	deadline := time.Now().Add(operstateTimeout)
	for pause := 100 * time.Microsecond; ; pause = min(2*pause, 10*time.Millisecond) {
		link, err := h.LinkByName(iface)
		if err != nil {
			return fmt.Errorf("find %s: %w", iface, err)
		}
		state := link.Attrs().OperState
		if state == netlink.OperUp {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is still %s after %v", iface, state, operstateTimeout)
		}
		time.Sleep(pause)
	}
}

// setDown sets an interface administratively down.
func (n *Namespace) setDown(iface string) error {
	return n.withLink(iface, func(h *netlink.Handle, link netlink.Link) error {
		if err := h.LinkSetDown(link); err != nil {
			return fmt.Errorf("set %s down: %w", iface, err)
		}
		return nil
	})
}

// moveLink moves an interface into another namespace. It arrives down and
// without addresses, but with its hardware address and its peer.
func (n *Namespace) moveLink(iface string, to *Namespace) error {
	return n.withLink(iface, func(h *netlink.Handle, link netlink.Link) error {
		if err := h.LinkSetNsFd(link, to.FD()); err != nil {
			return fmt.Errorf("move %s to another namespace: %w", iface, err)
		}
		return nil
	})
}
