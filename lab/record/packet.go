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
		s := strings.Join(words, "+")
		if p.Len > 0 {
			s = strings.TrimPrefix(s+", ", ", ") + count(p.Len, "octet")
		}
		return s
	case "arp":
		if p.ARP == ARPRequest {
			return "ARP who-has " + p.Dst
		}
		return "ARP " + p.Src + " is-at " + p.SrcMAC[max(0, len(p.SrcMAC)-5):]
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

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
