package page

import (
	"cmp"
	"slices"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// A strip is the time that a socket spent in a state.
type strip struct {
	host          string
	state         string
	local, remote string
	from, to      int64
	lane          int // of its side's, from the wire outwards
}

// An outage is the time that a host was down.
type outage struct {
	host     string
	from, to int64
}

// outages are the times in which hosts were dead, the last of them perhaps to
// the end.
func outages(r *record.Record) []outage {
	var all []outage
	for _, f := range append([]record.FaultInfo{r.Fault}, r.Later...) {
		switch f.Kind {
		case "crash", "power-off", "reboot", "failover":
			o := outage{f.Host, f.Time, r.Duration}
			if f.Kind == "reboot" && f.Back > 0 {
				o.to = f.Back
			}
			all = append(all, o)
		}
	}
	return all
}

// strips are the states of the sockets of a record's hosts, as far as they
// were observed. A socket that is closed has none; what a dead host's kernel
// held died with it.
func strips(r *record.Record) []strip {
	type key struct {
		host, local, remote string
		boot                int
		sock                uint64
	}
	open := map[key]*strip{}
	var all []*strip
	down := outages(r)
	for i := range r.Events {
		e := &r.Events[i]
		s := e.State
		if s == nil {
			continue
		}
		k := key{host: e.Host, boot: e.Boot, sock: s.Sock}
		if s.Sock == 0 { // of a table: it has no other identity than its addresses
			k.local, k.remote = s.Local, s.Remote
		}
		was := open[k]
		if was != nil {
			was.to = e.Time
			delete(open, k)
		}
		if s.To == "CLOSE" {
			continue
		}
		now := &strip{host: e.Host, state: s.To, local: s.Local, remote: s.Remote, from: e.Time, to: r.Duration}
		if was != nil {
			now.local, now.remote = cmp.Or(s.Local, was.local), cmp.Or(s.Remote, was.remote)
		}
		for _, o := range down {
			if o.host == e.Host && o.from > e.Time {
				now.to = min(now.to, o.from)
			}
		}
		open[k] = now
		all = append(all, now)
	}
	lanes(all)
	list := make([]strip, len(all))
	for i, s := range all {
		list[i] = *s
	}
	return list
}

// mostLanes is how many sockets stand beside each other at a host.
const mostLanes = 8

// lanes puts connections next to the wire, and listeners outside of them. What
// finds no lane free goes to the last.
func lanes(all []*strip) {
	slices.SortStableFunc(all, func(a, b *strip) int {
		return cmp.Or(cmp.Compare(listens(a), listens(b)), cmp.Compare(a.from, b.from))
	})
	type lane struct {
		side string
		n    int
	}
	busy := map[lane]int64{}   // until when
	of := map[[3]string]lane{} // the lane that a connection has already
	for _, s := range all {
		name := [3]string{s.host, s.local, s.remote}
		l, known := of[name]
		for n := 0; !known || busy[l] > s.from; n++ {
			l = lane{sideOf(s.host), n}
			if n == mostLanes-1 || busy[l] <= s.from {
				break
			}
		}
		of[name] = l
		busy[l] = max(busy[l], s.to)
		s.lane = l.n
	}
}

func listens(s *strip) int {
	if s.state == "LISTEN" {
		return 1
	}
	return 0
}

// stateClass is what the style sheet calls a state.
func stateClass(state string) string {
	switch state {
	case "SYN_SENT", "SYN_RECV", "NEW_SYN_RECV":
		return "state opening"
	case "ESTABLISHED":
		return "state open"
	case "LISTEN":
		return "state listening"
	}
	return "state closing"
}
