package topology

import "net"

// What the nodes are called.
const (
	clientName  = "client"
	serverName  = "server"
	standbyName = "standby"
	routerName  = "router"
)

// Plan gives the client and the server that a network of this path and family
// (0: IPv4) would have, and the standby: their addresses and hardware addresses, the same in
// every network, so that runs can be compared. They are not built.
func Plan(path Path, family Family, standby bool) []*Host {
	if family == 0 {
		family = IPv4
	}
	hosts := []*Host{planHost(clientName, 1, family), planHost(serverName, 2, family)}
	for i, h := range hosts {
		subnet := byte(0)
		if path == Router {
			subnet = byte(i)
			h.NIC.Gateway = family.gateway(subnet)
		}
		h.NIC.Address = family.address(subnet, byte(i+1))
	}
	if standby {
		// It has no address before it takes over.
		hosts = append(hosts, planHost(standbyName, 3, family))
	}
	for _, h := range hosts {
		h.names = h.etcHosts(hosts)
	}
	return hosts
}

func planHost(name string, number byte, family Family) *Host {
	return &Host{
		Name:   name,
		NIC:    Interface{Name: nicName, MAC: net.HardwareAddr{0x02, 0, 0, 0, 0, number}},
		family: family,
	}
}
