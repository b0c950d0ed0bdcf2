package observe

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

func TestMatchEnds(t *testing.T) {
	const second = int64(1e9)
	type packet struct {
		time int64
		host string
		kind string
		id   uint64
		dst  string
	}
	out := func(time int64, host string, id uint64, dst string) packet {
		return packet{time, host, record.KindOut, id, dst}
	}
	in := func(time int64, host string, id uint64, dst string) packet {
		return packet{time, host, record.KindIn, id, dst}
	}
	client := End{Host: "client", Addrs: []netip.Addr{client4}}
	server := End{Host: "server", Addrs: []netip.Addr{server4}}
	router := End{Host: "router", Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.254")}}
	const toClient, toServer = "10.0.0.1:4242", "10.0.1.2:9998"

	tests := []struct {
		name    string
		ends    []End
		packets []packet
		want    []string // of the "out" ones, in order
	}{
		{
			name: "there and back", ends: []End{client, server},
			packets: []packet{
				out(10, "client", 1, toServer), in(17, "server", 1, toServer),
				out(20, "server", 2, toClient), in(26, "client", 2, toClient),
			},
			want: []string{"arrived +7", "arrived +6"},
		},
		{
			name: "lost", ends: []End{client, server},
			packets: []packet{out(10, "client", 1, toServer), out(20, "client", 2, toServer), in(27, "server", 2, toServer)},
			want:    []string{"lost", "arrived +7"},
		},
		{
			name: "the same instant", ends: []End{client, server},
			packets: []packet{out(10, "client", 1, toServer), in(10, "server", 1, toServer)},
			want:    []string{"arrived +0"},
		},
		{
			name: "an end that nobody watches", ends: []End{client},
			packets: []packet{out(10, "client", 1, toServer)},
			want:    []string{""},
		},
		{
			name: "not a packet of the other direction", ends: []End{client, server},
			packets: []packet{out(10, "client", 1, toServer), in(12, "client", 1, toServer)},
			want:    []string{"lost"},
		},
		{
			name: "not before it was sent", ends: []End{client, server},
			packets: []packet{in(5, "server", 1, toServer), out(10, "client", 1, toServer)},
			want:    []string{"lost"},
		},
		{
			name: "equal frames under way together keep their order", ends: []End{client, server},
			packets: []packet{
				out(10, "client", 1, toServer), out(20, "client", 1, toServer),
				in(110, "server", 1, toServer), in(121, "server", 1, toServer),
			},
			want: []string{"arrived +100", "arrived +101"},
		},
		{
			name: "equal frames, the first lost", ends: []End{client, server},
			packets: []packet{
				out(0, "client", 1, "10.0.1.2"), out(second, "client", 1, "10.0.1.2"), in(second+7, "server", 1, "10.0.1.2"),
			},
			want: []string{"lost", "arrived +7"},
		},
		{
			name: "equal frames, the last lost", ends: []End{client, server},
			packets: []packet{
				out(0, "client", 1, "10.0.1.2"), in(7, "server", 1, "10.0.1.2"), out(second, "client", 1, "10.0.1.2"),
			},
			want: []string{"arrived +7", "lost"},
		},
		{
			name: "equal frames, the second not captured where it was sent", ends: []End{client, server},
			packets: []packet{
				out(0, "client", 1, "10.0.1.2"), in(7, "server", 1, "10.0.1.2"), in(60*second, "server", 1, "10.0.1.2"),
			},
			want: []string{"arrived +7"},
		},
		{
			name: "to a router that nobody watches", ends: []End{client, server},
			packets: []packet{out(0, "client", 1, "10.0.0.254"), out(10, "client", 2, toServer)},
			want:    []string{"", "lost"},
		},
		{
			name: "to a group", ends: []End{client, server, router},
			packets: []packet{
				out(0, "client", 1, "ff02::2"), in(5, "router", 1, "ff02::2"), in(7, "server", 1, "ff02::2"),
				out(10, "server", 2, "ff02::2"),
			},
			want: []string{"arrived +5", ""},
		},
		{
			name: "through a router that is watched", ends: []End{client, server, router},
			packets: []packet{
				out(0, "client", 1, toServer), in(5, "router", 1, toServer),
				out(6, "router", 1, toServer), in(11, "server", 1, toServer),
				out(20, "client", 2, toServer), in(25, "router", 2, toServer), out(26, "router", 2, toServer),
			},
			want: []string{"arrived +11", "arrived +5", "lost", "lost"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			events := []record.Event{{Host: "client", Source: record.Wire, Kind: record.KindCarrier, Text: "up"}}
			for _, p := range tt.packets {
				events = append(events, record.Event{
					Time: p.time, Host: p.host, Source: record.Wire, Kind: p.kind,
					Packet: &record.Packet{Dst: p.dst, Frame: p.id},
				})
			}
			MatchEnds(events, tt.ends...)
			var got []string
			for _, e := range events {
				if e.Kind != record.KindOut {
					continue
				}
				fate := e.Packet.Fate
				if fate == record.FateArrived {
					fate += fmt.Sprintf(" +%d", e.Packet.Transit)
				}
				got = append(got, fate)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("fates (-want +got):\n%s", diff)
			}
		})
	}
}

// A neighbour solicitation goes to a group, and is lost if the host that it
// asks for does not get it.
func TestMatchNeighbourSolicitation(t *testing.T) {
	ask := func(time int64, host, kind string, id uint64) record.Event {
		return record.Event{Time: time, Host: host, Source: record.Wire, Kind: kind, Packet: &record.Packet{
			Proto: "icmpv6", Src: "fd00::1", Dst: "ff02::1:ff00:2", ICMPType: record.NeighbourSolicitation,
			Target: "fd00:1::2", Frame: id,
		}}
	}
	events := []record.Event{
		ask(10, "client", record.KindOut, 1), ask(17, "server", record.KindIn, 1),
		ask(20, "client", record.KindOut, 2), ask(24, "router", record.KindIn, 2),
	}
	MatchEnds(events, End{Host: "client", Addrs: []netip.Addr{client6}}, End{Host: "server", Addrs: []netip.Addr{server6}}, End{Host: "router"})
	if p := events[0].Packet; p.Fate != record.FateArrived || p.Transit != 7 {
		t.Errorf("the answered one: %q +%d, want arrived +7", p.Fate, p.Transit)
	}
	if p := events[2].Packet; p.Fate != record.FateLost {
		t.Errorf("the other: %q, want lost", p.Fate)
	}
}

// An announcement is for whoever hears it, though its target is the sender's
// own address.
func TestMatchAnnouncement(t *testing.T) {
	announce := record.Packet{Proto: "arp", ARP: record.ARPRequest, Src: server4.String(), Dst: server4.String(), Frame: 1}
	left, heard := announce, announce
	events := []record.Event{
		{Time: 10, Host: "standby", Source: record.Wire, Kind: record.KindOut, Packet: &left},
		{Time: 33, Host: "client", Source: record.Wire, Kind: record.KindIn, Packet: &heard},
	}
	MatchEnds(events, End{Host: "client", Addrs: []netip.Addr{client4}}, End{Host: "server", Addrs: []netip.Addr{server4}},
		End{Host: "standby", Addrs: []netip.Addr{server4}})
	if left.Fate != record.FateArrived || left.Transit != 23 {
		t.Errorf("its fate is %q after %d ns, want that it arrived after 23", left.Fate, left.Transit)
	}
}
