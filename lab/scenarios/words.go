package scenarios

// The words of the language that stand for something that the kernel or the
// network does: what there is, with a line for a reader. lab has a deed for
// each.

// A FaultKind is a way of going away.
type FaultKind struct {
	Name string
	Host bool // it befalls a host, which is named
	// Process: it befalls a process of the host.
	Process bool
	// Lasting: it is what the network does to packets until it is healed.
	Lasting bool
	// Checks are what it must look like; OwnChecks those of them that hold
	// whatever the programs do, or others in their place.
	Checks    []string
	OwnChecks []string
	Summary   string
	// needs is what the network must have for it, "" for nothing.
	needs need
	// down: the host is dead afterwards.
	down bool
}

// A need is something that not every network has.
type need string

const (
	needsMiddle   need = "a switch or router (path)"
	needsSwitch   need = "a switch (path)"
	needsRouter   need = "a router (path)"
	needsFirewall need = "a router with a firewall (path, firewall)"
	needsStandby  need = "a standby"
)

// met tells whether the scenario's network has what is needed.
func (n need) met(s *Scenario) bool {
	switch n {
	case needsMiddle:
		return s.Path != "direct"
	case needsSwitch:
		return s.Path == "switch"
	case needsRouter:
		return s.Path == "router"
	case needsFirewall:
		return s.Path == "router" && s.Firewall != ""
	case needsStandby:
		return s.Standby
	}
	return true
}

// build are the lines that build a network which has it.
func (n need) build() []string {
	switch n {
	case needsSwitch:
		return []string{"path switch"}
	case needsFirewall:
		return []string{"path router", "firewall drop"}
	case needsStandby:
		return []string{"path switch", "standby"}
	}
	return []string{"path router"}
}

// FaultKinds lists them.
func FaultKinds() []FaultKind {
	return []FaultKind{
		{Name: "kill", Host: true, Process: true, Checks: []string{"end-before-fin", "carrier"}, OwnChecks: []string{"ended", "carrier"}, Summary: "SIGTERM to the process that holds the connection on HOST"},
		{Name: "kill-unread", Host: true, Process: true, Checks: []string{"unread", "reset-not-fin", "carrier"}, Summary: "SIGKILL to it, while octets that it has not read lie in its receive queue"},
		{Name: "hang", Host: true, Process: true, Checks: []string{"hung", "carrier"}, Summary: "SIGSTOP to it: the process does nothing any more, but its kernel answers"},
		{Name: "crash", Host: true, Checks: []string{"silent", "carrier"}, Summary: "the link of HOST goes down, its processes and sockets go without a word", down: true},
		{Name: "power-off", Host: true, Checks: []string{"silent", "carrier"}, Summary: "the same, as the end of a shutdown", down: true},
		{Name: "reboot", Host: true, Checks: []string{"silent-until-boot", "carrier"}, Summary: "a crash, then HOST comes back with its card and address, and without memory"},
		{Name: "failover", Host: true, Checks: []string{"silent", "carrier", "taken-over"}, Summary: "HOST crashes, and the standby takes its address over", needs: needsStandby, down: true},
		{Name: "shutdown", Host: true, Checks: []string{"signal-order", "carrier"}, Summary: "as init does it: SIGTERM to every process of HOST, a grace period, SIGKILL to what is left"},
		{Name: "unreachable-host", Lasting: true, Checks: []string{"icmp-host", "no-segments", "carrier", "lost"}, OwnChecks: []string{"stopped", "carrier"}, Summary: "the router answers that it cannot reach the server's host", needs: needsRouter},
		{Name: "unreachable-net", Lasting: true, Checks: []string{"icmp-net", "no-segments", "carrier", "lost"}, OwnChecks: []string{"stopped", "carrier"}, Summary: "the router answers that it has no route to the server's network", needs: needsRouter},
		{Name: "partition", Host: true, Lasting: true, Checks: []string{"one-way", "carrier"}, OwnChecks: []string{"stopped", "carrier"}, Summary: "nothing that HOST sends gets through any more; the other direction works", needs: needsMiddle},
		{Name: "forget-flow", Checks: []string{"flow-forgotten", "carrier"}, OwnChecks: []string{"stopped", "carrier"}, Summary: "the firewall in the router forgets every flow, as when its timer ran out", needs: needsFirewall},
		{Name: "reject-reset", Lasting: true, Checks: []string{"reset-from-middle", "carrier"}, OwnChecks: []string{"stopped", "carrier"}, Summary: "the router answers every segment for the server with a RST", needs: needsRouter},
		{Name: "reject-prohibited", Lasting: true, Checks: []string{"icmp-prohibited", "carrier"}, OwnChecks: []string{"stopped", "carrier"}, Summary: "the router answers that it may not forward to the server", needs: needsRouter},
		{Name: "destroy", Host: true, Checks: []string{"destroyed", "carrier"}, OwnChecks: []string{"reset-not-fin", "carrier"}, Summary: "the connection's socket on HOST is destroyed, as ss -K does"},
	}
}

// ChecksOf are the checks that a fault brings along, of lab's own programs or
// of others; none for what is no fault.
func ChecksOf(fault string, own bool) []string {
	switch k := faultKind(fault); {
	case k == nil:
		return nil
	case own && k.OwnChecks != nil:
		return k.OwnChecks
	default:
		return k.Checks
	}
}

// TypedFaults are what a person can let befall a lab: the faults, and the other
// commands that do something to a process or the network.
func TypedFaults() []Word {
	var all []Word
	for _, k := range FaultKinds() {
		w := Word{k.Name, k.Summary}
		switch k.needs {
		case needsFirewall:
			w.Summary += " (lab up --firewall)"
		case needsStandby:
			w.Summary += " (lab up --path switch --standby)"
		}
		all = append(all, w)
	}
	return append(all,
		Word{"freeze", "SIGSTOP to a process, as hang, but while something else is tried"},
		Word{"thaw", "SIGCONT to it: what hang and freeze stopped goes on"},
		Word{"heal", "the network does to packets what it did before"},
	)
}

// OfProcess tells whether one of TypedFaults befalls a process.
func OfProcess(name string) bool {
	k := faultKind(name)
	return name == "freeze" || name == "thaw" || k != nil && k.Process
}

func faultKind(name string) *FaultKind {
	for _, k := range FaultKinds() {
		if k.Name == name {
			return &k
		}
	}
	return nil
}

// Lasting tells whether the fault is what the network does to packets until it
// is healed.
func (f Fault) Lasting() bool { return faultKind(f.Kind).Lasting }

// Powers tells whether the fault takes the host's power away, for good or for a
// while.
func (f Fault) Powers() bool {
	k := faultKind(f.Kind)
	return k != nil && (k.down || k.Name == "reboot")
}

// A Word is one with its meaning.
type Word struct{ Name, Summary string }

// Models lists the rules that a prediction can follow. The time is counted
// from what the summary says.
func Models() []Word {
	return []Word{
		{"silence", "nothing answers what the client sends: ETIMEDOUT when TCP gives up (tcp_retries2, TCP_USER_TIMEOUT); from the write"},
		{"no-neighbour", "the same on a LAN, where resolving the dead host's address fails, too: EHOSTUNREACH; from the write"},
		{"icmp", "a router answers what the client sends with ICMP, of the kind that the fault is about; from the write"},
		{"recverr", "the same, with IP_RECVERR: at once; from the write"},
		{"reset", "the answer to what the client sends is a RST: ECONNRESET; from the write"},
		{"eof-at-next-read", "a FIN came before, and only the next read tells of it: EOF; from the write"},
		{"eof", "the FIN tells a client that looks: EOF; from the fault"},
		{"reset-now", "a RST comes without being asked for: ECONNRESET; from the fault"},
		{"keepalive", "keepalive probes are not answered: ETIMEDOUT; from the last segment received"},
		{"keepalive-reset", "the first keepalive probe is answered with a RST: ECONNRESET; from the last segment received"},
		{"read-timeout", "SO_RCVTIMEO: EAGAIN; from the beginning of the read"},
		{"heartbeat", "no echo of the application's own heartbeat: EAGAIN; from the fault; takes the period"},
		{"zero-window", "probes of a zero window are not answered: ETIMEDOUT; from the fault"},
		{"zero-window-answered", "probes of a zero window are answered: nothing tells the client, ever"},
		{"connect-silence", "nothing answers the SYN: ETIMEDOUT (tcp_syn_retries); from connect()"},
		{"connect-no-neighbour", "the host's address cannot be resolved: EHOSTUNREACH; from connect()"},
		{"connect-icmp", "a router answers the SYN with ICMP, of the kind that the fault is about; from connect()"},
		{"connect-refused", "a RST answers the SYN: ECONNREFUSED; from connect()"},
		{"synack", "the SYN+ACK of a half-open request is repeated, then the request is dropped; nobody is told; from the SYN"},
		{"never", "nothing tells the client, ever"},
	}
}

// Checks lists what can be verified of a run's packets and events.
func Checks() []Word {
	return []Word{
		{"silent", "nothing left the dead host after the fault: no FIN, no RST"},
		{"no-segments", "no segment of the server reached the client after the fault"},
		{"carrier", "the other host kept its carrier"},
		{"lost", "nothing that the client sent arrived"},
		{"neighbour", "the dead host's address is still resolved, or not, as the scenario says"},
		{"backoff", "each retransmission timeout was about twice the one before"},
		{"error-set", "the client's kernel set the error that the call returned"},
		{"icmp-host", "the router answered host unreachable"},
		{"icmp-net", "the router answered net unreachable (IPv6: no route)"},
		{"icmp-prohibited", "the router answered that it is prohibited"},
		{"soft", "the message did not end the connection: that was left to the timer"},
		{"more-than-silence", "there were more retransmissions than in silence"},
		{"alive", "after the error the connection still carried data"},
		{"silent-until-boot", "no FIN and no RST left the host before it was back"},
		{"client-silent", "the client sent no data before the host was back"},
		{"reset-from-boot", "the RST came from the host's new boot"},
		{"same-card", "the rebooted host has its old addresses"},
		{"taken-over", "the standby announced the server's address, and the client believed it"},
		{"reset-from-standby", "the RST came from the standby"},
		{"end-before-fin", "the process that held the connection ended, then its kernel sent a FIN"},
		{"fin-acknowledged", "the client's kernel acknowledged the FIN"},
		{"reset-answers-syn", "the server's kernel answered the client's SYN with RST"},
		{"reset-answers-data", "the server's kernel answered the client's next data with RST"},
		{"reaped", "the parent was sent SIGCHLD and waited for its child"},
		{"signal-order", "SIGTERM to every process, SIGKILL later to what was left"},
		{"unread", "octets lay unread in the server's receive queue"},
		{"reset-not-fin", "a RST left the server, and no FIN"},
		{"hung", "the process made no system call any more, its kernel acknowledged all the same"},
		{"one-way", "what one host sent was lost, what the other sent arrived"},
		{"flow-forgotten", "the client's segments were stopped in the middle"},
		{"reset-from-middle", "the RST that the client got was never sent by the server"},
		{"destroyed", "the server's call returned ECONNABORTED, and a RST left it"},
		{"keepalive-probes", "keepalive probes left the client, of no data"},
		{"no-probes", "no keepalive probe was sent while data was in flight"},
		{"probes-answered", "the probes of the zero window were answered"},
		{"probes-lost", "the probes of the zero window were not answered"},
		{"told-by-poll", "the poll() that waited for both returned when the FIN was there"},
		{"syn-backoff", "the SYN was repeated on its schedule"},
		{"synack-backoff", "the SYN+ACK was repeated on its schedule"},
		{"heard-nothing-wrong", "the client received no FIN, no RST and no ICMP error after the fault"},
		{"handshake", "SYN, SYN+ACK, ACK"},
		{"closed-both-ways", "each end sent a FIN, and each FIN was acknowledged"},
		{"fins-crossed", "both FINs were under way at the same time"},
		{"time-wait", "TIME_WAIT at the end that closed first, and only there"},
		{"data-after-fin", "the end that got the FIN still sent data, which was received"},
		{"ended-together", "several children had ended before the first was waited for"},
		{"ended", "the process that was to end has ended"},
		{"stopped", "nothing got through any more of what the fault stops"},
		{"drained", "the server ended by itself after SIGTERM, before SIGKILL was due"},
	}
}

// PacketKinds lists what Sends and Receives can be told to look for.
func PacketKinds() []Word {
	return []Word{
		{"SYN", "a segment with SYN, without ACK"},
		{"SYN+ACK", "a segment with both, and no other; so of FIN+ACK and any others of SYN, FIN, RST, PSH and ACK"},
		{"FIN", "a segment with FIN"},
		{"RST", "a segment with RST"},
		{"ACK", "a segment with ACK and nothing else"},
		{"data", "a segment with data"},
		{"probe", "a keepalive or zero window probe: a segment before what was acknowledged"},
		{"icmp", "an ICMP error about the connection"},
	}
}

func known(list []Word, name string) bool {
	for _, w := range list {
		if w.Name == name {
			return true
		}
	}
	return false
}
