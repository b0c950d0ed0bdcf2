package topology

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// What this kernel lacks of nftables is a missing feature; here it is the
// bridge's reject, which others have.
func TestMissingFilterIsMissingFeature(t *testing.T) {
	n := newTestNetwork(t, Config{Path: Switch})
	err := n.filter(func(c *nftables.Conn, forward *nftables.Chain) {
		insert(c, forward, append(isTCP(), &expr.Reject{Type: unix.NFT_REJECT_TCP_RST}))
	})
	if err == nil {
		return // it is in the forward chain that it is taken
	}
	if _, ok := errors.AsType[*MissingFeature](err); !ok {
		t.Errorf("error %v, want a missing feature", err)
	}
	if err := exchange(n); err != nil {
		t.Errorf("nothing was to change, but %v", err)
	}
}

// overIPv6 gives a network's hosts IPv6 addresses in place of their own.
func overIPv6(t *testing.T, n *Network) {
	t.Helper()
	add := func(ns *Namespace, iface string, address netip.Prefix, gateway netip.Addr) {
		// Duplicate address detection would keep the link-local address from
		// use for a second, by which a router asks for its neighbours.
		if err := ns.SetSysctls(map[string]string{
			"net.ipv6.conf." + iface + ".accept_dad": "0",
			"net.ipv6.conf.all.accept_dad":           "0", // both count (addrconf_dad_begin)
			"net.ipv6.conf.all.forwarding":           "1",
		}); err != nil {
			t.Fatal(err)
		}
		if err := ns.SetSysctls(map[string]string{"net.ipv6.conf." + iface + ".disable_ipv6": "0"}); err != nil {
			t.Fatal(err)
		}
		if err := ns.withLink(iface, func(h *netlink.Handle, link netlink.Link) error {
			err := h.AddrAdd(link, &netlink.Addr{IPNet: ipNet(address), Flags: unix.IFA_F_NODAD})
			if err == nil && gateway.IsValid() {
				err = h.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: gateway.AsSlice()})
			}
			// Even without, an address is tentative for a moment.
			for tentative := true; tentative && err == nil; time.Sleep(time.Millisecond) {
				var list []netlink.Addr
				list, err = h.AddrList(link, netlink.FAMILY_V6)
				tentative = slices.ContainsFunc(list, func(a netlink.Addr) bool { return a.Flags&unix.IFA_F_TENTATIVE != 0 })
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	for i, h := range n.hosts() {
		subnet := netip.AddrFrom16([16]byte{0: 0xfd, 7: byte(i), 15: byte(i + 1)})
		gateway := netip.AddrFrom16([16]byte{0: 0xfd, 7: byte(i), 15: 0xfe})
		h.NIC.Address, h.NIC.Gateway = netip.PrefixFrom(subnet, 64), gateway
		add(h.Namespace(), h.NIC.Name, h.NIC.Address, gateway)
		add(n.middle, h.Name, netip.PrefixFrom(gateway, 64), netip.Addr{})
	}
}

func connectIPv6(n *Network) error {
	return n.Client.Namespace().Do(func() error {
		c, err := net.DialTimeout("tcp6", net.JoinHostPort(n.Server.NIC.Address.Addr().String(), "9"), 5*time.Second)
		if err == nil {
			c.Close()
		}
		return err
	})
}

func TestFiltersOverIPv6(t *testing.T) {
	t.Parallel()
	n := newTestNetwork(t, Config{Path: Router, Firewall: FirewallDrop, Sysctls: map[string]map[string]string{
		"client": {"net.ipv4.tcp_syn_retries": "1", "net.ipv4.tcp_syn_linear_timeouts": "0"},
		"router": {"net.ipv6.icmp.ratelimit": "0"},
	}})
	overIPv6(t, n)
	if err := exchange(n); err != nil {
		t.Fatal(err)
	}
	if flows, err := n.ForgetFlows(); err != nil || flows != 1 {
		t.Errorf("%d flows forgotten, %v; want 1", flows, err)
	}
	for _, c := range []struct {
		name  string
		fault func() error
		want  error
	}{
		{"closed port", func() error { return nil }, unix.ECONNREFUSED},
		{"reset", func() error { return n.RejectAll(RejectReset) }, unix.ECONNREFUSED},
		{"host", func() error { return n.RejectAll(RejectHost) }, unix.EHOSTUNREACH},
		{"net", func() error { return n.RejectAll(RejectNet) }, unix.ENETUNREACH},
		// Not EHOSTUNREACH, as over IPv4 (icmpv6_err_convert).
		{"prohibited", func() error { return n.RejectAll(RejectProhibited) }, unix.EACCES},
		{"partition", func() error { return n.Partition(n.Client) }, unix.ETIMEDOUT},
		{"partition of the server", func() error { return n.Partition(n.Server) }, unix.ETIMEDOUT},
	} {
		if err := c.fault(); err != nil {
			t.Fatal(err)
		}
		if err := connectIPv6(n); !errors.Is(err, c.want) {
			t.Errorf("%s: connect: %v, want %v", c.name, err, c.want)
		}
		if err := n.Heal(); err != nil {
			t.Fatal(err)
		}
		if err := exchange(n); err != nil {
			t.Errorf("%s: healed, but %v", c.name, err)
		}
	}
}
