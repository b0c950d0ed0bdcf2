package topology

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// HostUnreachable makes the router answer everything for the server with ICMP
// host unreachable (RFC 792, code 1): its table says so. For IPv6 it is
// destination unreachable, address unreachable (RFC 4443, code 3), by a filter:
// a route of type unreachable says no route instead, whatever its error
// (ip6_pkt_discard).
func (n *Network) HostUnreachable() error {
	if n.Family == IPv6 {
		return n.RejectAll(RejectHost)
	}
	addr := n.Server.NIC.Address.Addr()
	dst := ipNet(netip.PrefixFrom(addr, addr.BitLen()))
	return n.reroute("make host unreachable", func(h *netlink.Handle, _ netlink.Link) error {
		return h.RouteReplace(&netlink.Route{Dst: dst, Type: unix.RTN_UNREACHABLE})
	})
}

// NetUnreachable makes the router answer everything for the server's network
// with ICMP net unreachable (code 0), for IPv6 no route to destination (code
// 0): it lost its route there.
func (n *Network) NetUnreachable() error {
	return n.reroute("make net unreachable", func(h *netlink.Handle, port netlink.Link) error {
		route := &netlink.Route{LinkIndex: port.Attrs().Index, Dst: ipNet(n.Server.NIC.Address.Masked())}
		if n.Family == IPv4 {
			route.Scope = netlink.SCOPE_LINK // as the kernel made it with the address
		}
		if err := h.RouteDel(route); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
		return n.dropHostRoute(h)
	})
}

// dropHostRoute takes the route of HostUnreachable back, if there is one.
func (n *Network) dropHostRoute(h *netlink.Handle) error {
	addr := n.Server.NIC.Address.Addr()
	err := h.RouteDel(&netlink.Route{Dst: ipNet(netip.PrefixFrom(addr, addr.BitLen())), Type: unix.RTN_UNREACHABLE})
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}

// restoreRoutes takes back what HostUnreachable and NetUnreachable did, each if
// it was done.
func (n *Network) restoreRoutes() error {
	server := n.Server.NIC.Address
	return n.reroute("restore routes", func(h *netlink.Handle, port netlink.Link) error {
		if err := n.dropHostRoute(h); err != nil {
			return err
		}
		// As the kernel made it with the address (fib_add_ifaddr, addrconf_prefix_route).
		network := &netlink.Route{LinkIndex: port.Attrs().Index, Dst: ipNet(server.Masked()), Protocol: unix.RTPROT_KERNEL}
		if server.Addr().Is4() {
			network.Scope, network.Src = netlink.SCOPE_LINK, n.Server.NIC.Gateway.AsSlice()
		} else {
			network.Priority = 256 // IP6_RT_PRIO_ADDRCONF
		}
		if err := h.RouteAdd(network); err != nil && !errors.Is(err, unix.EEXIST) {
			return err
		}
		return nil
	})
}

// reroute changes the router's table; change is given its port to the server.
func (n *Network) reroute(what string, change func(*netlink.Handle, netlink.Link) error) error {
	if n.Path != Router {
		return fmt.Errorf("%s: the path is %s, without a router", what, n.Path)
	}
	if err := n.middle.withLink(n.port(n.Server).name, change); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
