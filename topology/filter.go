package topology

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	mdnetlink "github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// A Rejection is how a router answers what it does not forward.
type Rejection string

const (
	// RejectReset is a RST, for TCP only; the rest passes.
	RejectReset Rejection = "reset"
	// RejectProhibited is ICMP communication administratively prohibited
	// (RFC 1812: 3/13; ICMPv6: 1/1).
	RejectProhibited Rejection = "prohibited"
	// RejectHost is ICMP host unreachable (3/1; ICMPv6 address unreachable, 1/3).
	RejectHost Rejection = "host"
	// RejectNet is ICMP net unreachable (3/0; ICMPv6 no route, 1/0).
	RejectNet Rejection = "net"
)

// expression is the rejection as nftables has it. An ICMPX code is that of
// the packet's own family (nft_reject_icmp_code, nft_reject_icmpv6_code).
func (r Rejection) expression() (*expr.Reject, error) {
	switch r {
	case RejectReset:
		return &expr.Reject{Type: unix.NFT_REJECT_TCP_RST}, nil
	case RejectProhibited:
		return &expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: unix.NFT_REJECT_ICMPX_ADMIN_PROHIBITED}, nil
	case RejectHost:
		return &expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: unix.NFT_REJECT_ICMPX_HOST_UNREACH}, nil
	case RejectNet:
		return &expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: unix.NFT_REJECT_ICMPX_NO_ROUTE}, nil
	}
	return nil, fmt.Errorf("unknown rejection %q", r)
}

// Partition lets the middle drop, from now on, every TCP segment that comes
// from a host, in silence. Segments for it still arrive, ARP and neighbour
// discovery work both ways, and its own kernel is told nothing.
func (n *Network) Partition(from *Host) error {
	err := n.filter(func(c *nftables.Conn, forward *nftables.Chain) {
		exprs := append(comesFrom(n.port(from).name), isTCP()...)
		insert(c, forward, append(exprs, drop()))
	})
	if err != nil {
		return fmt.Errorf("partition %s: %w", from.Name, err)
	}
	return nil
}

// RejectAll lets the router answer, from now on, every packet for the server,
// whatever it did with them. What the server sends still passes. The kernel limits how many ICMP errors
// it sends (net.ipv4.icmp_ratelimit, net.ipv6.icmp.ratelimit).
func (n *Network) RejectAll(with Rejection) error {
	reject, err := with.expression()
	if err == nil {
		err = n.needRouter()
	}
	if err == nil {
		err = n.filter(func(c *nftables.Conn, forward *nftables.Chain) {
			exprs := goesTo(n.port(n.Server).name)
			if with == RejectReset {
				exprs = append(exprs, isTCP()...)
			}
			insert(c, forward, append(exprs, reject))
		})
	}
	if err == nil { // what has no route is not forwarded, and seen by no filter
		err = n.restoreRoutes()
	}
	if err != nil {
		return fmt.Errorf("reject all with %s: %w", with, err)
	}
	return nil
}

// Heal removes every filter of Partition and RejectAll, and takes back what
// HostUnreachable and NetUnreachable did. A firewall stays.
func (n *Network) Heal() error {
	if err := n.heal(); err != nil {
		return fmt.Errorf("heal: %w", err)
	}
	return nil
}

func (n *Network) heal() error {
	if err := n.needMiddle(); err != nil {
		return err
	}
	err := n.nft(func(c *nftables.Conn) {
		// Added first, so that there is one to remove.
		c.DelTable(c.AddTable(n.faults()))
	})
	if _, ok := errors.AsType[*MissingFeature](err); ok {
		err = nil // nor can there be a filter
	}
	if err == nil && n.Path == Router {
		err = n.restoreRoutes()
	}
	return err
}

func (n *Network) needMiddle() error {
	if n.Path == Direct {
		return fmt.Errorf("the path is %s, without a switch or router", n.Path)
	}
	return nil
}

func (n *Network) needRouter() error {
	if n.Path != Router {
		return fmt.Errorf("the path is %s, without a router", n.Path)
	}
	return nil
}

// faults is the table of the faults' filters. A bridge's sees frames, a
// router's packets of both families.
func (n *Network) faults() *nftables.Table {
	family := nftables.TableFamilyINet
	if n.Path == Switch {
		family = nftables.TableFamilyBridge
	}
	return &nftables.Table{Name: "faults", Family: family}
}

// filter adds rules to the faults' forward chain, which comes before a
// firewall's.
func (n *Network) filter(add func(c *nftables.Conn, forward *nftables.Chain)) error {
	if err := n.needMiddle(); err != nil {
		return err
	}
	return n.nft(func(c *nftables.Conn) { add(c, forwardChain(c, n.faults(), -10)) })
}

// forwardChain makes sure that there is a table with a chain for all that is
// forwarded.
func forwardChain(c *nftables.Conn, t *nftables.Table, priority nftables.ChainPriority) *nftables.Chain {
	return c.AddChain(&nftables.Chain{
		Name: "forward", Table: c.AddTable(t), Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookForward, // NF_BR_FORWARD has the same number
		// The kernel's order: lower ones first.
		Priority: &priority,
	})
}

// insert puts a rule before the others of its chain: the last fault decides.
func insert(c *nftables.Conn, chain *nftables.Chain, exprs []expr.Any) {
	c.InsertRule(&nftables.Rule{Table: chain.Table, Chain: chain, Exprs: exprs})
}

// nftTimeout ends the wait for answers that a kernel without nf_tables does
// not give: it rejects a batch as a whole (nfnetlink_rcv_batch).
const nftTimeout = 5 * time.Second

// nft changes the middle's filters: all that change asks for takes effect at
// once, or nothing does.
func (n *Network) nft(change func(*nftables.Conn)) error {
	return n.middle.Do(func() error {
		// The socket is made by Flush, on this thread.
		c, err := nftables.New(nftables.WithSockOptions(func(s *mdnetlink.Conn) error {
			return s.SetDeadline(time.Now().Add(nftTimeout))
		}))
		if err != nil {
			return fmt.Errorf("open nftables: %w", err)
		}
		change(c)
		if err := c.Flush(); err != nil {
			return missingFeature("nftables, or not all of it", fmt.Errorf("change packet filters: %w", err),
				unix.EPROTONOSUPPORT, unix.EAFNOSUPPORT, unix.EOPNOTSUPP, unix.ENOENT)
		}
		return nil
	})
}

// What rules are made of.

func isTCP() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
	}
}

func comesFrom(port string) []expr.Any { return isPort(expr.MetaKeyIIFNAME, port) }

func goesTo(port string) []expr.Any { return isPort(expr.MetaKeyOIFNAME, port) }

func isPort(key expr.MetaKey, port string) []expr.Any {
	name := make([]byte, unix.IFNAMSIZ)
	copy(name, port)
	return []expr.Any{
		&expr.Meta{Key: key, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: name},
	}
}

func drop() expr.Any { return &expr.Verdict{Kind: expr.VerdictDrop} }

func accept() expr.Any { return &expr.Verdict{Kind: expr.VerdictAccept} }
