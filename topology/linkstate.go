package topology

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// A LinkState is one end of a link, as ip link shows it.
type LinkState struct {
	Node  string // the host, or what lies between the hosts
	Name  string
	Peer  string // who is at the other end
	Up    bool   // administratively
	State string // operational: "up", "down", "lowerlayerdown" (no carrier)...
}

// Links are the ends of the hosts' links, each host's own first. Those of a
// delay box, which no host can see, are none.
func (n *Network) Links() ([]LinkState, error) {
	middle := string(n.Path)
	var all []LinkState
	for _, h := range n.hosts() {
		peer := middle
		switch {
		case n.Path != Direct:
		case h == n.Client:
			peer = n.Server.Name
		default:
			peer = n.Client.Name
		}
		own, err := h.Namespace().linkState(h.NIC.Name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", h.Name, err)
		}
		own.Node, own.Peer = h.Name, peer
		all = append(all, own)
	}
	if n.Path == Direct {
		return all, nil
	}
	for _, h := range n.hosts() {
		port, err := n.middle.linkState(n.port(h).name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", middle, err)
		}
		port.Node, port.Peer = middle, h.Name
		all = append(all, port)
	}
	return all, nil
}

func (n *Namespace) linkState(name string) (LinkState, error) {
	h, err := n.NetlinkHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return LinkState{}, err
	}
	defer h.Close()
	link, err := h.LinkByName(name)
	if err != nil {
		return LinkState{}, fmt.Errorf("find %s: %w", name, err)
	}
	a := link.Attrs()
	return LinkState{Name: name, Up: a.RawFlags&unix.IFF_UP != 0, State: a.OperState.String()}, nil
}
