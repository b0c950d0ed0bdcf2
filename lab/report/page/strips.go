package page

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
)

// A strip is the time that a socket spent in a state.
type strip struct {
	host          string
	state         string
	local, remote string
	from, to      int64
	lane          int  // of its side's, from the wire outwards
	mini          bool // a mini-socket, which no process holds
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
	for _, f := range faultsOf(r) {
		if placeOf(f) != atMachine {
			continue
		}
		o := outage{f.Host, f.Time, r.Duration}
		if f.Back > 0 && f.Kind != "crash" {
			o.to = f.Back // of a failover: another has its address
		}
		all = append(all, o)
	}
	return all
}

// strips are the states of the sockets of a record's hosts, as far as they
// were observed. A socket that is closed has none; what a dead host's kernel
// held died with it. Of too many the longest are given, and left is how many
// are not.
func strips(r *record.Record) (list []strip, left int) {
	b := stripBuilder{r: r, open: map[socketKey]*strip{}, mini: map[ends]*strip{}, ended: map[ends]bool{}, down: outages(r)}
	for i := range r.Events {
		e := &r.Events[i]
		switch {
		case e.Packet != nil && e.Packet.Proto == "tcp":
			b.packet(e)
		case e.Kind == record.KindSnapshot:
			b.table(e)
		case e.State != nil:
			b.change(i)
		}
	}
	all := b.all
	if left = len(all) - mostStrips; left > 0 {
		slices.SortStableFunc(all, func(a, b *strip) int { return cmp.Compare(b.to-b.from, a.to-a.from) })
		all = all[:mostStrips]
	}
	lanes(all)
	for _, s := range all {
		list = append(list, *s)
	}
	return list, max(left, 0)
}

// mostStrips is how many strips are drawn.
const mostStrips = 200

// A socketKey is a socket's identity: its number, or, of those that only a
// table showed, its addresses.
type socketKey struct {
	host, local, remote string
	boot                int
	sock                uint64
}

// The ends of a connection, as a host has them.
type ends struct{ host, local, remote string }

// A stripBuilder follows the states of all sockets.
type stripBuilder struct {
	r     *record.Record
	open  map[socketKey]*strip
	mini  map[ends]*strip // mini-sockets, whose changes nothing tells of
	ended map[ends]bool   // the peer's FIN was received
	down  []outage
	all   []*strip
}

// begin opens a strip. Without an end it lasts as long as its host.
func (b *stripBuilder) begin(host, state, local, remote string, at int64) *strip {
	s := &strip{host: host, state: state, local: local, remote: remote, from: at, to: b.r.Duration}
	for _, o := range b.down {
		if o.host == host && o.from > at {
			s.to = min(s.to, o.from)
		}
	}
	b.all = append(b.all, s)
	return s
}

// keep opens the strip of a mini-socket, which its timer ends at the latest.
func (b *stripBuilder) keep(c ends, state string, at int64) {
	s := b.begin(c.host, state, c.local, c.remote, at)
	s.mini = true
	long := int64(60 * time.Second) // TCP_TIMEWAIT_LEN
	if n, err := strconv.Atoi(b.r.Sysctls[c.host]["net.ipv4.tcp_fin_timeout"]); err == nil && state == "FIN_WAIT2" && n > 0 && n < 3600 {
		long = int64(n) * int64(time.Second)
	}
	s.to = min(s.to, at+long)
	b.mini[c] = s
}

// drop ends a mini-socket.
func (b *stripBuilder) drop(c ends, at int64) {
	if s := b.mini[c]; s != nil {
		s.to = min(s.to, at)
		delete(b.mini, c)
	}
}

// packet follows what packets do to mini-sockets: a FIN takes them from
// FIN_WAIT2 to TIME_WAIT, a RST ends them (tcp_timewait_state_process).
func (b *stripBuilder) packet(e *record.Event) {
	p := e.Packet
	c := ends{e.Host, p.Src, p.Dst}
	if e.Kind == record.KindIn {
		c = ends{e.Host, p.Dst, p.Src}
	}
	switch s := b.mini[c]; {
	case p.Flags&record.FlagSYN != 0:
		b.ended[c] = false
	case p.Flags&record.FlagRST != 0:
		b.drop(c, e.Time)
	case p.Flags&record.FlagFIN != 0 && e.Kind == record.KindIn:
		b.ended[c] = true
		if s != nil && s.state == "FIN_WAIT2" {
			b.drop(c, e.Time)
			b.keep(c, "TIME_WAIT", e.Time)
		}
	}
}

// table ends the mini-sockets that a host's table does not have any more.
func (b *stripBuilder) table(e *record.Event) {
	for c := range b.mini {
		if c.host == e.Host && !slices.ContainsFunc(e.Sockets, func(s record.SocketRow) bool { return s.Local == c.local && s.Remote == c.remote }) {
			b.drop(c, e.Time)
		}
	}
}

// change follows a change of state.
func (b *stripBuilder) change(i int) {
	e := &b.r.Events[i]
	s := e.State
	k := socketKey{host: e.Host, boot: e.Boot, sock: s.Sock}
	if s.Sock == 0 {
		k.local, k.remote = s.Local, s.Remote
		c := ends{e.Host, s.Local, s.Remote}
		if m := b.mini[c]; m != nil && m.state == s.To {
			return // it is known to be
		}
		b.drop(c, e.Time)
	}
	local, remote := s.Local, s.Remote
	if was := b.open[k]; was != nil {
		was.to = min(was.to, e.Time)
		local, remote = cmp.Or(local, was.local), cmp.Or(remote, was.remote)
		delete(b.open, k)
	}
	c := ends{e.Host, local, remote}
	switch {
	case s.To != "CLOSE":
		b.open[k] = b.begin(e.Host, s.To, local, remote, e.Time)
	case !ladder.MiniSocket(b.r, i):
	case s.From == "CLOSING" || b.ended[c]:
		b.keep(c, "TIME_WAIT", e.Time)
	case b.r.Observed("wire"): // else a FIN may have come
		b.keep(c, "FIN_WAIT2", e.Time)
	}
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
	case "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT1", "FIN_WAIT2", "CLOSING", "TIME_WAIT", "CLOSE_WAIT", "LAST_ACK", "LISTEN":
		return "state st-" + state
	}
	return "state"
}
