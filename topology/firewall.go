package topology

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A Firewall is what the router does with a TCP segment of a flow that it does
// not know. Segments of the flows that it knows pass, and so do SYNs, which
// open new ones, and all that is not TCP.
type Firewall string

const (
	FirewallNone  Firewall = ""
	FirewallDrop  Firewall = "drop"  // in silence
	FirewallReset Firewall = "reset" // answered with a RST
)

// firewallSysctls: without the first a segment in the middle of a flow that is
// not known makes it known (nf_conntrack_proto_tcp.c, tcp_new); the second
// keeps what is outside of the window a segment of no flow.
var firewallSysctls = map[string]string{
	"net.netfilter.nf_conntrack_tcp_loose":      "0",
	"net.netfilter.nf_conntrack_tcp_be_liberal": "0",
}

const conntrack = "connection tracking (nf_conntrack, nf_conntrack_netlink)"

// buildFirewall sets the firewall up, if there is to be one. It comes before
// the first packet, and before the router's own sysctls, which may change its.
func (n *Network) buildFirewall(f Firewall) error {
	n.firewall = f
	if f == FirewallNone {
		return nil
	}
	if err := n.startFirewall(f); err != nil {
		return fmt.Errorf("firewall: %w", err)
	}
	return nil
}

func (n *Network) startFirewall(f Firewall) error {
	if err := n.needRouter(); err != nil {
		return err
	}
	otherwise := drop()
	switch f {
	case FirewallDrop:
	case FirewallReset:
		otherwise = &expr.Reject{Type: unix.NFT_REJECT_TCP_RST} // never to a RST (nf_send_reset)
	default:
		return fmt.Errorf("unknown kind %q", f)
	}
	err := n.nft(func(c *nftables.Conn) {
		chain := forwardChain(c, &nftables.Table{Name: "firewall", Family: nftables.TableFamilyINet}, 0)
		for _, exprs := range [][]expr.Any{
			append(hasState(expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED), accept()),
			append(append(hasState(expr.CtStateBitNEW), isSYN()...), accept()),
			append(isTCP(), otherwise),
		} {
			c.AddRule(&nftables.Rule{Table: chain.Table, Chain: chain, Exprs: exprs})
		}
	})
	if err != nil {
		return err
	}
	// The first rule about states made the kernel track.
	err = n.middle.SetSysctls(firewallSysctls)
	if errors.Is(err, fs.ErrNotExist) {
		return &MissingFeature{conntrack, err}
	}
	return err
}

// hasState matches if the flow's state is one of those (nf_conntrack_common.h).
func hasState(states uint32) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{
			SourceRegister: 1, DestRegister: 1, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(states), Xor: binaryutil.NativeEndian.PutUint32(0),
		},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(0)},
	}
}

// isSYN matches a TCP segment with SYN and none of FIN, RST and ACK: octet 13
// of the header (RFC 9293, 3.1).
func isSYN() []expr.Any {
	return append(isTCP(),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{0x17}, Xor: []byte{0}},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{0x02}},
	)
}

// ForgetFlows lets the firewall forget every TCP connection that it knows, as
// it does when their timers ran out. It tells how many there were. Only a SYN
// can make one known again.
func (n *Network) ForgetFlows() (int, error) {
	flows, err := n.forgetFlows()
	if err != nil {
		return flows, fmt.Errorf("forget flows: %w", err)
	}
	return flows, nil
}

func (n *Network) forgetFlows() (int, error) {
	if n.firewall == FirewallNone {
		return 0, errors.New("the network has no firewall")
	}
	h, err := n.middle.NetlinkHandle(unix.NETLINK_NETFILTER)
	if err != nil {
		return 0, missingFeature(conntrack, err, unix.EPROTONOSUPPORT)
	}
	defer h.Close()
	var family netlink.InetFamily = unix.AF_INET
	if n.Client.NIC.Address.Addr().Is6() {
		family = unix.AF_INET6
	}
	var flows int
	err = RetryDump(func() error {
		deleted, err := h.ConntrackDeleteFilters(netlink.ConntrackTable, family, tcpFlows{})
		flows += int(deleted)
		return err
	})
	return flows, missingFeature(conntrack, err, unix.EINVAL, unix.EOPNOTSUPP)
}

// tcpFlows is a netlink.CustomConntrackFilter.
type tcpFlows struct{}

func (tcpFlows) MatchConntrackFlow(f *netlink.ConntrackFlow) bool {
	return f.Forward.Protocol == unix.IPPROTO_TCP
}
