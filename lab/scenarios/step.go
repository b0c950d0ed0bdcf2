package scenarios

import (
	"fmt"
	"time"
)

// A Step is something that a scenario does or waits for. String is its line
// in the script, Place where that is: FILE:LINE.
type Step interface {
	fmt.Stringer
	Place() string
}

// A line of a script.
type line struct {
	file   string
	number int
	text   string
}

func (l line) String() string { return l.text }

// Place is the option's name for what comes from the command line.
func (l line) Place() string {
	if l.number == 0 {
		return l.file
	}
	return fmt.Sprintf("%s:%d", l.file, l.number)
}

// Start runs a program on a host and gives it a name.
type Start struct {
	line
	Name string
	Host string
	Argv []string // {server:port} and the like are filled in at the start
}

// Type writes a line to a program's standard input.
type Type struct {
	line
	Program string
	Text    string
}

// CloseInput ends a program's standard input, as Ctrl-D does.
type CloseInput struct {
	line
	Program string
}

// Freeze stops the process that holds the connection on a host, or a program
// (SIGSTOP): it is too busy to do anything. Its kernel is not.
type Freeze struct {
	line
	Who  string // a host or a program; "" of a line that was typed: any
	PID  int    // that process of the host instead; 0 but of a line that was typed
	Thaw bool   // let it go on instead
}

// Signal sends a signal to a program, or to the process that holds the
// connection on a host.
type Signal struct {
	line
	Who    string
	Signal string
}

// Sockets takes down the socket tables of the hosts.
type Sockets struct{ line }

// Zero is the run's time zero, where no fault is.
type Zero struct {
	line
	What string
}

// Heal takes back what the network was told to do to packets.
type Heal struct{ line }

// Fault makes a host, a process, or the way to it go away.
type Fault struct {
	line
	Kind string
	Host string // whom it befalls, "" where that is the network
	PID  int    // the process there; 0, as but of a line that was typed: the holder of the connection
}

// Expect waits for an event that must be seen.
type Expect struct {
	line
	Event Pattern
	// The event must come between After and Within from the instant that
	// Since names. 0 for Within: DefaultWithin, or as long as the prediction
	// allows for a Detection.
	After, Within time.Duration
	Since         Since
	By            string // the model that says the window instead, "" for none
	Times         int    // that many events, 1 at least
	// Never turns it round: nothing of the kind may be seen for Within, or,
	// if that is 0, until now.
	Never bool
	// Optional: whether it is seen or not is not judged.
	Optional bool
	// Detection: the event tells the program that its peer is gone. It is
	// waited for as long as the prediction says.
	Detection bool
}

// DefaultWithin is how long an event is waited for that no timer delays:
// generous, for a loaded machine.
const DefaultWithin = 30 * time.Second

// Since says from when on an Expect looks.
type Since int

const (
	// SinceAct is the last thing that the scenario did.
	SinceAct Since = iota
	// SinceFault is the first fault, or the zero of a scenario without.
	SinceFault
	// SinceSeen is the event that the last expectation saw.
	SinceSeen
	// SinceStart is the beginning of the run.
	SinceStart
)

// A Pattern describes an event: who, what, and how it must look.
type Pattern struct {
	Who  string // a host, or a program that was started under another name
	What What

	State  string // Socket: the state reached, or NoSocket
	Call   string // Call, Blocked: the system call's name
	Input  bool   // Call, Blocked: on standard input; otherwise on the connection
	Result string // Call: "" for any, "ok", "EOF", or an errno's name
	Packet string // Sends, Receives: of PacketKinds
	Text   string // Prints: what it contains
	End    string // Exits: "" for any, a status, or a signal's name
	Timer  string // Timer: its name
	Signal string // Gets: its name
	Errno  string // Error: its name
	Number int    // Zombies: how many
}

// Economized tells whether events of the kind may be counted and not recorded
// while the programs exchange very much.
func (p Pattern) Economized() bool {
	switch p.What {
	case Call, Sends, Receives, Acknowledged:
		return true
	}
	return false
}

// NoSocket stands for the state of a connection that is no more.
const NoSocket = "gone"

// What is the kind of an event.
type What string

// ByProgram tells whether such events are the doing of a program, as observed
// by its system calls, its output and its end.
func (w What) ByProgram() bool {
	switch w {
	case Call, Blocked, Prints, Exits, Gets, Reaps:
		return true
	}
	return false
}

// The kinds of events.
const (
	Socket       What = "socket"
	Call         What = "call"
	Blocked      What = "blocked"
	Sends        What = "sends"
	Receives     What = "receives"
	Retransmits  What = "retransmits"
	Acknowledged What = "acknowledged"
	Prints       What = "prints"
	Exits        What = "exits"
	Gets         What = "gets"
	Reaps        What = "reaps"
	Zombies      What = "zombies"
	Timer        What = "timer"
	Error        What = "error"
)
