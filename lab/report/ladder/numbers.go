package ladder

import "github.com/seed-6fefc909/tcplab/lab/record"

// A relative is a segment's place in the streams of both directions.
type relative struct{ seq, ack uint32 }

// A flow is one direction of a connection, whoever saw its segments: both
// hosts see the same numbers. Those that follow on a new SYN, as after a
// reboot, begin anew.
type flow struct{ src, dst string }

// numbers makes the sequence numbers of a record's segments relative: they
// count from the SYN of their stream, which is 0, or, where it was not seen,
// so that the first octet seen is 1. A direction that has sent nothing counts
// from what is acknowledged first.
func numbers(events []record.Event) map[int]relative {
	first := map[flow]uint32{}
	all := map[int]relative{}
	for i := range events {
		p := events[i].Packet
		if p == nil || p.Proto != "tcp" {
			continue
		}
		there, back := flow{p.Src, p.Dst}, flow{p.Dst, p.Src}
		isn, known := first[there]
		switch {
		case p.Flags&record.FlagSYN != 0 && (!known || p.Seq != isn):
			isn = p.Seq
			first[there] = isn
		case !known && p.Flags&record.FlagRST != 0:
			// Its number need not be of any stream (RFC 9293, 3.5.2).
			isn = p.Seq
		case !known:
			isn = p.Seq - 1
			first[there] = isn
		}
		n := relative{seq: p.Seq - isn}
		if p.Flags&record.FlagACK != 0 {
			other, known := first[back]
			if !known {
				other = p.Ack - 1
				first[back] = other
			}
			n.ack = p.Ack - other
		}
		all[i] = n
	}
	return all
}
