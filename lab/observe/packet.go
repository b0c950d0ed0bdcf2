package observe

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

const (
	etherLen = 14
	arpLen   = 28 // for Ethernet and IPv4
	ipv4Len  = 20
	ipv6Len  = 40
	tcpLen   = 20
	// neighbourLen is that of a neighbour solicitation or advertisement
	// without options (RFC 4861 sections 4.3 and 4.4).
	neighbourLen = 24
)

// A frameDecoder reads frames and keeps the texts of addresses: there are few,
// and many packets.
type frameDecoder struct {
	addrs [256]struct {
		addr netip.AddrPort // port 0: the address alone
		text string
	}
	macs [16]struct {
		mac  [6]byte
		text string
	}
	packets slab[record.Packet]
}

// addr is the text of an address, without the port if that is 0 and no port
// is meant.
func (d *frameDecoder) addr(addr netip.Addr, port uint16, alone bool) string {
	if !alone && port == 0 {
		return netip.AddrPortFrom(addr, 0).String()
	}
	a := netip.AddrPortFrom(addr, port)
	b := addr.As16()
	known := &d.addrs[byte(port)^byte(port>>8)^b[15]^b[14]]
	if known.text == "" || known.addr != a {
		known.addr = a
		if known.text = a.String(); alone {
			known.text = addr.String()
		}
	}
	return known.text
}

func (d *frameDecoder) mac(b []byte) string {
	known := &d.macs[b[5]&15]
	if mac := [6]byte(b); known.text == "" || known.mac != mac {
		known.mac, known.text = mac, net.HardwareAddr(b).String()
	}
	return known.text
}

// decode reads an Ethernet frame. frame is its beginning, length what it
// measured on the wire, which is more where the capture cut it. Whatever the
// bytes are it gives a packet, of which the fields that could not be read stay
// zero; Proto is the EtherType until the next header made sense. text names
// the connection that an ICMP error is about.
func (d *frameDecoder) decode(frame []byte, length int) (p *record.Packet, text string) {
	p = d.packets.take()
	if len(frame) < etherLen {
		p.Proto, p.Frame = "short frame", hashOf(0, frame)
		return p, ""
	}
	etherType, body := binary.BigEndian.Uint16(frame[12:]), frame[etherLen:]
	p.SrcMAC = d.mac(frame[6:12])
	switch etherType {
	case unix.ETH_P_ARP:
		d.arp(p, body)
	case unix.ETH_P_IP, unix.ETH_P_IPV6:
		h, ok := parseIP(body, length-etherLen)
		if !ok {
			break
		}
		body = body[:min(len(body), h.size)] // without Ethernet's padding
		text = d.transport(p, &h, body)
		p.Frame = hashIP(&h, body)
	}
	if p.Proto == "" {
		p.Proto = fmt.Sprintf("0x%04x", etherType)
	}
	if p.Frame == 0 {
		p.Frame = hashOf(0, frame[12:])
	}
	return p, text
}

// arp reads ARP for IPv4 over Ethernet (RFC 826): Src is who speaks,
// Dst whom it asks or answers.
func (d *frameDecoder) arp(p *record.Packet, b []byte) {
	if len(b) < arpLen || binary.BigEndian.Uint16(b[2:]) != unix.ETH_P_IP || b[4] != 6 || b[5] != 4 {
		return
	}
	p.Proto = "arp"
	switch binary.BigEndian.Uint16(b[6:]) {
	case 1:
		p.ARP = record.ARPRequest
	case 2:
		p.ARP = record.ARPReply
	}
	p.Src = d.addr(netip.AddrFrom4([4]byte(b[14:])), 0, true)
	p.Dst = d.addr(netip.AddrFrom4([4]byte(b[24:])), 0, true)
	p.Frame = hashOf(0, b[:arpLen])
}

// An ipHeader is what is needed of an IPv4 header, or of an IPv6 header with
// its extensions.
type ipHeader struct {
	v6       bool
	src, dst netip.Addr
	proto    byte
	offset   int  // of what follows the header
	size     int  // of header and payload, as the header says
	fragment bool // a fragment that is not the first: no transport header follows
}

// parseIP reads the IP header at the beginning of b. length is that of the
// packet on the wire, for the packets above 64 KiB whose header cannot say it.
func parseIP(b []byte, length int) (h ipHeader, ok bool) {
	if len(b) < ipv4Len {
		return h, false
	}
	switch b[0] >> 4 {
	case 4:
		h.offset = int(b[0]&0xf) * 4
		if h.offset < ipv4Len || len(b) < h.offset {
			return h, false
		}
		h.src, h.dst = netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
		h.proto = b[9]
		h.fragment = binary.BigEndian.Uint16(b[6:])&0x1fff != 0
		if h.size = int(binary.BigEndian.Uint16(b[2:])); h.size == 0 {
			h.size = length
		}
	case 6:
		if len(b) < ipv6Len {
			return h, false
		}
		h.v6, h.offset, h.proto = true, ipv6Len, b[6]
		h.src, h.dst = netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
		if h.size = ipv6Len + int(binary.BigEndian.Uint16(b[4:])); h.size == ipv6Len {
			h.size = length
		}
		h.skipExtensions(b)
	default:
		return h, false
	}
	return h, h.size >= h.offset
}

// skipExtensions moves past the extension headers of RFC 8200 section 4 and
// RFC 4302, as far as b has them.
func (h *ipHeader) skipExtensions(b []byte) {
	for len(b) >= h.offset+8 {
		size := 8 * (int(b[h.offset+1]) + 1)
		switch h.proto {
		case unix.IPPROTO_HOPOPTS, unix.IPPROTO_ROUTING, unix.IPPROTO_DSTOPTS:
		case unix.IPPROTO_FRAGMENT:
			size = 8
			h.fragment = binary.BigEndian.Uint16(b[h.offset+2:])&0xfff8 != 0
		case unix.IPPROTO_AH:
			size = 4 * (int(b[h.offset+1]) + 2)
		default:
			return
		}
		h.proto = b[h.offset]
		h.offset += size
		if h.fragment {
			return
		}
	}
}

// transport reads what follows the IP header of the packet b.
func (d *frameDecoder) transport(p *record.Packet, h *ipHeader, b []byte) (text string) {
	p.Proto = protoName(h.proto)
	if h.fragment || len(b) < h.offset {
		p.Src, p.Dst = d.addr(h.src, 0, true), d.addr(h.dst, 0, true)
		return ""
	}
	t := b[h.offset:]
	p.Src, p.Dst = d.ends(h, t)
	switch h.proto {
	case unix.IPPROTO_TCP:
		if len(t) < tcpLen {
			return ""
		}
		p.Seq = binary.BigEndian.Uint32(t[4:])
		p.Ack = binary.BigEndian.Uint32(t[8:])
		p.Flags = int(t[13]) & (record.FlagFIN | record.FlagSYN | record.FlagRST | record.FlagPSH | record.FlagACK)
		p.Window = int(binary.BigEndian.Uint16(t[14:]))
		p.Len = max(0, h.size-h.offset-int(t[12]>>4)*4)
	case unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6:
		if len(t) < 2 {
			return ""
		}
		p.ICMPType, p.ICMPCode = int(t[0]), int(t[1])
		if icmpError(h.proto, t[0]) && len(t) > 8 {
			return d.embedded(t[8:])
		}
		if h.proto == unix.IPPROTO_ICMPV6 && len(t) >= neighbourLen &&
			(t[0] == record.NeighbourSolicitation || t[0] == record.NeighbourAdvertisement) {
			p.Target = d.addr(netip.AddrFrom16([16]byte(t[8:])), 0, true)
		}
	}
	return ""
}

// ends gives the endpoints, with the ports if t begins with a TCP or UDP header.
func (d *frameDecoder) ends(h *ipHeader, t []byte) (src, dst string) {
	if h.proto != unix.IPPROTO_TCP && h.proto != unix.IPPROTO_UDP || h.fragment || len(t) < 4 {
		return d.addr(h.src, 0, true), d.addr(h.dst, 0, true)
	}
	return d.addr(h.src, binary.BigEndian.Uint16(t), false), d.addr(h.dst, binary.BigEndian.Uint16(t[2:]), false)
}

// icmpError says whether a message quotes the packet that caused it (RFC 792;
// RFC 4443 section 2.1: in ICMPv6 the types below 128, of which four exist).
func icmpError(proto, typ byte) bool {
	if proto == unix.IPPROTO_ICMPV6 {
		return typ >= 1 && typ <= 4
	}
	return typ == 3 || typ == 4 || typ == 5 || typ == 11 || typ == 12
}

// embedded names the connection of the packet that an ICMP error quotes.
func (d *frameDecoder) embedded(b []byte) string {
	h, ok := parseIP(b, len(b))
	if !ok || len(b) < h.offset {
		return ""
	}
	src, dst := d.ends(&h, b[h.offset:])
	return "for " + src + " > " + dst
}

func protoName(proto byte) string {
	switch proto {
	case unix.IPPROTO_TCP:
		return "tcp"
	case unix.IPPROTO_UDP:
		return "udp"
	case unix.IPPROTO_ICMP:
		return "icmp"
	case unix.IPPROTO_ICMPV6:
		return "icmpv6"
	}
	return "ip/" + strconv.Itoa(int(proto))
}

// hashIP identifies a packet by the bytes that stay the same from end to end.
// A router changes the hop limit and with it IPv4's header checksum. The
// checksum of TCP and UDP may be a partial one where the sender's "device" was
// to finish it, and can be finished on the way.
func hashIP(h *ipHeader, b []byte) uint64 {
	// A copy without them is hashed: once, which is quicker than its parts.
	var kept [snapLen]byte
	n := copy(kept[:], b)
	wipe := func(from, to int) {
		if from < n {
			clear(kept[from:min(to, n)])
		}
	}
	if h.v6 {
		wipe(7, 8)
	} else {
		wipe(8, 9)
		wipe(10, 12)
	}
	if !h.fragment {
		switch h.proto {
		case unix.IPPROTO_TCP:
			wipe(h.offset+16, h.offset+18)
		case unix.IPPROTO_UDP:
			wipe(h.offset+6, h.offset+8)
		}
	}
	return hashOf(uint64(len(b)), kept[:n])
}

// hashSeed makes the hashes of one process comparable.
var hashSeed = maphash.MakeSeed()

// hashOf is never 0, which says that there is no hash.
func hashOf(kind uint64, b []byte) uint64 {
	return maphash.Bytes(hashSeed, b) ^ kind | 1
}
