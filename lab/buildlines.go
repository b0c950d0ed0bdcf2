package lab

import "github.com/seed-6fefc909/tcplab/topology"

// BuildLines are Hand.Build of a network of two hosts. arpFails: the address of a
// dead host is not resolved any more; without, the network goes on resolving it,
// as those of clouds do.
func BuildLines(arpFails, standby bool, firewall topology.Firewall) []string {
	var lines []string
	if !arpFails {
		lines = append(lines, "arp answered")
	}
	if standby {
		lines = append(lines, "standby")
	}
	if firewall != topology.FirewallNone {
		lines = append(lines, "firewall "+string(firewall))
	}
	return lines
}
