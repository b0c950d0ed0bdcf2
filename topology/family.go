package topology

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strconv"

	"github.com/vishvananda/netlink"
)

// A Family is the version of the Internet protocol that a network speaks. It
// speaks no other.
type Family int

const (
	IPv4 Family = 4
	IPv6 Family = 6
)

func (f Family) String() string { return "IPv" + strconv.Itoa(int(f)) }

// address gives the address of a host of a subnet: 10.0.SUBNET.HOST/24, or
// fd00:0:0:SUBNET::HOST/64 (RFC 4193).
func (f Family) address(subnet, host byte) netip.Prefix {
	if f == IPv6 {
		return netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfd, 7: subnet, 15: host}), 64)
	}
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, subnet, host}), 24)
}

// gateway is the router's address in a subnet.
func (f Family) gateway(subnet byte) netip.Addr {
	if f == IPv6 {
		return f.address(subnet, 0xfe).Addr()
	}
	return f.address(subnet, 254).Addr()
}

// netlink is the family's number there.
func (f Family) netlink() int {
	if f == IPv6 {
		return netlink.FAMILY_V6
	}
	return netlink.FAMILY_V4
}

// linkLocal is the link-local address (RFC 4291, 2.5.6) with the same
// interface identifier, and so the same solicited-node group. Without one a
// router resolves nobody, and a host's probes of a neighbour that it knew are
// not sent: their source is such an address, unless the packet to be sent has
// one of the interface's own (ndisc_solicit, ndisc_send_ns).
func linkLocal(p netip.Prefix) netip.Prefix {
	a := p.Addr().As16()
	copy(a[:8], []byte{0xfe, 0x80, 0, 0, 0, 0, 0, 0})
	return netip.PrefixFrom(netip.AddrFrom16(a), 64)
}

// noIPv6 are the sysctls of every interface without IPv6.
var noIPv6 = map[string]string{"disable_ipv6": "1"}

// quietIPv6 are the sysctls of every interface with IPv6: no duplicate address
// detection, no address but those that it is given, nobody asked or believed
// for one. It must report the groups that it joins, at least its solicited-node
// group; version 1 of MLD does that at once, and twice (RFC 2710), where version
// 2 takes some 20 ms and more messages. So it is over when waitJoined returns.
// As with IPv4, an address survives that the link goes down.
var quietIPv6 = map[string]string{
	"disable_ipv6":         "0",
	"accept_dad":           "0",
	"addr_gen_mode":        "1", // IN6_ADDR_GEN_MODE_NONE
	"accept_ra":            "0",
	"autoconf":             "0",
	"router_solicitations": "0",
	"force_mld_version":    "1", "mldv1_unsolicited_report_interval": "1",
	"keep_addr_on_down": "1",
}

// beQuiet keeps what does not belong to an experiment off the wire. It comes
// before any interface, so that all inherit it. A kernel without IPv6 is quiet
// as it is.
func (n *Namespace) beQuiet(f Family) error {
	each := noIPv6
	if f == IPv6 {
		each = quietIPv6
	}
	values := map[string]string{}
	for key, value := range each {
		// accept_dad: the greater of the two counts.
		values["net.ipv6.conf.all."+key] = value
		values["net.ipv6.conf.default."+key] = value
	}
	return f.withoutIPv6(n.SetSysctls(values))
}

// withoutIPv6 makes of the error of a kernel that has no sysctls of IPv6 what
// it means for a network of this family: nothing, or that it cannot be.
func (f Family) withoutIPv6(err error) error {
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case f == IPv6:
		return &MissingFeature{Feature: IPv6.String(), Err: fmt.Errorf("quieten interfaces: %w", err)}
	default:
		return nil
	}
}
