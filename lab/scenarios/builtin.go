package scenarios

import "time"

// The steps that most scenarios begin with.

// connected starts the echo server and an echo client, and exchanges a line.
func connected(clientArgs ...string) []Step {
	argv := append([]string{"echo-client"}, clientArgs...)
	return []Step{
		Start{Name: "server", Host: "server", Argv: []string{"echo-server"}},
		Expect{Event: Pattern{Host: "server", State: "LISTEN"}},
		Start{Name: "client", Host: "client", Argv: append(argv, "{server}")},
		Expect{Event: Pattern{Host: "client", State: "ESTABLISHED"}},
		Type{Program: "client", Line: "hello"},
		Expect{Event: Pattern{Program: "client", Output: "hello"}},
		Expect{Event: Pattern{Program: "client", Block: "read", Input: true}},
		// Or the server, not the client, would retransmit into the fault.
		Expect{Event: Pattern{Host: "server", Idle: true}},
	}
}

// told are the steps of a client that writes into the fault and is told.
func told(err string) []Step {
	return []Step{
		Type{Program: "client", Line: "anyone there?"},
		Expect{Event: Pattern{Program: "client", Call: "write", Result: "ok"}},
		Expect{Event: Pattern{Host: "client", Resend: true}},
		Sockets{},
		Expect{Event: Pattern{Program: "client", Call: "read", Result: err, Detection: true}},
	}
}

// finSeen are the steps after a FIN reached a client that does not look: it
// notices nothing, writes, and is told at its next read.
func finSeen() []Step {
	return []Step{
		Expect{Event: Pattern{Host: "server", Flags: "FIN", Since: FaultTime}},
		Expect{Event: Pattern{Host: "client", State: "CLOSE_WAIT", Since: FaultTime}},
		Expect{Event: Pattern{Host: "server", State: "FIN_WAIT2", Since: FaultTime}},
		Sockets{},
		Expect{Event: Pattern{Program: "client", Call: "read", Since: FaultTime}, Never: true, Within: 300 * time.Millisecond},
		Type{Program: "client", Line: "another line"},
		Expect{Event: Pattern{Program: "client", Call: "write", Result: "ok"}},
		Expect{Event: Pattern{Host: "server", Flags: "RST", Since: FaultTime}},
		Expect{Event: Pattern{Program: "client", Call: "read", Result: "EOF", Since: FaultTime, Detection: true}},
		Expect{Event: Pattern{Program: "client", Output: "server terminated prematurely"}},
	}
}

// deadEnd shows what a write to a connection that was reset gives, and ends
// the client as its user would.
func deadEnd() []Step {
	return []Step{
		Type{Program: "client", Line: "and one more"},
		Expect{Event: Pattern{Program: "client", Call: "write", Result: "EPIPE"}},
		CloseInput{Program: "client"},
		Expect{Event: Pattern{Program: "client", Exit: true}},
	}
}

func script(parts ...[]Step) []Step {
	var all []Step
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func kill() *Scenario {
	return &Scenario{
		Name:  "kill",
		Title: "the server's process is killed while the client waits for its user. Who tells the client, and when?",
		Dies:  "the server's process (SIGTERM), nothing unread",
		Sees:  "EOF, but only at its next read",
		Path:  "direct",
		Steps: script(
			connected("-persist"),
			[]Step{
				Fault{Kind: Kill, Host: "server"},
				Expect{Event: Pattern{Host: "server", Reaped: true, Since: FaultTime}},
				Expect{Event: Pattern{Program: "server", Output: "exit", Since: FaultTime}},
			},
			finSeen(),
			deadEnd(),
		),
		Story: []string{
			"The child that serves this connection gets SIGTERM. Its kernel closes its descriptors: a FIN goes to the client, whose kernel acknowledges it. The server's end is FIN_WAIT2, the client's CLOSE_WAIT, and the parent is sent SIGCHLD and waits for its child.",
			"The client is blocked in a read of its own input and notices nothing. A FIN says only that the other side will send no more, so the next line is sent all the same; it finds no process and draws a RST.",
			"The client's read returns 0, end of file. UNP says that it may fail with ECONNRESET if the RST is there first; Linux returns the end of file even then, because a FIN was received before (tcp_recvmsg looks at SOCK_DONE before sk_err). The write after that fails with EPIPE.",
		},
		Sources: []string{"UNP 5.12 and 5.13", "RFC 9293 section 3.6 (half-closed connections)"},
		Why: []string{
			"The FIN arrived at once, but this client was waiting for its user and did not look. Its next write succeeded: it was copied into the send buffer, and a peer that sent a FIN may still read.",
			"The last write also drew a SIGPIPE, which this client, as a Go program, survives; a C program that does nothing about it is ended by it.",
			"Sooner: wait for the connection and the input together (poll, select).",
		},
		Next: []string{"kill-unread", "shutdown", "crash"},
	}
}

func killUnread() *Scenario {
	return &Scenario{
		Name:  "kill-unread",
		Title: "the server's process is killed before it read what it was sent. Is that still a FIN?",
		Dies:  "the server's process (SIGKILL), with octets unread",
		Sees:  "ECONNRESET at once",
		Path:  "direct",
		Steps: script(
			connected("-persist"),
			[]Step{
				Freeze{Host: "server"},
				Type{Program: "client", Line: "never read"},
				Expect{Event: Pattern{Host: "server", Data: true}},
				Expect{Event: Pattern{Program: "client", Block: "read"}},
				Sockets{},
				Fault{Kind: KillUnread, Host: "server"},
				Expect{Event: Pattern{Host: "server", Flags: "RST", Since: FaultTime}},
				Expect{Event: Pattern{Program: "client", Call: "read", Result: "ECONNRESET", Since: FaultTime, Detection: true}},
			},
			deadEnd(),
		),
		Story: []string{
			"The child is stopped before it reads the client's line, so the line waits in its receive queue. Then it is killed.",
			"A kernel that closes a connection with unread data throws that data away, and says so with a RST instead of a FIN (tcp_close; RFC 2525 section 2.17). The client, blocked in its read of the echo, gets ECONNRESET at once.",
		},
		Sources: []string{"RFC 2525 section 2.17", "net/ipv4/tcp.c, __tcp_close"},
		Why: []string{
			"The server's kernel had data that no process would ever read. To close with a FIN would have said that it was delivered; so it sent a RST.",
		},
		Next: []string{"kill", "reboot"},
	}
}

func crash() *Scenario {
	return &Scenario{
		Name:      "crash",
		Title:     "the server's machine dies without a word. How long does the client believe in it?",
		Dies:      "the server's host, in silence",
		Sees:      "ETIMEDOUT when TCP gives up",
		Path:      "switch",
		AnswerARP: true,
		Quick:     map[string]map[string]string{"client": {"net.ipv4.tcp_retries2": "5"}},
		Steps: script(
			connected(),
			[]Step{Fault{Kind: Crash, Host: "server"}},
			told("ETIMEDOUT"),
			[]Step{Expect{Event: Pattern{Program: "client", Exit: true}}},
		),
		Story: []string{
			"The host's link goes down beyond a switch, so that the client keeps its carrier; then its processes and sockets go, in silence. Nothing is sent on the connection: that is what a crash is. The network still resolves the host's address (as a cloud's fabric does), so nothing is heard at all.",
			"The client writes a line. That succeeds, for it means only that the line is in the kernel's send buffer. The kernel sends it, probes the tail (RFC 8985), and retransmits with a timeout that doubles each time, until tcp_retries2 retransmissions' worth of time has gone by without an answer. Then the read, blocked all the while, returns ETIMEDOUT.",
		},
		Sources: []string{"UNP 5.14", "RFC 6298", "RFC 8985 section 7", "net/ipv4/tcp_timer.c, tcp_write_timeout"},
		Why: []string{
			"write() succeeded after the crash: success only meant \"copied into the send buffer\".",
			"Sooner: TCP_USER_TIMEOUT, a timeout on the read, an application's own heartbeat; without anything to send, SO_KEEPALIVE.",
		},
		Next: []string{"crash-lan", "unreachable-host", "reboot"},
	}
}

func crashLAN() *Scenario {
	s := crash()
	s.Name = "crash-lan"
	s.Title = "the same crash on a plain LAN, where nobody answers ARP for the dead host. Another error?"
	s.Dies = "the server's host, in silence, and ARP for it"
	s.Sees = "EHOSTUNREACH when TCP gives up"
	s.AnswerARP = false
	s.Paths = []string{"switch"}
	s.Quick["client"] = map[string]string{
		"net.ipv4.tcp_retries2":                      "5",
		"net.ipv4.neigh.eth0.base_reachable_time_ms": "1000",
		"net.ipv4.neigh.eth0.delay_first_probe_time": "1",
		"net.ipv4.neigh.eth0.retrans_time_ms":        "250",
	}
	s.Steps = script(
		connected(),
		[]Step{Fault{Kind: Crash, Host: "server"}},
		told("EHOSTUNREACH"),
		[]Step{Expect{Event: Pattern{Program: "client", Exit: true}}},
	)
	s.Story = []string{
		"As crash, but nothing on the LAN knows the dead host any more. The client's own kernel finds that out: its neighbour entry ages, is probed, and fails. From then on each retransmission is stopped before the wire, for want of an address, and the kernel tells itself that the host is unreachable.",
		"That is a soft error: the connection lives on. Only when the retransmissions end is the read told, now with EHOSTUNREACH instead of ETIMEDOUT. And each such error takes back one doubling of the timeout (RFC 6069), so that there are more attempts than in silence.",
	}
	s.Sources = []string{"UNP 5.14", "RFC 6069", "RFC 826", "net/core/neighbour.c; net/ipv4/route.c, ipv4_link_failure"}
	s.Why = []string{
		"ARP for the dead host failed, so the kernel knew the reason by the time it gave up: EHOSTUNREACH. The time is still that of the retransmissions.",
		"Which of the two errors a client on a LAN gets is a race of the neighbour's timers and TCP's.",
	}
	s.Next = []string{"crash", "unreachable-host"}
	return s
}

func unreachable(kind string) *Scenario {
	s := crash()
	s.Name = kind
	s.Path = "router"
	s.Paths = []string{"router"}
	s.AnswerARP = false
	what, errno, code := "host", "EHOSTUNREACH", "1"
	if kind == UnreachableNet {
		what, errno, code = "net", "ENETUNREACH", "0"
	}
	s.Title = "a router answers that the " + what + " is unreachable. Does the client hear of it?"
	s.Dies = "the way to the server; a router says so (" + what + " unreachable)"
	s.Sees = errno + " when TCP gives up"
	// The router's own limit would make the outcome depend on what it
	// sent before; what ip_error allows is limit enough.
	s.Sysctls = map[string]map[string]string{"router": {"net.ipv4.icmp_ratelimit": "0"}}
	s.Steps = script(
		connected(),
		[]Step{Fault{Kind: kind, Host: "server"}},
		told(errno),
		[]Step{Expect{Event: Pattern{Program: "client", Exit: true}}},
	)
	s.Story = []string{
		"The router between the two loses its way to the server and answers each segment with ICMP destination unreachable, code " + code + ".",
		"TCP must not believe such a message at once (RFC 1122 section 4.2.3.9): it is a soft error, kept for later. The connection goes on, and each message takes back one doubling of the retransmission timeout (RFC 6069), so that more is sent than in silence. When the retransmissions end, the read is told " + errno + " instead of ETIMEDOUT.",
		"A Linux router does not answer without limit: after five messages to a host it sends one a second (ip_error).",
	}
	s.Sources = []string{"UNP 5.14", "RFC 792", "RFC 1122 section 4.2.3.9", "RFC 6069", "net/ipv4/tcp_ipv4.c, tcp_v4_err"}
	s.Why = []string{
		"The router's answer was there within a millisecond of the write, but it is only a hint to TCP: it replaced the error, not the time. After five answers the router sent one a second, so some segments got none.",
		"Sooner: IP_RECVERR hands the hint to the program at once.",
	}
	s.Next = []string{"crash", "crash-lan"}
	return s
}

func reboot() *Scenario {
	return &Scenario{
		Name:      "reboot",
		Title:     "the server's machine crashes and comes back before the client writes. Does the connection survive?",
		Dies:      "the server's host, which then comes back without memory",
		Sees:      "ECONNRESET at its next exchange",
		Path:      "switch",
		AnswerARP: true,
		Steps: script(
			connected("-persist"),
			[]Step{
				Fault{Kind: Reboot, Host: "server"},
				Start{Name: "server-again", Host: "server", Argv: []string{"echo-server"}},
				Expect{Event: Pattern{Host: "server", State: "LISTEN"}},
				Expect{Event: Pattern{Program: "client", Call: "read", Since: FaultTime}, Never: true, Within: 300 * time.Millisecond},
				Type{Program: "client", Line: "still there?"},
				Expect{Event: Pattern{Program: "client", Call: "write", Result: "ok"}},
				Expect{Event: Pattern{Host: "server", Flags: "RST", Since: FaultTime}},
				Expect{Event: Pattern{Program: "client", Call: "read", Result: "ECONNRESET", Since: FaultTime, Detection: true}},
			},
			deadEnd(),
		),
		Story: []string{
			"The host crashes as in crash, and is started again: the same network card and address, but new namespaces, in which nothing knows of the connection. The server program runs again, too.",
			"The client sent nothing meanwhile and so knows nothing. Its next line reaches a TCP that has no such connection and answers with a RST; the client, blocked in its read, gets ECONNRESET.",
		},
		Sources: []string{"UNP 5.15", "RFC 9293 section 3.5.2 (reset generation)"},
		Why: []string{
			"A new kernel knows nothing of old connections: the first segment that it saw told it that something was wrong, and the RST told the client.",
			"A client that sends nothing is never told. For that: SO_KEEPALIVE or a heartbeat.",
		},
		Next: []string{"crash", "kill-unread"},
	}
}

func shutdown() *Scenario {
	return &Scenario{
		Name:  "shutdown",
		Title: "the server's machine is shut down in an orderly way. Is that any better for the client?",
		Dies:  "every process of the server's host: SIGTERM, a grace period, SIGKILL",
		Sees:  "EOF, but only at its next read",
		Path:  "direct",
		Steps: script(
			[]Step{
				Start{Name: "stubborn", Host: "server", Argv: []string{"stubborn"}},
				Expect{Event: Pattern{Program: "stubborn", Output: "ready"}},
			},
			connected("-persist"),
			[]Step{
				Fault{Kind: Shutdown, Host: "server"},
			},
			finSeen(),
			deadEnd(),
		),
		Story: []string{
			"As init does it: SIGTERM to every process of the host, time to end, then SIGKILL to all that still run. The echo server does not catch SIGTERM and ends at once, and its kernel closes its connections; one process ignores SIGTERM and lives until SIGKILL.",
			"For the client it is as in kill: a FIN that it does not look at, a write that succeeds, a RST, end of file.",
		},
		Sources: []string{"UNP 5.16", "RFC 9293 section 3.6"},
		Why: []string{
			"A shutdown is a kill of everything: each connection ends with a FIN when its process does. The client was told at once, and looked when it wrote next.",
			"Sooner: wait for the connection and the input together (poll, select).",
		},
		Next: []string{"kill", "crash"},
	}
}
