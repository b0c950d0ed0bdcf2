package lab

import (
	"strings"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// isPacket tells whether a packet is of the kind that a scenario names.
func isPacket(p *record.Packet, kind string, part record.StreamPart) bool {
	if p == nil {
		return false
	}
	has := func(flags int) bool { return p.Proto == "tcp" && p.Flags&flags == flags }
	switch kind {
	case "SYN":
		return has(record.FlagSYN) && !has(record.FlagACK)
	case "FIN":
		return has(record.FlagFIN)
	case "RST":
		return has(record.FlagRST)
	case "ACK":
		return p.Proto == "tcp" && p.Flags == record.FlagACK && p.Len == 0
	case "data":
		return p.Proto == "tcp" && p.Len > 0
	case "probe":
		return part == record.Probe
	case "icmp":
		return p.ICMPError()
	}
	return p.Proto == "tcp" && p.Flags == flagsNamed(kind)
}

// flagsNamed are the flags that a name such as SYN+ACK is made of.
func flagsNamed(names string) int {
	flags := 0
	for _, name := range strings.Split(names, "+") {
		switch name {
		case "SYN":
			flags |= record.FlagSYN
		case "FIN":
			flags |= record.FlagFIN
		case "RST":
			flags |= record.FlagRST
		case "PSH":
			flags |= record.FlagPSH
		case "ACK":
			flags |= record.FlagACK
		}
	}
	return flags
}
