// Package record holds what happened in a run: events on one clock, the
// checks made of them, and the verdict. It is pure data and imports nothing
// else of this module; observers fill it, reports read it.
package record

import (
	"fmt"
	"sort"
)

// Source names the observer an event comes from.
type Source string

// The sources, as they appear in record.json.
const (
	Wire    Source = "wire"    // a packet seen at a host's end of its link
	Socket  Source = "socket"  // a TCP socket changed state, or a snapshot of the socket table
	TCP     Source = "tcp"     // the kernel's TCP did something: retransmitted, set an error, sent a RST
	Syscall Source = "syscall" // a program's system call, with its result
	Process Source = "process" // a program started, got a signal, ended
	Fault   Source = "fault"   // a fault took effect
	Step    Source = "step"    // the scenario did something
	Output  Source = "output"  // a program wrote a line
)

// The kinds of events, by source.
const (
	// Wire.
	KindOut = "out" // the host sent the packet
	KindIn  = "in"  // the host received it
	// The host's interface came up or went: Link.
	KindCarrier = "carrier"

	// Socket.
	KindState    = "state"    // a socket changed state: State
	KindSnapshot = "snapshot" // the host's TCP sockets at one instant: Sockets

	// TCP.
	KindRetransmit = "retransmit" // the retransmission timer sent a segment again
	KindTLP        = "tlp"        // a tail loss probe (RFC 8985 section 7)
	KindRSTSent    = "rst-sent"
	KindRSTRecv    = "rst-received"
	KindError      = "error" // the socket's error was set (sk_err): TCP.Error
	KindDrop       = "drop"  // the kernel dropped a packet: Text says why

	// Syscall.
	KindEnter = "enter" // a call began; kept in a record only if it never returned
	KindCall  = "call"  // a call returned; Time is the return, Syscall.Duration how long it took

	// Process.
	KindFork   = "fork"
	KindExec   = "exec"
	KindSignal = "signal" // a signal was sent to PID
	KindExit   = "exit"
	// The process was there when the run began.
	KindRunning = "running"
	// The process does something in a way that no observer sees: Text.
	KindUnseen = "unseen"

	// Fault and Step name themselves.

	// Output.
	KindStdout = "stdout"
	KindStderr = "stderr"
)

// An Event is one thing that happened, at one instant, on one host.
// At most one of the payloads is set, by Source and Kind; Text is free text for
// a reader and never parsed.
type Event struct {
	// Time is nanoseconds since the run began, on CLOCK_MONOTONIC whatever
	// clock the observer used.
	Time   int64  `json:"t_ns"`
	Host   string `json:"host"`
	Source Source `json:"source"`
	Kind   string `json:"kind"`
	// PID is the process (thread group) id as the host's own PID namespace
	// numbers it, TID the thread if it is another; 0 where no process is known.
	PID  int    `json:"pid,omitempty"`
	TID  int    `json:"tid,omitempty"`
	Comm string `json:"comm,omitempty"`
	// Boot counts the host's boots, from 1: events of a rebooted host carry 2.
	Boot int    `json:"boot,omitempty"`
	Text string `json:"text,omitempty"`
	// Link is LinkUp, LinkDown or LinkGone, of a KindCarrier.
	Link string `json:"link,omitempty"`

	Packet  *Packet     `json:"packet,omitempty"`
	State   *State      `json:"state,omitempty"`
	TCP     *TCPEvent   `json:"tcp,omitempty"`
	Syscall *Call       `json:"syscall,omitempty"`
	Process *ProcEvent  `json:"process,omitempty"`
	Sockets []SocketRow `json:"sockets,omitempty"`
}

// What can be said of a link (RFC 2863, ifOperStatus).
const (
	LinkUp   = "up"
	LinkDown = "down"
	LinkGone = "gone" // the interface was removed
)

// check tells whether the event has the payload that its source and kind ask
// for: who reads it relies on that.
func (e *Event) check() error {
	ok := true
	switch {
	case e.Source == Wire:
		ok = e.Packet != nil || e.Kind == KindCarrier
	case e.Source == Socket:
		ok = e.State != nil || e.Kind == KindSnapshot
	case e.Source == TCP:
		ok = e.TCP != nil
	case e.Source == Syscall:
		ok = e.Syscall != nil
	case e.Source == Process:
		ok = e.Process != nil
	}
	if !ok {
		return fmt.Errorf("of source %q and kind %q says nothing", e.Source, e.Kind)
	}
	return nil
}

// TCP header flags, as in the header's 14th octet (RFC 9293 section 3.1).
const (
	FlagFIN = 1 << iota
	FlagSYN
	FlagRST
	FlagPSH
	FlagACK
)

// A Packet is one frame at one end of a link.
type Packet struct {
	Proto string `json:"proto"`         // "tcp", "icmp", "icmpv6", "arp", or the EtherType in hex
	Src   string `json:"src,omitempty"` // address, with the port for tcp
	Dst   string `json:"dst,omitempty"`

	Flags  int    `json:"flags,omitempty"` // tcp: FlagSYN and so on
	Seq    uint32 `json:"seq,omitempty"`
	Ack    uint32 `json:"ack,omitempty"`
	Window int    `json:"window,omitempty"` // as in the header, not scaled
	Len    int    `json:"len,omitempty"`    // tcp: payload octets
	// Probe: no octets, before what was acknowledged: a keepalive or a zero
	// window probe (tcp_xmit_probe_skb).
	Probe bool `json:"probe,omitempty"`

	ARP string `json:"arp,omitempty"` // ARPRequest or ARPReply

	ICMPType int `json:"icmp_type,omitempty"`
	ICMPCode int `json:"icmp_code,omitempty"`
	// Target is the address that an ICMPv6 neighbour solicitation asks for or
	// an advertisement tells of: what Dst and Src are of an ARP message.
	Target string `json:"target,omitempty"`

	// Fate is what became of a packet that this host sent: FateArrived with
	// Transit, or FateLost. Empty where the other end was not observed.
	// FateAnswered: the network itself answered it, in the receiver's place.
	Fate string `json:"fate,omitempty"`
	// Transit is nanoseconds from this end to the receiver's.
	Transit int64 `json:"transit_ns,omitempty"`

	// Frame identifies the frame's bytes, to match the two ends; never stored.
	Frame uint64 `json:"-"`
	// SrcMAC is the sender's hardware address.
	SrcMAC string `json:"src_mac,omitempty"`
}

// The two messages of ARP (RFC 826).
const (
	ARPRequest = "request"
	ARPReply   = "reply"
)

// The ICMPv6 messages that resolve addresses (RFC 4861), by Packet.ICMPType.
const (
	NeighbourSolicitation  = 135
	NeighbourAdvertisement = 136
)

// The fates of a packet.
const (
	FateArrived = "arrived"
	FateLost    = "lost"

	FateAnswered = "answered"
)

// State is a TCP socket's change of state, in the kernel's names
// (ESTABLISHED, SYN_SENT, FIN_WAIT2, ...).
type State struct {
	Local  string `json:"local,omitempty"`
	Remote string `json:"remote,omitempty"`
	From   string `json:"from"` // "" where the change was not seen, only that it is so
	To     string `json:"to"`
	// Cwnd is the congestion window (snd_cwnd) in segments, of a socket that
	// was connected or is one that a listener accepts: a client's is set only
	// after its change to ESTABLISHED. 0 where it is not known.
	Cwnd int `json:"cwnd,omitempty"`
	// Sock tells sockets of one run apart.
	Sock uint64 `json:"sock,omitempty"`
}

// A TCPEvent is something the kernel's TCP did with a socket.
type TCPEvent struct {
	Local  string `json:"local,omitempty"`
	Remote string `json:"remote,omitempty"`
	State  string `json:"state,omitempty"`
	// RTO is the retransmission timeout in force at the event, in
	// nanoseconds: of a retransmission that which just expired.
	RTO int64 `json:"rto_ns,omitempty"`
	// Retransmits is icsk_retransmits, this one counted; Backoff is
	// icsk_backoff, this doubling not yet counted.
	Retransmits int `json:"retransmits,omitempty"`
	Backoff     int `json:"backoff,omitempty"`
	// Cwnd is the congestion window (snd_cwnd) in segments, of a
	// retransmission, a tail loss probe or an error; 0 where it is not known.
	Cwnd  int    `json:"cwnd,omitempty"`
	Error string `json:"error,omitempty"` // errno's name
	Sock  uint64 `json:"sock,omitempty"`
}

// A Call is one system call.
type Call struct {
	Name string `json:"name"`
	FD   int    `json:"fd"` // -1 where the call has none
	// Local and Remote are the addresses of the socket behind FD, empty
	// for other files.
	Local  string `json:"local,omitempty"`
	Remote string `json:"remote,omitempty"`
	// Arg is the argument that matters, as text: the address of connect,
	// the backlog of listen, the signal of kill, SpliceFrom or SpliceTo.
	Arg string `json:"arg,omitempty"`
	// Data is the beginning of what was read or written.
	Data string `json:"data,omitempty"`
	// Ret is what it returned; of recvmmsg the octets of the first message.
	Ret int64 `json:"ret"`
	// Error is the errno's name ("ETIMEDOUT"), empty on success.
	Error string `json:"error,omitempty"`
	// Duration is nanoseconds from entry to return.
	Duration int64 `json:"duration_ns"`
	// Socket is set where FD is an internet socket.
	Socket bool `json:"socket,omitempty"`
	// Empty: the call asked for no octets; that it got none is no end of file.
	Empty bool `json:"empty,omitempty"`
	// Ready are the TCP sockets that a poll, select or epoll_wait told of.
	Ready []Ready `json:"ready,omitempty"`
	// Partial: it told of more than Ready can hold, which may be some that
	// are not in it.
	Partial bool `json:"partial,omitempty"`
}

// What splice does with FD, in Arg.
const (
	SpliceFrom = "from"
	SpliceTo   = "to"
)

// Ready is a TCP socket that a call which waits for several told of, and what
// it told: "POLLIN|POLLHUP", "EPOLLIN|EPOLLRDHUP", of select "read".
type Ready struct {
	FD     int    `json:"fd"` // -1 where it is not known
	Local  string `json:"local,omitempty"`
	Remote string `json:"remote,omitempty"`
	Events string `json:"events"`
}

// A ProcEvent is a change in a process.
type ProcEvent struct {
	Parent int      `json:"parent,omitempty"` // fork: the parent
	Argv   []string `json:"argv,omitempty"`   // exec
	Signal string   `json:"signal,omitempty"` // signal, exit: "SIGTERM"
	// Sender is the process that sent the signal: its id in the host, 0 for
	// the kernel or a process outside of the host.
	Sender int `json:"sender,omitempty"`
	Status int `json:"status"` // exit: the exit status, if no signal ended it
}

// A SocketRow is a line of the host's socket table, as netstat shows it.
type SocketRow struct {
	Local       string `json:"local"`
	Remote      string `json:"remote"`
	State       string `json:"state"`
	RecvQueue   int    `json:"recv_queue"` // octets received and not read; a listener: connections not accepted
	SendQueue   int    `json:"send_queue"` // octets sent and not acknowledged; a listener: the backlog
	Timer       string `json:"timer,omitempty"`
	Expires     int64  `json:"expires_ns,omitempty"` // until Timer fires
	Retransmits int    `json:"retransmits,omitempty"`
	Backoff     int    `json:"backoff,omitempty"`
	RTO         int64  `json:"rto_ns,omitempty"`
	RTT         int64  `json:"rtt_ns,omitempty"`    // smoothed
	RTTVar      int64  `json:"rttvar_ns,omitempty"` // its mean deviation
	Cwnd        int    `json:"cwnd,omitempty"`      // congestion window, in segments
	Unacked     int    `json:"unacked,omitempty"`   // segments sent and not acknowledged
	// Received and Acked are the octets of the connection so far: received, and
	// sent and acknowledged.
	Received uint64 `json:"received,omitempty"`
	Acked    uint64 `json:"acked,omitempty"`
	Inode    uint32 `json:"inode,omitempty"` // 0: no process holds it
	PIDs     []int  `json:"pids,omitempty"`  // the processes that hold it
}

// Sort puts events in the order of their times. It is stable: events of the
// same nanosecond stay in the order in which they were seen.
func Sort(events []Event) {
	sort.SliceStable(events, func(i, j int) bool { return events[i].Time < events[j].Time })
}
