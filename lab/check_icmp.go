package lab

import (
	"fmt"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// The checks of a router that answers with ICMP.

// An icmpKind is a kind of destination unreachable, with its type and code in
// ICMP (RFC 792) and in ICMPv6 (RFC 4443).
type icmpKind struct {
	what  string
	code4 int
	what6 string
	code6 int
}

var (
	icmpHost       = icmpKind{"host unreachable", 1, "address unreachable", 3}
	icmpNet        = icmpKind{"net unreachable", 0, "no route", 0}
	icmpProhibited = icmpKind{"communication prohibited", 13, "communication prohibited", 1}
)

// errors are the ICMP errors that the client received after the fault.
func (v *view) errors() []*record.Event {
	return v.events(func(e *record.Event) bool {
		return e.Source == record.Wire && e.Kind == record.KindIn && e.Host == "client" && v.after(e) &&
			e.Packet != nil && e.Packet.ICMPError()
	})
}

func (v *view) icmpError(kind icmpKind) record.Check {
	what, proto, typ, code := kind.what, "ICMP", 3, kind.code4
	if v.r.Family == 6 {
		what, proto, typ, code = kind.what6, "ICMPv6", 1, kind.code6
	}
	got := keep(v.errors(), func(e *record.Event) bool { return e.Packet.ICMPType == typ && e.Packet.ICMPCode == code })
	return v.check("the router answered "+proto+" "+what, len(got) > 0,
		count(len(got), "message")+fmt.Sprintf(" of type %d, code %d", typ, code), ObserveWire)
}

// soft checks that the first ICMP message did not end the connection.
func (v *view) soft() record.Check {
	const name = "the message did not end the connection: that was left to the timer"
	first, last := v.errors(), v.retransmissions()
	if len(first) == 0 || len(last) == 0 {
		return v.check(name, false, "no message, or no retransmission after it", ObserveWire)
	}
	gap := last[len(last)-1].Time - first[0].Time
	return v.check(name, gap > 0, fmt.Sprintf("retransmitted until %.2f s after the first message", time.Duration(gap).Seconds()), ObserveWire)
}

func (v *view) moreThanSilence() record.Check {
	n, silent := len(v.retransmissions()), v.r.Prediction.SilentSends
	return v.check("more retransmissions than in silence", n > silent,
		fmt.Sprintf("%d, in silence %d", n, silent), ObserveWire)
}

// alive checks that data came after the program had been told of an error.
func (v *view) alive() record.Check {
	const name = "after the error the connection still carried data"
	d := v.detection()
	data := withData(v.segmentsSince("client", record.KindIn, d.Time))
	if d.Error == "" || len(data) == 0 {
		return v.check(name, false, "no data came", ObserveWire)
	}
	return v.check(name, true, fmt.Sprintf("%s came %s later", count(data[0].Packet.Len, "octet"), record.Span(data[0].Time-d.Time)), ObserveWire)
}
