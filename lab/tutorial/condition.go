package tutorial

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-6fefc909/tcplab/lab/byhand"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/topology"
)

// A Condition is how a lab is, or has to be for a step. It is looked up again and
// again, so that whoever did something else is told.
type Condition string

// The conditions.
const (
	Up        Condition = "lab"       // it is up
	Whole     Condition = "whole"     // no fault is in force
	Listening Condition = "listening" // a server listens
	Connected Condition = "connected" // the client of the step's command has a connection
	Running   Condition = "running"   // there is a client
	Stubborn  Condition = "stubborn"  // a process runs that ignores SIGTERM
	Ended     Condition = "ended"     // no client runs
	Down      Condition = "down"      // the lab is not up
)

func (c Condition) check() error {
	switch c {
	case Up, Whole, Listening, Connected, Running, Stubborn, Ended, Down:
		return nil
	}
	return fmt.Errorf("no condition %q", string(c))
}

// lasts tells whether it has to hold on, once it was wanted, until a step ends it.
func (c Condition) lasts() bool {
	return c == Up || c == Whole || c == Listening || c == Connected || c == Running
}

// The names of the programs, and of the hosts that they run on.
const (
	server, client = "server", "client"

	echoClient = "echo-client"
	stubborn   = "stubborn"
)

// A lack is why a condition does not hold, and what helps, if that is not
// what the step says.
type lack struct {
	why   string
	helps []Task
}

// lacks tells why a condition does not hold, nil if it does. s is nil if the lab is
// not up; argv is the client's that is wanted, empty for any.
func (c Condition) lacks(s *byhand.Status, argv []string) *lack {
	if c == Down {
		if s == nil {
			return nil
		}
		return &lack{why: "the lab is up"}
	}
	if s == nil {
		return &lack{why: "the lab is not up"}
	}
	clients := running(s, client, echoClient)
	switch c {
	case Up:
		return unsuitable(s)
	case Whole:
		return faults(s)
	case Listening:
		if len(sockets(s, server, "LISTEN")) == 0 {
			return &lack{why: "no server listens"}
		}
	case Connected:
		return connected(s, clients, argv)
	case Running:
		if len(clients) == 0 {
			return &lack{why: "the client has ended"}
		}
	case Ended:
		if len(clients) > 0 {
			return &lack{why: "the client still runs"}
		}
	case Stubborn:
		if len(running(s, server, stubborn)) == 0 {
			return &lack{why: "nothing on the server's host ignores SIGTERM"}
		}
	}
	return nil
}

// unsuitable tells why a lab that is up will not do.
func unsuitable(s *byhand.Status) *lack {
	if s.Path == topology.Direct {
		return &lack{
			why:   "this lab has nothing between its hosts (path direct): with the server's link the client's would go down",
			helps: []Task{{Terminal: 3, Command: "sudo lab down"}},
		}
	}
	return nil
}

// faults tells what is in force, and how it is ended.
func faults(s *byhand.Status) *lack {
	if len(s.Faults) == 0 {
		return nil
	}
	l := &lack{}
	var what []string
	for _, f := range s.Faults {
		what = append(what, f.Text)
		help := Task{Terminal: 3, Command: "sudo lab fault heal"}
		switch i := slices.IndexFunc(s.Hosts, func(h byhand.Host) bool { return h.Name == f.Host }); {
		case i >= 0 && s.Hosts[i].Down:
			help.Command = strings.TrimSuffix("sudo lab fault reboot "+f.Host, " "+server)
		case f.PID != 0:
			help.Command = fmt.Sprintf("sudo lab fault thaw %s %d", f.Host, f.PID)
		}
		if !slices.Contains(l.helps, help) {
			l.helps = append(l.helps, help)
		}
	}
	l.why = strings.Join(what, "; ")
	return l
}

// connected tells what is wrong with the clients that run: one is wanted, by
// that command, with a connection.
func connected(s *byhand.Status, clients [][]string, argv []string) *lack {
	end := []Task{{Terminal: 2, Key: "Ctrl-D"}}
	switch {
	case len(clients) == 0:
		return &lack{why: "no client runs"}
	case len(clients) > 1:
		return &lack{"several clients run: end those that you started elsewhere", nil}
	case stopped(s):
		return &lack{"the client is stopped, as by Ctrl-Z", []Task{{Terminal: 2, Command: "fg"}}}
	case len(argv) > 0 && !alike(argv, clients[0]):
		return &lack{"the client that runs is another, " + strings.Join(clients[0], " "), end}
	case halfOpen(s):
		return &lack{"the client's connection is half-open: it is ESTABLISHED at this end, and the server's host knows nothing of it", end}
	case len(both(s)) == 0:
		return &lack{"the client that runs is not connected", end}
	}
	return nil
}

// alike tells whether a program was run by a command in which some words, in
// braces, were filled in.
func alike(command, argv []string) bool {
	return slices.EqualFunc(command, argv, func(want, got string) bool { return want == got || strings.HasPrefix(want, "{") })
}

// running are the command lines of a host's processes of a program.
func running(s *byhand.Status, host, program string) (all [][]string) {
	for _, h := range s.Hosts {
		for _, p := range h.Processes {
			if h.Name == host && len(p.Argv) > 0 && p.Argv[0] == program {
				all = append(all, p.Argv)
			}
		}
	}
	return all
}

// stopped tells whether a client is, by whatever signal.
func stopped(s *byhand.Status) bool {
	return slices.ContainsFunc(s.Hosts, func(h byhand.Host) bool {
		return h.Name == client && slices.ContainsFunc(h.Processes, func(p byhand.Process) bool {
			return p.State == "T" && len(p.Argv) > 0 && p.Argv[0] == echoClient
		})
	})
}

// sockets are those of a host in a state that a process holds.
func sockets(s *byhand.Status, host, state string) (rows []record.SocketRow) {
	for _, h := range s.Hosts {
		for _, row := range h.Sockets {
			if h.Name == host && row.State == state && len(row.PIDs) > 0 {
				rows = append(rows, row)
			}
		}
	}
	return rows
}

// both are the client's connections of which both ends are there.
func both(s *byhand.Status) []record.SocketRow {
	ends := sockets(s, server, established)
	return slices.DeleteFunc(sockets(s, client, established), func(a record.SocketRow) bool {
		return !slices.ContainsFunc(ends, otherEnd(a))
	})
}

// halfOpen tells whether the client's end of a connection is established, and the
// server's host has no socket for it, in whatever state.
func halfOpen(s *byhand.Status) bool {
	i := slices.IndexFunc(s.Hosts, func(h byhand.Host) bool { return h.Name == server })
	return i >= 0 && slices.ContainsFunc(sockets(s, client, established), func(a record.SocketRow) bool {
		return !slices.ContainsFunc(s.Hosts[i].Sockets, otherEnd(a))
	})
}

// otherEnd tells of a socket whether it is the other end of a's connection.
func otherEnd(a record.SocketRow) func(record.SocketRow) bool {
	return func(b record.SocketRow) bool { return a.Local == b.Remote && a.Remote == b.Local }
}

// established is the state of a connection's ends.
const established = "ESTABLISHED"

// program is what a command runs on a host: the words behind its --.
func (t Task) program() []string {
	words := strings.Fields(t.Command)
	if i := slices.Index(words, "--"); i >= 0 {
		return words[i+1:]
	}
	return nil
}
