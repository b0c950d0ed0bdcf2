package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// Schema is the version of the record's form: the number rises when a name
// changes its meaning or goes; additions do not count.
const Schema = "lab-record/1"

// An Outcome is what a run comes to. A run is never as expected by default:
// what cannot be judged is inconclusive.
type Outcome string

// The outcomes.
const (
	AsExpected    Outcome = "as-expected"
	NotAsExpected Outcome = "not-as-expected"
	Inconclusive  Outcome = "inconclusive"
)

// A Record is everything that a run was and saw. Reports are made from it alone.
type Record struct {
	Schema   string `json:"schema"`
	Scenario string `json:"scenario"`
	// File is where the scenario is written, as it was named; "" if it is a
	// built-in one.
	File    string  `json:"file,omitempty"`
	Title   string  `json:"title"`
	Outcome Outcome `json:"outcome"`
	// Reasons say what the outcome rests on, if it is not as expected.
	Reasons []string `json:"reasons"`
	// Command is the command line that makes such a run again.
	Command string `json:"command"`
	// ByHand: the steps came one by one, from a test or a person. There may
	// be no fault, and what was expected is what was asked for.
	ByHand bool `json:"by_hand,omitempty"`

	Kernel Kernel `json:"kernel"`
	// Started is the wall-clock time of the run's zero, as RFC 3339 with nanoseconds.
	Started string `json:"started"`
	// Duration is from the run's zero to the end of its last step.
	Duration int64 `json:"duration_ns"`

	Path string `json:"path"`
	// Family is that of IP: 4 or 6.
	Family int `json:"family"`
	// Delay is what the client's link adds.
	Delay Delay `json:"delay"`
	// Firewall is what the router does with segments of no flow that it
	// knows: "", "drop" or "reset".
	Firewall string `json:"firewall,omitempty"`
	// AnswerARP: the network goes on resolving a dead host's address.
	AnswerARP bool   `json:"answer_arp"`
	Hosts     []Host `json:"hosts"`
	// Timers is "quick" where the scenario shortened what the kernel would
	// take minutes for, "real" where it left the kernel's defaults.
	Timers string `json:"timers"`
	// Sysctls in force, by node and name: all that decide a timing.
	Sysctls map[string]map[string]string `json:"sysctls"`
	// Changed are those that differ from the kernel's defaults, as
	// "client net.ipv4.tcp_retries2=5 (kernel default 15)".
	Changed []string `json:"changed"`

	Fault FaultInfo `json:"fault"`
	// Later are the faults after the first.
	Later []FaultInfo `json:"later_faults"`
	// Demand is what the client had to do, absent where the scenario says what
	// must be seen.
	Demand *Demand `json:"demand,omitempty"`
	// Connections are the client's to the server just before the first fault.
	Connections []Connection `json:"connections"`
	Detection   Detection    `json:"detection"`
	// Actions are what the client's programs did about it.
	Actions      []Action      `json:"actions"`
	Prediction   Prediction    `json:"prediction"`
	Signature    Signature     `json:"signature"`
	Expectations []Expectation `json:"expectations"`
	Programs     []Program     `json:"programs"`
	Missing      []Missing     `json:"missing"`
	// Missed is how often an event of the machine's, seldom one of this run,
	// may have been missed: the kernel leaves an observing program out when
	// it interrupts that very program. What a verdict rests on was seen.
	Missed uint64 `json:"missed,omitempty"`
	// Spared is what was counted and not recorded of the steady exchange
	// before the fault.
	Spared Spared `json:"spared,omitzero"`
	// LeftOut is how many of the run's events this copy of the record lacks,
	// of long stretches of the same: such a copy is an excerpt, made for
	// where there is no room for all. 0: it is whole.
	LeftOut int `json:"left_out,omitempty"`
	// Neighbours are what the client, and a router in between, know of the
	// server's hardware address at the end.
	Neighbours []Neighbour `json:"neighbours"`
	// Why explains what was seen, and what to do about it.
	Why []string `json:"why"`
	// Next names scenarios to run after this one.
	Next   []string `json:"next"`
	Events []Event  `json:"events"`
}

// Spared counts what was not recorded: calls that succeeded, and segments that
// went on with their stream, at each end.
type Spared struct {
	Calls    uint64 `json:"calls"`
	Segments uint64 `json:"segments"`
	// Rest is how long not even that was counted, in nanoseconds: the
	// programs exchanged too much to be watched without slowing them down.
	Rest int64 `json:"rest_ns,omitempty"`
}

// Kernel is what ran the network.
type Kernel struct {
	Release string `json:"release"`
	Machine string `json:"machine"`
	HZ      int    `json:"hz"` // timer ticks a second: the grain of TCP's timers
	// Warp is the virtual-time machine that it ran in, absent on the host itself.
	Warp *Warp `json:"warp,omitempty"`
}

// A Warp is a virtual-time machine. Started and all times are by its clock.
type Warp struct {
	Engine string `json:"engine"` // uml, qemu
	// Seed is what its random numbers followed from: the same run with the
	// same seed gives the same record.
	Seed uint64 `json:"seed"`
}

// String describes the kernel in a few words.
func (k Kernel) String() string {
	s := fmt.Sprintf("Linux %s, HZ=%d", k.Release, k.HZ)
	if k.Warp != nil {
		s += fmt.Sprintf(", virtual time (%s, seed %d)", k.Warp.Engine, k.Warp.Seed)
	}
	return s
}

// A Delay is what a link adds, each way; By says what does it, "" where
// nothing is added.
type Delay struct {
	By   string  `json:"by"`
	Time int64   `json:"ns"`
	Loss float64 `json:"loss"` // the share of the frames that is lost
	Seed uint64  `json:"seed"` // of the losses
}

// A Host is one end of the path, or a standby.
type Host struct {
	Name    string `json:"name"`
	Address string `json:"address"` // "" of a standby that has not taken over
	MAC     string `json:"mac"`
	// Interface is the name of its end of the link.
	Interface string `json:"interface,omitempty"`
}

// A Neighbour is an entry of a table that resolves addresses (ARP).
type Neighbour struct {
	Node    string `json:"node"` // client, router
	Address string `json:"address"`
	MAC     string `json:"mac"`   // empty if it is not known
	State   string `json:"state"` // the kernel's name: REACHABLE, STALE, FAILED, ...
}

// Valid tells whether the entry gives a hardware address to send to
// (NUD_VALID).
func (n Neighbour) Valid() bool {
	switch n.State {
	case "PERMANENT", "NOARP", "REACHABLE", "PROBE", "STALE", "DELAY":
		return true
	}
	return false
}

// FaultInfo is the fault that the run was about. Kind is empty if the run
// never came to it, "zero" where there is none: then Time is only that from
// which the run's times count. Host is empty where it befell the network.
type FaultInfo struct {
	Kind string `json:"kind"`
	Host string `json:"host"`
	Time int64  `json:"t_ns"` // when it was in force
	// Back is when the host, or the way to it, was there again, 0 if it never was.
	Back int64 `json:"back_ns,omitempty"`
	// PID is the process that held the server's end of the connection just
	// before, 0 where it was not looked for; Unread are the octets that lay
	// in its receive queue.
	PID    int `json:"pid,omitempty"`
	Unread int `json:"unread,omitempty"`
}

// Detection is the system call that told the program: the first on the
// connection to return an error or end of file after the fault.
type Detection struct {
	Host    string `json:"host"`
	PID     int    `json:"pid"`
	Syscall string `json:"syscall"`
	// Error is errno's name, "EOF" for a read of 0 octets, or "" if the
	// program never noticed.
	Error string `json:"error"`
	Time  int64  `json:"t_ns"` // when the call returned
	// AfterFault counts from the fault, AfterWrite from the program's first
	// write on the connection after it; -1 if there was none.
	AfterFault int64 `json:"after_fault_ns"`
	AfterWrite int64 `json:"after_write_ns"`
	// AfterHeard counts from the last segment that the program's host
	// received before the fault, -1 if there was none; Blocked is how long
	// the call had lasted.
	AfterHeard int64 `json:"after_heard_ns"`
	Blocked    int64 `json:"blocked_ns"`
	// Events are what a call that waits for several sockets told of the
	// connection: "EPOLLIN|EPOLLRDHUP". Error is then what that stands for.
	Events string `json:"events,omitempty"`
}

// A Demand is what was asked of the user's own client.
type Demand struct {
	Server []string `json:"server"` // the command lines; empty: lab's own
	Client []string `json:"client"`
	When   string   `json:"when"`   // the fault's moment: "connected", "idle:2s"
	Expect string   `json:"expect"` // an errno's name, "EOF", "exit=N"; "" for anything
	Within int64    `json:"within_ns"`
}

// A Connection is one of the client's, with what decides how it learns of a
// dead peer.
type Connection struct {
	Local  string `json:"local"`
	Remote string `json:"remote"`
	PID    int    `json:"pid"` // the process that holds it, 0 if it is not known
	// Options are those of the socket's options that are set, as
	// "TCP_USER_TIMEOUT=3s".
	Options []string `json:"options"`
	// Cwnd is its congestion window, in segments, 0 where it is not known.
	Cwnd int `json:"cwnd,omitempty"`
}

// The kinds of actions.
const (
	ActMessage   = "message"   // it printed a line
	ActClose     = "close"     // it closed the connection
	ActReconnect = "reconnect" // it tried to connect to the server again
	ActExit      = "exit"      // it ended
)

// An Action is the first of its kind that a client's program did after it was
// told, or, where nothing told it, after the fault.
type Action struct {
	Kind string `json:"kind"`
	PID  int    `json:"pid"`
	Time int64  `json:"t_ns"`
	// AfterFault counts from the fault, AfterTold from the detection, -1
	// where there was none.
	AfterFault int64  `json:"after_fault_ns"`
	AfterTold  int64  `json:"after_told_ns"`
	What       string `json:"what"` // "exit 1", the line, "connect() = ECONNREFUSED"
}

// A Prediction is what the kernel's own rules say must happen.
type Prediction struct {
	// Model is the rule's name, "" where nothing is predicted.
	Model string `json:"model,omitempty"`
	// Error is what the call returns that tells, "" if nothing ever does.
	Error string `json:"error"`
	// Errors are the possible ones, where the kernel's rules leave more than one.
	Errors []string `json:"errors,omitempty"`
	// Min and Max bound the time of detection, counted from From: "write",
	// the first after the fault, "fault", "call", the beginning of the call
	// that tells, or "heard", the last segment received before the fault.
	Min  int64  `json:"min_ns"`
	Max  int64  `json:"max_ns"`
	From string `json:"from"`
	// Tolerance is what is allowed beyond Max for scheduling.
	Tolerance int64 `json:"tolerance_ns"`
	// Decider is the setting that decides, as "net.ipv4.tcp_retries2=5".
	Decider string `json:"decider,omitempty"`
	Why     string `json:"why,omitempty"`
	// Sends is the schedule of retransmissions.
	Sends []PredictedSend `json:"sends,omitempty"`
	// SilentSends is how often the connection would send again if nothing
	// answered at all: what the answers of a router are compared with.
	SilentSends int `json:"silent_sends,omitempty"`
	// Held tells whether the measurement fell into the window; absent
	// where there was nothing to compare.
	Held *bool `json:"held,omitempty"`
}

// A PredictedSend is one retransmission that is due, counted from the write.
type PredictedSend struct {
	Kind string `json:"kind"` // "tlp", "retransmit", "keepalive", "syn", "synack" or "probe"
	Min  int64  `json:"min_ns"`
	Max  int64  `json:"max_ns"`
}

// Signature is what the fault must look like on the wire and in the kernel.
type Signature struct {
	OK     bool    `json:"ok"`
	Checks []Check `json:"checks"`
}

// A Check is one part of a signature. Unknown is set where an observer was
// missing: then OK is false and means nothing.
type Check struct {
	Name    string `json:"name"`
	OK      bool   `json:"ok"`
	Unknown bool   `json:"unknown,omitempty"`
	Seen    string `json:"seen"`
}

// An Expectation is something that the scenario said must happen.
type Expectation struct {
	What     string `json:"what"`
	Place    string `json:"place"` // in the scenario, FILE:LINE, or the option
	OK       bool   `json:"ok"`
	Unknown  bool   `json:"unknown,omitempty"`  // it could not be observed
	Optional bool   `json:"optional,omitempty"` // it is not judged
	Actual   string `json:"actual"`
	// After and Within are the tolerance: the window in which it had to be
	// seen, or, of what must not be seen, how long it was looked for.
	After  int64 `json:"after_ns,omitempty"`
	Within int64 `json:"within_ns"`
	// Time is that of the deciding event, 0 if there was none.
	Time int64 `json:"t_ns,omitempty"`
}

// A Program is one that the scenario started.
type Program struct {
	Host string   `json:"host"`
	Name string   `json:"name"`
	Argv []string `json:"argv"`
	PID  int      `json:"pid"`
	// Own: it is no program of lab's. User is whom it ran as, "" for lab's own.
	Own  bool   `json:"own,omitempty"`
	User string `json:"user,omitempty"`
	// Exit is its exit status, -1 if a signal or the end of the run ended it.
	Exit int `json:"exit"`
	// Signal is the signal that ended it, "" if it exited.
	Signal string `json:"signal"`
	// Ended is when it was known to have ended, 0 if it had not.
	Ended int64 `json:"ended_ns,omitempty"`
	// Running tells that it was still running when the run ended, and was
	// then killed by lab.
	Running bool `json:"running,omitempty"`
}

// ClientCalls is the observer that is missing where the user's own client may
// have been told by calls that are not seen.
const ClientCalls = "the client's system calls"

// Observed tells whether an observer was there all the time.
func (r *Record) Observed(observer string) bool {
	for _, m := range r.Missing {
		if m.Observer == observer {
			return false
		}
	}
	return true
}

// Write writes the record as indented JSON.
func (r *Record) Write(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	return nil
}

// ReadFile reads a record from a file.
func ReadFile(name string) (*Record, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read record: %w", err)
	}
	defer f.Close()
	r, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return r, nil
}

// Is tells whether a file is one that Write wrote, of whatever version, by its
// beginning.
func Is(file []byte) bool {
	return bytes.HasPrefix(file, []byte("{\n \"schema\": \"lab-record/"))
}

// Read reads a record that Write wrote, and nothing after it.
func Read(in io.Reader) (*Record, error) {
	var r Record
	dec := json.NewDecoder(in)
	if err := dec.Decode(&r); err != nil {
		return nil, fmt.Errorf("not a record: %w", err)
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err == nil {
		return nil, errors.New("there is more after the record")
	} else if err != io.EOF {
		return nil, fmt.Errorf("after the record: %w", err)
	}
	return &r, nil
}
