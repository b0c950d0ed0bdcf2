package lab

import (
	"fmt"
	"math"

	"github.com/seed-6fefc909/tcplab/lab/predict"
	"github.com/seed-6fefc909/tcplab/lab/record"
)

// The checks of how a connection begins and closes.

// endBeforeFIN checks that the FIN is the work of the kernel that closed the
// descriptors of the process that held the connection.
func (v *view) endBeforeFIN() record.Check {
	const name = "the process that held the connection ended, then its kernel sent a FIN"
	needs := []string{ObserveWire, ObserveEBPF, ObserveEBPF + ":sched_process_exit"}
	fins := with(v.segments("server", record.KindOut), record.FlagFIN)
	ends := v.ends()
	if len(fins) == 0 || len(ends) == 0 {
		return v.check(name, false, fmt.Sprintf("%s of process %d, %s", count(len(ends), "end"), v.fault.PID, count(len(fins), "FIN")), needs...)
	}
	gap := fins[0].Time - ends[0].Time
	return v.check(name, gap >= 0, fmt.Sprintf("FIN %s after process %d ended", record.Span(gap), ends[0].PID), needs...)
}

// ends are the ends of the process that held the connection: one.
func (v *view) ends() []*record.Event {
	return v.events(func(e *record.Event) bool {
		return e.Source == record.Process && e.Kind == record.KindExit && e.Host == "server" && v.after(e) && e.PID == v.fault.PID
	})
}

func (v *view) finAcknowledged() record.Check {
	const name = "the client's kernel acknowledged the FIN"
	fins := with(v.segments("client", record.KindIn), record.FlagFIN)
	if len(fins) == 0 {
		return v.check(name, false, "no FIN reached it", ObserveWire)
	}
	want := fins[0].Packet.Seq + uint32(fins[0].Packet.Len) + 1
	for _, e := range v.segments("client", record.KindOut) {
		if e.Time > fins[0].Time && e.Packet.Len == 0 && e.Packet.Flags&record.FlagACK != 0 && e.Packet.Ack == want {
			return v.check(name, true, fmt.Sprintf("ACK %s after the FIN", record.Span(e.Time-fins[0].Time)), ObserveWire)
		}
	}
	return v.check(name, false, "no ACK of it", ObserveWire)
}

func (v *view) resetAnswersData() record.Check {
	const name = "the server's kernel answered the client's next data with RST"
	resets := with(v.segments("server", record.KindOut), record.FlagRST)
	data := withData(v.segments("client", record.KindOut))
	if len(resets) == 0 || len(data) == 0 {
		return v.check(name, false, fmt.Sprintf("%s, %s with data", count(len(resets), "RST"), count(len(data), "segment")), ObserveWire)
	}
	gap := resets[0].Time - data[0].Time
	return v.check(name, gap > 0, fmt.Sprintf("RST %s after the data", record.Span(gap)), ObserveWire)
}

func (v *view) resetAnswersSYN() record.Check {
	const name = "the server's kernel answered the client's SYN with RST"
	syns, resets := with(v.segments("client", record.KindOut), record.FlagSYN), v.resets("server")
	if len(syns) == 0 || len(resets) == 0 {
		return v.check(name, false, fmt.Sprintf("%s, %s", count(len(syns), "SYN"), count(len(resets), "RST")), ObserveWire)
	}
	gap := resets[0].Time - syns[0].Time
	return v.check(name, gap > 0, fmt.Sprintf("RST %s after the SYN", record.Span(gap)), ObserveWire)
}

// toldByPoll checks that the wait for both returned when the FIN had come,
// sooner than any timer of TCP's, and says how soon.
func (v *view) toldByPoll() record.Check {
	const name = "the poll() that waited for both returned when the FIN was there"
	needs := []string{ObserveWire, ObserveEBPF, ObserveEBPF + ":sys_exit"}
	fins := with(v.segments("client", record.KindIn), record.FlagFIN)
	polls := v.events(func(e *record.Event) bool {
		return e.Source == record.Syscall && e.Kind == record.KindCall && e.Host == "client" && v.after(e) &&
			isWait(e.Syscall.Name) && e.Syscall.Ret > 0
	})
	if len(fins) == 0 || len(polls) == 0 {
		return v.check(name, false, fmt.Sprintf("%s, %s that returned", count(len(fins), "FIN"), count(len(polls), "poll()")), needs...)
	}
	gap := polls[0].Time - fins[0].Time
	return v.check(name, gap >= 0 && gap < int64(predict.DefaultRTOMin), fmt.Sprintf("%s after the FIN arrived: %s", record.Span(gap), polls[0].Syscall), needs...)
}

func (v *view) handshake() record.Check {
	all := v.events(func(e *record.Event) bool {
		return e.Source == record.Wire && e.Kind == record.KindOut && e.Packet != nil && e.Packet.Proto == "tcp"
	})
	if len(all) < 3 {
		return v.check("SYN, SYN+ACK, ACK", false, count(len(all), "segment"), ObserveWire)
	}
	ok := all[0].Host == "client" && all[0].Packet.Flags == record.FlagSYN &&
		all[1].Host == "server" && all[1].Packet.Flags == record.FlagSYN|record.FlagACK &&
		all[2].Host == "client" && all[2].Packet.Flags == record.FlagACK
	return v.check("the connection began with SYN, SYN+ACK, ACK", ok, flagsOf(all[:3]), ObserveWire)
}

// fin is a host's first FIN, nil if it sent none.
func (v *view) fin(host, direction string) *record.Event {
	fins := with(v.segmentsSince(host, direction, math.MinInt64), record.FlagFIN)
	if len(fins) == 0 {
		return nil
	}
	return fins[0]
}

// acknowledges finds the first segment of a host that acknowledges the other's
// FIN.
func (v *view) acknowledges(host string, fin *record.Event) *record.Event {
	want := fin.Packet.Seq + uint32(fin.Packet.Len) + 1
	for _, e := range v.segmentsSince(host, record.KindOut, fin.Time) {
		if e.Packet.Flags&record.FlagACK != 0 && int32(e.Packet.Ack-want) >= 0 {
			return e
		}
	}
	return nil
}

// closedBothWays checks the exchange of FINs and their ACKs. It takes four
// segments, or three: Linux delays the ACK of a FIN a little, and if its own
// program closes meanwhile, the ACK goes along with its own FIN.
func (v *view) closedBothWays() record.Check {
	const name = "each end sent a FIN, and each FIN was acknowledged"
	first, second := v.fin("client", record.KindOut), v.fin("server", record.KindOut)
	if first == nil || second == nil {
		return v.check(name, false, "not both sent a FIN", ObserveWire)
	}
	ack1, ack2 := v.acknowledges("server", first), v.acknowledges("client", second)
	if ack1 == nil || ack2 == nil {
		return v.check(name, false, "not both FINs were acknowledged", ObserveWire)
	}
	seen := "FIN, ACK, FIN, ACK: four segments"
	if ack1 == second {
		seen = "FIN, FIN+ACK, ACK: three segments, for the ACK of the first FIN went along with the second"
	}
	return v.check(name, first.Time < second.Time && ack1.Time <= second.Time && second.Time < ack2.Time, seen, ObserveWire)
}

func (v *view) finsCrossed() record.Check {
	const name = "both FINs were under way at the same time"
	out1, out2 := v.fin("client", record.KindOut), v.fin("server", record.KindOut)
	in1, in2 := v.fin("client", record.KindIn), v.fin("server", record.KindIn)
	if out1 == nil || out2 == nil || in1 == nil || in2 == nil {
		return v.check(name, false, "not both sent one that was received", ObserveWire)
	}
	return v.check(name, out1.Time < in1.Time && out2.Time < in2.Time,
		fmt.Sprintf("each was sent %s and %s before the other's arrived", record.Span(in1.Time-out1.Time), record.Span(in2.Time-out2.Time)), ObserveWire)
}

// timeWait looks for the state at both ends, in the socket tables that were
// read after the fault.
func (v *view) timeWait() record.Check {
	const name = "TIME_WAIT at the end that closed first, and only there"
	in := map[string]bool{}
	for _, e := range v.r.Events {
		if !v.after(&e) {
			continue
		}
		if e.State != nil && e.State.To == "TIME_WAIT" {
			in[e.Host] = true
		}
		for _, s := range e.Sockets {
			if s.State == "TIME_WAIT" {
				in[e.Host] = true
			}
		}
	}
	first, seen := "client", "neither end"
	if out1, out2 := v.fin("client", record.KindOut), v.fin("server", record.KindOut); out1 != nil && out2 != nil && out2.Time < out1.Time {
		first = "server"
	}
	if ended := with(v.segments(first, record.KindIn), record.FlagRST); v.r.Delay.Loss > 0 && len(in) == 0 && len(ended) > 0 {
		// Of a FIN that was sent twice, for its ACK was lost, the second ACK
		// finds nobody any more, and is answered with RST.
		return record.Check{Name: name, Unknown: true, Seen: "a RST, for want of a segment that the link lost, ended the " + first + "'s wait (RFC 1337)"}
	}
	switch {
	case in["client"] && in["server"]:
		seen = "both ends"
	case in["client"]:
		seen = "the client"
	case in["server"]:
		seen = "the server"
	}
	return v.check(name, in[first] && !in[otherEnd(first)], seen, ObserveSockets)
}

func (v *view) dataAfterFIN() record.Check {
	const name = "the end that got the FIN still sent data, which was received"
	fin := v.fin("client", record.KindOut)
	if fin == nil {
		return v.check(name, false, "no FIN of the client's", ObserveWire)
	}
	data := withData(v.segmentsSince("client", record.KindIn, fin.Time))
	if len(data) == 0 {
		return v.check(name, false, "no data came after it", ObserveWire)
	}
	return v.check(name, true, fmt.Sprintf("%s, %s after the FIN", count(data[0].Packet.Len, "octet"), record.Span(data[0].Time-fin.Time)), ObserveWire)
}
