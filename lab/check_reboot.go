package lab

import (
	"fmt"
	"math"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// The checks of a host that comes back, or of another in its place, and of
// who sent a RST.

// bootTime is when the rebooted host was reachable again.
func (v *view) bootTime() int64 {
	if v.fault.Back == 0 {
		return math.MaxInt64
	}
	return v.fault.Back
}

func (v *view) silentUntilBoot() record.Check {
	host := v.dead()
	sent := before(v.segments(host, record.KindOut), v.bootTime())
	got := v.departed(before(v.segments(otherEnd(host), record.KindIn), v.bootTime()))
	return v.nothing("no FIN and no RST left the host before it was back", sent, got)
}

func (v *view) clientSilent() record.Check {
	sent := before(withData(v.segments("client", record.KindOut)), v.bootTime())
	return v.check("the client sent nothing while the host was down", len(sent) == 0, count(len(sent), "segment"), ObserveWire)
}

// resets are the RSTs that a host sent after the fault.
func (v *view) resets(host string) []*record.Event {
	return with(v.segments(host, record.KindOut), record.FlagRST)
}

func (v *view) resetFromBoot() record.Check {
	resets := v.resets("server")
	ok := len(resets) > 0
	seen := "no RST"
	if ok {
		seen = fmt.Sprintf("RST sent by boot %d of the host", resets[0].Boot)
		ok = resets[0].Boot == 2 && resets[0].Packet.Fate == record.FateArrived
	}
	return v.check("the RST came from the new namespace", ok, seen, ObserveWire)
}

// sameCard looks at what the new boot sends first: its address, from its card.
func (v *view) sameCard() record.Check {
	const name = "the rebooted host has its old addresses"
	sent := v.events(func(e *record.Event) bool {
		return e.Source == record.Wire && e.Kind == record.KindOut && e.Host == "server" && e.Boot == 2 && e.Packet != nil &&
			(e.Packet.Proto == "tcp" || e.Packet.Tells() != "")
	})
	if len(sent) == 0 {
		return v.check(name, false, "it sent nothing", ObserveWire)
	}
	p := sent[0].Packet
	src := p.Src
	if p.Proto != "tcp" {
		src = p.Tells()
	}
	return v.check(name, p.SrcMAC == v.mac["server"] && (host(src) == host(v.server) || src == host(v.server)), src+" from "+p.SrcMAC, ObserveWire)
}

func (v *view) takenOver() record.Check {
	const name = "the standby announced the server's address, and the client believed it"
	announced := v.events(func(e *record.Event) bool {
		return e.Source == record.Wire && e.Kind == record.KindIn && e.Host == "client" && v.after(e) && e.Packet != nil &&
			e.Packet.SrcMAC == v.mac["standby"] && (e.Packet.Tells() == host(v.server) || e.Packet.Asks() == host(v.server))
	})
	if len(announced) == 0 {
		return v.check(name, false, "no announcement reached the client", ObserveWire)
	}
	mac := ""
	for _, n := range v.r.Neighbours {
		if n.Node == "client" {
			mac = n.MAC
		}
	}
	return v.check(name, mac == v.mac["standby"], fmt.Sprintf("%s, and the client's entry for it became %s", announced[0], mac), ObserveWire)
}

func (v *view) resetFromStandby() record.Check {
	return v.resetFrom("standby", "the RST came from the standby")
}

func (v *view) resetFrom(sender, name string) record.Check {
	resets := v.resets(sender)
	if len(resets) == 0 {
		return v.check(name, false, "no RST left it", ObserveWire)
	}
	return v.check(name, resets[0].Packet.Fate == record.FateArrived, "RST from "+resets[0].Packet.SrcMAC, ObserveWire)
}

func (v *view) resetFromMiddle() record.Check {
	const name = "the RST came from the middle, not from the server"
	got := with(v.segments("client", record.KindIn), record.FlagRST)
	sent := before(v.resets("server"), v.detection().Time)
	if len(got) == 0 {
		return v.check(name, false, "no RST reached the client", ObserveWire)
	}
	return v.check(name, len(sent) == 0, fmt.Sprintf("the client got %s, the server sent %d", count(len(got), "RST"), len(sent)), ObserveWire)
}
