package page

import "github.com/seed-6fefc909/tcplab/lab/record"

// connection is the client's to the server, by its addresses: what was noted
// before the fault, or else what its first SYN asked for; empty where neither
// is known.
func connection(r *record.Record) (local, remote string) {
	if len(r.Connections) > 0 {
		return r.Connections[0].Local, r.Connections[0].Remote
	}
	for i := range r.Events {
		e := &r.Events[i]
		if e.Host == "client" && e.Kind == record.KindOut && e.Packet != nil && e.Packet.Flags == record.FlagSYN {
			return e.Packet.Src, e.Packet.Dst
		}
	}
	for i := range r.Events {
		e := &r.Events[i]
		if e.Host == "client" && e.State != nil && e.State.Local != "" && e.State.Remote != "" {
			return e.State.Local, e.State.Remote
		}
	}
	return "", ""
}
