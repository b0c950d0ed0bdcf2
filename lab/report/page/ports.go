package page

import (
	"slices"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// A port is a router's, as the host that it faces knows it.
type port struct{ address, mac string }

// portsOf are the router's addresses, by the host that heard of them: from what
// resolved them on its link.
func portsOf(r *record.Record) map[string]port {
	ports := map[string]port{}
	if r.Path != "router" {
		return ports
	}
	for i := range r.Events {
		e := &r.Events[i]
		p := e.Packet
		if p == nil || e.Kind != record.KindIn {
			continue
		}
		address := ""
		switch {
		case p.Proto == "arp":
			address = p.Src
		case p.Proto == "icmpv6" && p.ICMPType == record.NeighbourAdvertisement:
			address = p.Target
		}
		ofHost := slices.ContainsFunc(r.Hosts, func(h record.Host) bool { return h.Address == address || h.MAC == p.SrcMAC })
		if _, known := ports[e.Host]; !known && address != "" && !ofHost {
			ports[e.Host] = port{address, p.SrcMAC}
		}
	}
	return ports
}
