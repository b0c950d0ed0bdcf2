package observe

import (
	"maps"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// A descriptorTable is which TCP connections a process's descriptors are.
type descriptorTable map[int]connectionEnds

type connectionEnds struct{ local, remote string }

// NameReady names the TCP connections behind the descriptors that poll, select
// and epoll_wait told of, and takes out those that are none. It knows a
// descriptor from the calls on it, and from the parent's where the process did
// not open it itself. events are in the order of their times.
func NameReady(events []record.Event) {
	type process struct {
		host      string
		boot, pid int
	}
	tables := map[process]descriptorTable{}
	for i := range events {
		e := &events[i]
		p := process{e.Host, e.Boot, e.PID}
		switch {
		case e.Source == record.Process && e.Kind == record.KindFork:
			parent := tables[process{e.Host, e.Boot, e.Process.Parent}]
			tables[p] = maps.Clone(parent)
		case e.Source == record.Process && e.Kind == record.KindExit:
			delete(tables, p)
		case e.Source == record.Syscall && e.Kind == record.KindCall:
			if tables[p] == nil {
				tables[p] = descriptorTable{}
			}
			tables[p].learn(e.Syscall)
			tables[p].name(e.Syscall)
		}
	}
}

// learn takes in what a call says of its descriptor.
func (t descriptorTable) learn(c *record.Call) {
	fd := c.FD
	switch c.Name {
	case "close":
		delete(t, fd)
		return
	case "accept", "accept4":
		if c.Error != "" {
			return
		}
		fd = int(c.Ret)
	}
	switch {
	case !c.Socket:
	case c.Local != "" && c.Remote != "":
		t[fd] = connectionEnds{c.Local, c.Remote}
	case c.Name == "bind" || c.Name == "listen":
		delete(t, fd) // it is not connected
	}
}

func (t descriptorTable) name(c *record.Call) {
	named := c.Ready[:0]
	for _, r := range c.Ready {
		if ends, ok := t[r.FD]; ok {
			r.Local, r.Remote = ends.local, ends.remote
			named = append(named, r)
		}
	}
	if c.Ready = named; len(named) == 0 {
		c.Ready = nil
	}
}
