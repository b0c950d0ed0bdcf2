package record_test

import (
	"testing"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

func TestPacketText(t *testing.T) {
	icmpv6 := func(typ, code int) record.Packet {
		return record.Packet{Proto: "icmpv6", Src: "fd00::1", Dst: "fd00::2", ICMPType: typ, ICMPCode: code}
	}
	neighbour := func(typ int, target string) record.Packet {
		return record.Packet{Proto: "icmpv6", Src: "fe80::1", ICMPType: typ, Target: target, SrcMAC: "02:00:00:00:00:02"}
	}
	tests := map[string]record.Packet{
		"ARP who-has 10.0.0.2":       {Proto: "arp", ARP: record.ARPRequest, Src: "10.0.0.1", Dst: "10.0.0.2"},
		"ARP 10.0.0.2 is-at 00:02":   {Proto: "arp", ARP: record.ARPReply, Src: "10.0.0.2", SrcMAC: "02:00:00:00:00:02"},
		"ICMP host unreachable":      {Proto: "icmp", ICMPType: 3, ICMPCode: 1},
		"who-has fd00::2 (NS)":       neighbour(record.NeighbourSolicitation, "fd00::2"),
		"fd00::2 is-at 00:02 (NA)":   neighbour(record.NeighbourAdvertisement, "fd00::2"),
		"ICMPv6 type 135, code 0":    neighbour(record.NeighbourSolicitation, ""), // cut short
		"ICMPv6 no route":            icmpv6(1, 0),
		"ICMPv6 prohibited":          icmpv6(1, 1),
		"ICMPv6 address unreachable": icmpv6(1, 3),
		"ICMPv6 port unreachable":    icmpv6(1, 4),
		"ICMPv6 type 143, code 0":    icmpv6(143, 0),
	}
	for want, p := range tests {
		if got := p.String(); got != want {
			t.Errorf("%+v: got %q, want %q", p, got, want)
		}
	}
}
