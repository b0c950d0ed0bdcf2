// Package scenarios holds the built-in scenarios, as data: what is built, who
// runs, what goes away, what must be seen. It does nothing itself.
package scenarios

import (
	"sort"
	"strings"
	"time"
)

// A Scenario is one way for the other side to go away, and what must be seen.
type Scenario struct {
	Name  string
	Title string // the question, in a sentence
	Dies  string // what goes away, in a few words
	Sees  string // what the client sees of it

	Path string // the default; see topology.Path
	// Paths are those on which the scenario is what it says, nil for all.
	Paths []string
	// AnswerARP: something goes on resolving the dead host's address.
	AnswerARP bool
	// Quick are the sysctls, by node, that shorten what takes minutes with
	// the kernel's defaults. They are left out of a run with real timers.
	Quick map[string]map[string]string
	// Sysctls are part of the scenario whatever the timers.
	Sysctls map[string]map[string]string

	Steps []Step

	Story   []string // paragraphs: what happens and why
	Sources []string // where it is described
	Why     []string // what a run's verdict is explained with
	Next    []string // scenarios to look at next
}

// A Step is something that a scenario does or waits for. String is its line
// in the scenario's script.
type Step interface{ String() string }

// Start runs a program on a host and gives it a name.
type Start struct {
	Name string
	Host string
	Argv []string // an example program, by name; {server} is the server's address and port
}

func (s Start) String() string {
	return "start " + s.Name + " on " + s.Host + ": " + strings.Join(s.Argv, " ")
}

// Type writes a line to a program's standard input.
type Type struct {
	Program string
	Line    string
}

func (s Type) String() string { return "type into " + s.Program + ": " + s.Line }

// CloseInput ends a program's standard input, as Ctrl-D does.
type CloseInput struct{ Program string }

func (s CloseInput) String() string { return "end the input of " + s.Program }

// Freeze stops the process that holds the connection on a host (SIGSTOP): it
// is too busy to read. Its kernel is not.
type Freeze struct{ Host string }

func (s Freeze) String() string { return "stop the process that holds the connection on " + s.Host }

// Sockets takes down the socket tables of both hosts.
type Sockets struct{}

func (Sockets) String() string { return "show the socket tables" }

// Fault makes a host, or the way to it, go away.
type Fault struct {
	Kind string
	Host string
}

func (s Fault) String() string { return "fault " + s.Kind + " " + s.Host }

// The kinds of faults.
const (
	Kill            = "kill"        // SIGTERM to the process that holds the connection
	KillUnread      = "kill-unread" // SIGKILL to it, with unread octets in its receive queue
	Crash           = "crash"
	Reboot          = "reboot"
	Shutdown        = "shutdown"
	UnreachableHost = "unreachable-host"
	UnreachableNet  = "unreachable-net"
)

// Expect waits for an event that must be seen.
type Expect struct {
	Event  Pattern
	Within time.Duration // 0: DefaultWithin, or as long as the prediction allows for a Detection
	// Never turns it round: nothing of the kind may be seen for Within.
	Never bool
}

// DefaultWithin is how long an event is waited for that no timer delays:
// generous, for a loaded machine.
const DefaultWithin = 30 * time.Second

func (s Expect) String() string {
	if s.Never {
		return "expect for " + s.Within.String() + " no " + s.Event.String()
	}
	line := "expect " + s.Event.String()
	if s.Within > 0 {
		line += " within " + s.Within.String()
	}
	return line
}

// Since says from when on a Pattern looks.
type Since int

const (
	// Last looks at what came after the last step that did something or
	// saw something.
	Last Since = iota
	// FaultTime looks at everything since the fault.
	FaultTime
)

// A Pattern describes an event. Empty fields match everything.
type Pattern struct {
	Host    string
	Program string
	Since   Since

	State  string // a socket reaches it
	Call   string // a system call returns
	Block  string // a system call begins
	Input  bool   // Call or Block is on standard input; otherwise on the connection
	Result string // Call: "ok" (more than 0), "EOF", or an errno's name
	Flags  string // a packet with these flags leaves Host: "FIN", "RST"
	Data   bool   // a packet with data arrives at Host
	Resend bool   // the host's TCP sends again what was not acknowledged
	Output string // a line of output that contains it
	Exit   bool   // the program ends
	Idle   bool   // all data that Host sent was acknowledged, as it knows
	Reaped bool   // the host's parent process waited for an ended child

	// Detection: the event tells the program that its peer is gone. It is
	// waited for as long as the prediction says.
	Detection bool
}

func (p Pattern) String() string {
	who := p.Host
	if p.Program != "" {
		who = p.Program
	}
	object := ""
	if p.Input {
		object = "standard input"
	}
	switch {
	case p.State != "":
		return who + " socket " + p.State
	case p.Call != "":
		s := who + " " + p.Call + "(" + object + ")"
		if p.Result != "" {
			s += " = " + p.Result
		}
		return s
	case p.Block != "":
		return who + " blocked in " + p.Block + "(" + object + ")"
	case p.Flags != "":
		return who + " sends " + p.Flags
	case p.Data:
		return who + " receives data"
	case p.Resend:
		return who + " retransmits"
	case p.Idle:
		return who + " has everything acknowledged"
	case p.Output != "":
		return who + " prints \"" + p.Output + "\""
	case p.Reaped:
		return who + " waits for an ended child"
	case p.Exit:
		return who + " ends"
	}
	return who
}

// All lists the built-in scenarios, in the order of the book.
func All() []*Scenario {
	return []*Scenario{
		kill(), killUnread(), crash(), crashLAN(), unreachable(UnreachableHost), unreachable(UnreachableNet),
		reboot(), shutdown(),
	}
}

// Find returns the scenario of a name; if there is none, nil and the known
// name nearest to it, if any is near.
func Find(name string) (found *Scenario, nearest string) {
	best := 1 + len(name)/2 // further apart than that is no likeness
	for _, s := range All() {
		if s.Name == name {
			return s, ""
		}
		if d := distance(name, s.Name); d < best {
			best, nearest = d, s.Name
		}
	}
	if nearest == "" {
		for _, s := range All() {
			if len(name) > 2 && strings.Contains(s.Name, name) {
				return nil, s.Name
			}
		}
	}
	return nil, nearest
}

// Names lists the names, sorted.
func Names() []string {
	var names []string
	for _, s := range All() {
		names = append(names, s.Name)
	}
	sort.Strings(names)
	return names
}

// distance is the number of characters to insert, delete or replace
// (Levenshtein's), or to exchange with the next one.
func distance(a, b string) int {
	prev2, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		prev2, prev, row = prev, row, prev2
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], prev2[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
