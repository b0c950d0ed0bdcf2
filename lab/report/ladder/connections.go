package ladder

import (
	"fmt"
	"net/netip"
	"path"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// The ends of a connection.
type ends struct{ client, server string }

// Connections are those that were seen on the wire, as they come and go.
type connections struct {
	open  map[ends]bool // and false once it is over
	count int           // of those that are open
	fins  map[ends]int  // which ends' were received: 1 the client's, 2 the server's
}

// several finds the events that happen while there are several connections, by
// index: of each the client's port, 0 where it is of none. What comes later says
// nothing of them.
func several(events []record.Event) map[int]uint16 {
	ports := map[int]uint16{}
	c := connections{open: map[ends]bool{}, fins: map[ends]int{}}
	for i := range events {
		e := &events[i]
		x, known := c.find(e)
		others := c.count
		if c.open[x] {
			others--
		}
		if known && others > 0 || !known && others > 1 {
			client, _ := netip.ParseAddrPort(x.client)
			ports[i] = client.Port()
		}
		if known {
			c.follow(e, x)
		}
	}
	return ports
}

// find is the connection that an event is of. Who sends the first SYN is its
// client, or, where that was not seen, the host of this name.
func (c *connections) find(e *record.Event) (x ends, known bool) {
	var here ends
	switch {
	case e.Packet != nil && e.Packet.Proto == "tcp":
		here = ends{e.Packet.Src, e.Packet.Dst}
	case e.State != nil:
		here = ends{e.State.Local, e.State.Remote}
	case e.TCP != nil:
		here = ends{e.TCP.Local, e.TCP.Remote}
	case e.Syscall != nil:
		here = ends{e.Syscall.Local, e.Syscall.Remote}
	}
	there := ends{here.server, here.client}
	_, known = c.open[here]
	_, back := c.open[there]
	switch p := e.Packet; {
	case p == nil:
	case p.Proto == "tcp" && p.Flags&(record.FlagSYN|record.FlagACK) == record.FlagSYN:
		if e.Kind == record.KindOut && !c.open[here] && !c.open[there] {
			c.begin(here)
			return here, true
		}
	case p.Proto == "tcp" && !known && !back && p.Len > 0: // else it may be at its end
		if (e.Host == "client") != (e.Kind == record.KindOut) {
			here = there
		}
		c.begin(here)
		return here, true
	}
	switch {
	case known:
		return here, true
	case back:
		return there, true
	}
	return ends{}, false
}

func (c *connections) begin(x ends) {
	c.open[x], c.fins[x] = true, 0
	c.count++
}

// follow notes the end of a connection: a RST, the second FIN, or that its client's
// socket is closed.
func (c *connections) follow(e *record.Event, x ends) {
	over := e.State != nil && e.State.To == "CLOSE" && e.State.Local == x.client
	if p := e.Packet; p != nil && p.Fate != record.FateLost {
		over = p.Flags&record.FlagRST != 0
		if p.Flags&record.FlagFIN != 0 && e.Kind == record.KindIn {
			whose := 1
			if p.Src == x.server {
				whose = 2
			}
			c.fins[x] |= whose
			over = over || c.fins[x] == 1|2
		}
	}
	if over && c.open[x] {
		c.open[x] = false
		c.count--
	}
}

// which puts before an event's text which process and connection it is of, while
// there are several connections.
func (t *telling) which(i int, text string) string {
	port, several := t.several[i]
	if !several {
		return text
	}
	e, who := &t.r.Events[i], ""
	if e.PID > 0 && e.Comm != "" {
		who = fmt.Sprintf("%s[%d]", path.Base(e.Comm), e.PID)
	}
	switch {
	case e.Source == record.Output && who != "":
		return who + ": " + short(e.Text)
	case e.Syscall == nil && port == 0:
		return text
	case e.Syscall == nil:
		return fmt.Sprintf(":%d %s", port, text)
	case port == 0:
		return who + " " + text
	}
	return fmt.Sprintf("%s:%d %s", who, port, text)
}
