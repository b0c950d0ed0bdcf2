package observe

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// The frames of the tests go from client to server.
var (
	client4, server4 = netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.1.2")
	client6, server6 = netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00:1::2")
	// group6 is server6's solicited-node group.
	group6 = netip.MustParseAddr("ff02::1:ff00:2")
)

func ether(etherType uint16, body []byte) []byte {
	b := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1}
	return append(binary.BigEndian.AppendUint16(b, etherType), body...)
}

func ip4(proto byte, src, dst netip.Addr, payload []byte) []byte {
	b := []byte{0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 64, proto, 0xab, 0xcd}
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(payload)))
	b = append(append(b, src.AsSlice()...), dst.AsSlice()...)
	return append(b, payload...)
}

func ip6(next byte, src, dst netip.Addr, payload []byte) []byte {
	b := []byte{0x60, 0, 0, 0, 0, 0, next, 64}
	binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
	b = append(append(b, src.AsSlice()...), dst.AsSlice()...)
	return append(b, payload...)
}

func tcpSegment(flags byte, payload string) []byte {
	b := binary.BigEndian.AppendUint16(nil, 4242)
	b = binary.BigEndian.AppendUint16(b, 9998)
	b = binary.BigEndian.AppendUint32(b, 0xfffffff0)
	b = binary.BigEndian.AppendUint32(b, 7)
	b = append(b, 8<<4, flags, 0x01, 0xf6, 0xaa, 0xbb, 0, 0) // window 502, checksum, no urgent data
	b = append(b, 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2)       // time stamps
	return append(b, payload...)
}

func icmp(typ, code byte, quoted []byte) []byte {
	return append([]byte{typ, code, 0, 0, 0, 0, 0, 0}, quoted...)
}

// neighbour is a solicitation or an advertisement with the option that gives
// the sender's hardware address.
func neighbour(typ byte, target netip.Addr) []byte {
	b := append([]byte{typ, 0, 0, 0, 0, 0, 0, 0}, target.AsSlice()...)
	return append(b, 1, 1, 2, 0, 0, 0, 0, 1)
}

func arp(op byte) []byte {
	b := []byte{0, 1, 8, 0, 6, 4, 0, op, 2, 0, 0, 0, 0, 1}
	b = append(b, client4.AsSlice()...)
	b = append(b, 0, 0, 0, 0, 0, 0)
	return append(b, server4.AsSlice()...)
}

func TestDecodeFrame(t *testing.T) {
	const mac = "02:00:00:00:00:01"
	fragment := ip4(6, client4, server4, tcpSegment(0x10, "middle"))
	fragment[7] = 9
	tests := []struct {
		name   string
		frame  []byte
		length int // on the wire; 0: of frame
		want   record.Packet
		text   string
	}{
		{
			name: "tcp", frame: ether(0x0800, ip4(6, client4, server4, tcpSegment(0x18, "line 1\n"))),
			want: record.Packet{
				Proto: "tcp", Src: "10.0.0.1:4242", Dst: "10.0.1.2:9998", SrcMAC: mac,
				Flags: record.FlagPSH | record.FlagACK, Seq: 0xfffffff0, Ack: 7, Window: 502, Len: 7,
			},
		},
		{
			name: "tcp with the padding of a short frame", frame: append(ether(0x0800, ip4(6, client4, server4, tcpSegment(0x04, ""))), make([]byte, 6)...),
			want: record.Packet{
				Proto: "tcp", Src: "10.0.0.1:4242", Dst: "10.0.1.2:9998", SrcMAC: mac,
				Flags: record.FlagRST, Seq: 0xfffffff0, Ack: 7, Window: 502,
			},
		},
		{
			name: "tcp cut by the capture", frame: ether(0x0800, ip4(6, client4, server4, tcpSegment(0x10, "0123456789")))[:14+20+32], length: 14 + 20 + 32 + 10,
			want: record.Packet{
				Proto: "tcp", Src: "10.0.0.1:4242", Dst: "10.0.1.2:9998", SrcMAC: mac,
				Flags: record.FlagACK, Seq: 0xfffffff0, Ack: 7, Window: 502, Len: 10,
			},
		},
		{
			name: "tcp above 64 KiB", length: 14 + 20 + 32 + 100_000,
			frame: func() []byte {
				b := ip4(6, client4, server4, tcpSegment(0x10, "and so on"))
				b[2], b[3] = 0, 0
				return ether(0x0800, b)
			}(),
			want: record.Packet{
				Proto: "tcp", Src: "10.0.0.1:4242", Dst: "10.0.1.2:9998", SrcMAC: mac,
				Flags: record.FlagACK, Seq: 0xfffffff0, Ack: 7, Window: 502, Len: 100_000,
			},
		},
		{
			name: "tcp over IPv6 behind a hop-by-hop header", frame: ether(0x86dd, ip6(0, client6, server6, append([]byte{6, 0, 1, 4, 0, 0, 0, 0}, tcpSegment(0x02, "")...))),
			want: record.Packet{
				Proto: "tcp", Src: "[fd00::1]:4242", Dst: "[fd00:1::2]:9998", SrcMAC: mac,
				Flags: record.FlagSYN, Seq: 0xfffffff0, Ack: 7, Window: 502,
			},
		},
		{
			name: "fragment", frame: ether(0x0800, fragment),
			want: record.Packet{Proto: "tcp", Src: "10.0.0.1", Dst: "10.0.1.2", SrcMAC: mac},
		},
		{
			name: "host unreachable", frame: ether(0x0800, ip4(1, server4, client4, icmp(3, 1, ip4(6, client4, server4, tcpSegment(0x10, ""))[:28]))),
			want: record.Packet{Proto: "icmp", Src: "10.0.1.2", Dst: "10.0.0.1", ICMPType: 3, ICMPCode: 1, SrcMAC: mac},
			text: "for 10.0.0.1:4242 > 10.0.1.2:9998",
		},
		{
			name: "IPv6 address unreachable", frame: ether(0x86dd, ip6(58, server6, client6, icmp(1, 3, ip6(6, client6, server6, tcpSegment(0x10, ""))))),
			want: record.Packet{Proto: "icmpv6", Src: "fd00:1::2", Dst: "fd00::1", ICMPType: 1, ICMPCode: 3, SrcMAC: mac},
			text: "for [fd00::1]:4242 > [fd00:1::2]:9998",
		},
		{
			name: "host unreachable that quotes too little", frame: ether(0x0800, ip4(1, server4, client4, icmp(3, 1, ip4(6, client4, server4, nil)))),
			want: record.Packet{Proto: "icmp", Src: "10.0.1.2", Dst: "10.0.0.1", ICMPType: 3, ICMPCode: 1, SrcMAC: mac},
			text: "for 10.0.0.1 > 10.0.1.2",
		},
		{
			name: "echo request", frame: ether(0x0800, ip4(1, client4, server4, icmp(8, 0, []byte("not a quoted packet at all")))),
			want: record.Packet{Proto: "icmp", Src: "10.0.0.1", Dst: "10.0.1.2", ICMPType: 8, SrcMAC: mac},
		},
		{
			name: "arp", frame: ether(0x0806, arp(1)),
			want: record.Packet{Proto: "arp", Src: "10.0.0.1", Dst: "10.0.1.2", ARP: "request", SrcMAC: mac},
		},
		{
			name: "neighbour solicitation", frame: ether(0x86dd, ip6(58, client6, group6, neighbour(135, server6))),
			want: record.Packet{Proto: "icmpv6", Src: "fd00::1", Dst: "ff02::1:ff00:2", ICMPType: 135, Target: "fd00:1::2", SrcMAC: mac},
		},
		{
			name: "neighbour advertisement", frame: ether(0x86dd, ip6(58, client6, server6, neighbour(136, client6))),
			want: record.Packet{Proto: "icmpv6", Src: "fd00::1", Dst: "fd00:1::2", ICMPType: 136, Target: "fd00::1", SrcMAC: mac},
		},
		{
			name: "neighbour solicitation cut short", frame: ether(0x86dd, ip6(58, client6, group6, neighbour(135, server6)[:23])),
			want: record.Packet{Proto: "icmpv6", Src: "fd00::1", Dst: "ff02::1:ff00:2", ICMPType: 135, SrcMAC: mac},
		},
		{
			name: "another protocol of IP", frame: ether(0x0800, ip4(132, client4, server4, nil)),
			want: record.Packet{Proto: "ip/132", Src: "10.0.0.1", Dst: "10.0.1.2", SrcMAC: mac},
		},
		{
			name: "another EtherType", frame: ether(0x88cc, []byte("LLDP")),
			want: record.Packet{Proto: "0x88cc", SrcMAC: mac},
		},
		{
			name: "IP header cut short", frame: ether(0x0800, ip4(6, client4, server4, nil)[:19]),
			want: record.Packet{Proto: "0x0800", SrcMAC: mac},
		},
		{name: "no Ethernet header", frame: make([]byte, 13), want: record.Packet{Proto: "short frame"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			length := tt.length
			if length == 0 {
				length = len(tt.frame)
			}
			var d frameDecoder
			got, text := d.decode(tt.frame, length)
			if got.Frame == 0 {
				t.Error("no hash of the frame")
			}
			got.Frame = 0
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Errorf("packet (-want +got):\n%s", diff)
			}
			if text != tt.text {
				t.Errorf("text %q, want %q", text, tt.text)
			}
		})
	}
}

// What a router and a checksumming device change must not change the hash;
// anything else must.
func TestFrameHash(t *testing.T) {
	v4 := ether(0x0800, ip4(6, client4, server4, tcpSegment(0x18, "line 1\n")))
	v6 := ether(0x86dd, ip6(6, client6, server6, tcpSegment(0x18, "line 1\n")))
	tests := []struct {
		name  string
		frame []byte
		free  []int // the offsets that may change on the way
	}{
		{"IPv4", v4, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14 + 8, 14 + 10, 14 + 11, 14 + 20 + 16, 14 + 20 + 17}},
		{"IPv6", v6, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14 + 7, 14 + 40 + 16, 14 + 40 + 17}},
	}
	var d frameDecoder
	for _, tt := range tests {
		want, _ := d.decode(tt.frame, len(tt.frame))
		for i := range tt.frame {
			if i == 12 || i == 13 {
				continue // then it is another protocol
			}
			b := slices.Clone(tt.frame)
			b[i] ^= 0x10
			got, _ := d.decode(b, len(b))
			if same := got.Frame == want.Frame; same != slices.Contains(tt.free, i) {
				t.Errorf("%s: byte %d changed, same hash = %t", tt.name, i, same)
			}
		}
	}
}

func FuzzDecodeFrame(f *testing.F) {
	quoted := ip4(6, client4, server4, tcpSegment(0x10, ""))
	f.Add(ether(0x0800, ip4(6, client4, server4, tcpSegment(0x18, "line 1\n"))), 80)
	f.Add(ether(0x0800, ip4(1, server4, client4, icmp(3, 1, quoted))), 0)
	f.Add(ether(0x86dd, ip6(0, client6, server6, append([]byte{44, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 1, 0, 0, 0, 0}, tcpSegment(2, "")...))), 1<<20)
	f.Add(ether(0x86dd, ip6(58, server6, client6, icmp(1, 3, ip6(51, client6, server6, []byte{6, 200, 0, 0, 0, 0, 0, 0})))), -1)
	f.Add(ether(0x0806, arp(2)), 60)
	f.Fuzz(func(t *testing.T, frame []byte, length int) {
		var d frameDecoder
		p, _ := d.decode(frame, length)
		if p.Proto == "" || p.Len < 0 {
			t.Errorf("decode(%x) = %+v", frame, p)
		}
	})
}

func BenchmarkDecodeFrame(b *testing.B) {
	frame := ether(0x0800, ip4(6, client4, server4, tcpSegment(0x18, "line 1\n")))
	b.ReportAllocs()
	var d frameDecoder
	for b.Loop() {
		d.decode(frame, len(frame))
	}
}
