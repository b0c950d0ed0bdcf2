package record

import (
	"fmt"
	"strings"
)

// FlagNames spells the flags out, "SYN+ACK".
func (p *Packet) FlagNames() string {
	var names []string
	for _, f := range []struct {
		flag int
		name string
	}{{FlagSYN, "SYN"}, {FlagFIN, "FIN"}, {FlagRST, "RST"}, {FlagPSH, "PSH"}, {FlagACK, "ACK"}} {
		if p.Flags&f.flag != 0 {
			names = append(names, f.name)
		}
	}
	return strings.Join(names, "+")
}

// String says in a few words what the packet is, without its addresses.
func (p *Packet) String() string {
	switch p.Proto {
	case "tcp":
		if p.Probe {
			return "probe"
		}
		var words []string
		for _, f := range []struct {
			flag int
			name string
		}{{FlagSYN, "SYN"}, {FlagFIN, "FIN"}, {FlagRST, "RST"}} {
			if p.Flags&f.flag != 0 {
				words = append(words, f.name)
			}
		}
		if p.Flags&FlagACK != 0 && (len(words) == 0 || p.Flags&FlagSYN != 0) && p.Len == 0 {
			words = append(words, "ACK")
		}
		if p.Window == 0 && p.Flags&FlagACK != 0 && p.Flags&(FlagRST|FlagSYN) == 0 {
			words = append(words, "window 0")
		}
		s := strings.ReplaceAll(strings.Join(words, "+"), "+window", ", window")
		if p.Len > 0 {
			s = strings.TrimPrefix(s+", ", ", ") + count(p.Len, "octet")
		}
		return s
	case "arp":
		if p.ARP == ARPRequest && p.Src == p.Dst { // gratuitous, RFC 5227
			return "ARP announces " + p.Src + " at " + p.shortMAC()
		}
		if p.ARP == ARPRequest {
			return "ARP who-has " + p.Dst
		}
		return "ARP " + p.Src + " is-at " + p.shortMAC()
	case "icmpv6":
		return p.icmpv6()
	case "icmp":
		if p.ICMPType == 3 { // destination unreachable, RFC 792
			switch p.ICMPCode {
			case 0:
				return "ICMP net unreachable"
			case 1:
				return "ICMP host unreachable"
			case 3:
				return "ICMP port unreachable"
			case 13:
				return "ICMP prohibited"
			}
		}
		return fmt.Sprintf("ICMP type %d, code %d", p.ICMPType, p.ICMPCode)
	}
	return p.Proto
}

// icmpv6 says what the message is, by RFC 4443 section 3.1 and RFC 4861.
func (p *Packet) icmpv6() string {
	switch p.ICMPType {
	case 1: // destination unreachable
		switch p.ICMPCode {
		case 0:
			return "ICMPv6 no route"
		case 1:
			return "ICMPv6 prohibited"
		case 3:
			return "ICMPv6 address unreachable"
		case 4:
			return "ICMPv6 port unreachable"
		}
	case NeighbourSolicitation:
		if p.Target != "" {
			return "who-has " + p.Target + " (NS)"
		}
	case NeighbourAdvertisement:
		if p.Target != "" {
			return p.Target + " is-at " + p.shortMAC() + " (NA)"
		}
	}
	return fmt.Sprintf("ICMPv6 type %d, code %d", p.ICMPType, p.ICMPCode)
}

// shortMAC is the end of the sender's hardware address, which is what differs.
func (p *Packet) shortMAC() string { return p.SrcMAC[max(0, len(p.SrcMAC)-5):] }

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// ICMPError tells the messages of ICMP that quote a packet, to say what became
// of it (RFC 792, RFC 4443).
func (p *Packet) ICMPError() bool {
	switch p.Proto {
	case "icmp":
		return p.ICMPType == 3 || p.ICMPType == 4 || p.ICMPType == 5 || p.ICMPType == 11 || p.ICMPType == 12
	case "icmpv6":
		return p.ICMPType >= 1 && p.ICMPType <= 4
	}
	return false
}

// Asks is the address that an ARP request or a neighbour solicitation wants
// to be resolved, "" for other packets.
func (p *Packet) Asks() string {
	switch {
	case p.Proto == "arp" && p.ARP == ARPRequest:
		return p.Dst
	case p.Proto == "icmpv6" && p.ICMPType == NeighbourSolicitation:
		return p.Target
	}
	return ""
}

// Tells is the address that an ARP reply or a neighbour advertisement
// resolves, "" for other packets.
func (p *Packet) Tells() string {
	switch {
	case p.Proto == "arp" && p.ARP == ARPReply:
		return p.Src
	case p.Proto == "icmpv6" && p.ICMPType == NeighbourAdvertisement:
		return p.Target
	}
	return ""
}

// Noise tells what belongs to no experiment: what IPv6 says about groups and
// routers (RFC 3810, RFC 4861).
func (p *Packet) Noise() bool {
	return p.Proto == "icmpv6" && (p.ICMPType >= 130 && p.ICMPType <= 134 || p.ICMPType == 143)
}
