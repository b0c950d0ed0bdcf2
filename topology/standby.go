package topology

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
)

// TakeOver gives the server's address to the standby, whose hardware address
// is another, and lets it say so to the network: by gratuitous ARP (RFC 5227,
// 3), or an unsolicited neighbour advertisement with the override flag (RFC
// 4861, 7.2.6). It returns when the standby's link is operational and that is
// sent. That the server is dead is the caller's affair.
//
// What answered for the address of the dead server (Config.AnswerARP) answers
// no more: there is one who does.
func (n *Network) TakeOver(note Note) error {
	if n.Standby == nil {
		return errors.New("take over: the network has no standby")
	}
	if err := n.takeOver(note); err != nil {
		return fmt.Errorf("take over: %w", err)
	}
	return nil
}

// takeOver does it. The kernel announces addresses by itself when an interface
// comes up (arp_notify, ndisc_notify), but at that moment the bridge does not
// forward yet: its port's carrier is noticed later, and the announcement is lost
// (5 of 5 on 6.18). So the address comes when
// the link is operational, and the announcement with a change of the hardware
// address (NETDEV_CHANGEADDR) to what it is already.
func (n *Network) takeOver(note Note) error {
	h := n.Standby
	if h.NIC.Address.IsValid() {
		return errors.New("the standby did already")
	}
	if n.answerARP {
		if err := n.answerFor(nil); err != nil {
			return err
		}
		n.answerARP = false
	}
	notify := "net.ipv4.conf." + h.NIC.Name + ".arp_notify"
	if n.Family == IPv6 {
		notify = "net.ipv6.conf." + h.NIC.Name + ".ndisc_notify"
	}
	if err := h.NIC.linkUp(h.Namespace()); err != nil {
		return err
	}
	if err := errors.Join(h.end().waitUp(), n.far(h).waitUp()); err != nil {
		return err
	}
	note("the standby's link up")
	if err := h.Namespace().SetSysctls(map[string]string{notify: "1"}); err != nil {
		return err
	}
	h.NIC.Address = n.Server.NIC.Address
	if err := h.NIC.assign(h.Namespace()); err != nil {
		return err
	}
	if err := n.waitUp(h); err != nil {
		return err
	}
	err := h.Namespace().withLink(h.NIC.Name, func(nl *netlink.Handle, link netlink.Link) error {
		return nl.LinkSetHardwareAddr(link, h.NIC.MAC)
	})
	if err != nil {
		return fmt.Errorf("announce %s: %w", h.NIC.Address.Addr(), err)
	}
	note(fmt.Sprintf("%s is at %s", h.NIC.Address.Addr(), h.NIC.MAC))
	return nil
}
