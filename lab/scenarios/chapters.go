package scenarios

// A Chapter is built-in scenarios that belong together.
type Chapter struct {
	Title string
	Text  string   // what to look at, when one looks at all of them
	Names []string // of the scenarios, in their order
}

// Chapters are those of the built-in scenarios, the book's cases first. Every
// built-in scenario is in one of them.
func Chapters() []Chapter {
	return []Chapter{
		{
			"The book's cases",
			"UNP 5.12 to 5.16: the server's process ends, its host crashes, crashes and reboots, or is shut down. Look at " +
				"when the client's read returns, and with what. A kernel that is still there says something, a FIN or a " +
				"RST; one that is gone says nothing, and then the client's own kernel decides, by its timers. Look also at " +
				"the first write after the fault, where there is one: it succeeds.",
			[]string{"kill", "kill-unread", "crash", "crash-lan", "unreachable-host", "unreachable-net", "reboot", "shutdown"},
		},
		{
			"Clients that look at their connection",
			"The same kill and the same shutdown, but the client waits for its user and for its connection at once. " +
				"What the server sends is the same, a FIN; look at where the client reads it. Here that is at once, a moment " +
				"after the FIN. The book's clients (kill and shutdown, above) read it only when their user has typed " +
				"another line and they have sent it: their times count from that write, however long the FIN had lain there.",
			[]string{"kill-poll", "shutdown-poll"},
		},
		{
			"Remedies",
			"The host crashes in silence, and the client has asked for something: a timeout of its read, of its data, " +
				"probes, a heartbeat of its own, or (the last one) the errors that a router reports. Look at what ends the wait, the " +
				"program or its kernel, and at what a remedy does not cover: keepalive does not ask while data is under way.",
			[]string{"read-timeout", "user-timeout", "keepalive", "keepalive-busy", "keepalive-user-timeout", "heartbeat", "recverr"},
		},
		{
			"What nobody notices",
			"An idle connection is only state in two kernels. Here is how long that can be wrong: nothing is sent, so " +
				"nothing is answered, and the client's end stays ESTABLISHED. A process that hangs is hidden by its own " +
				"kernel, which goes on acknowledging. For comparison, two that do end: a probe that finds a rebooted " +
				"host, and window probes that nobody answers.",
			[]string{"crash-idle", "reboot-idle", "keepalive-reboot", "hang", "zero-window", "zero-window-lost"},
		},
		{
			"The second write",
			"The first write after the server's end succeeds, and draws a RST. Look at the second one: it raises " +
				"SIGPIPE, which ends a program that did not provide for it, or returns EPIPE.",
			[]string{"sigpipe", "epipe"},
		},
		{
			"Connecting",
			"The server is gone before there is a connection. What is a soft error later ends connect() here, and a RST " +
				"is called ECONNREFUSED. Look at the pauses between the SYNs, and at the last one, in which a handshake " +
				"stays half open at the server.",
			[]string{"connect-silent", "connect-refused", "connect-unreachable", "connect-lan-dead", "syn-recv"},
		},
		{
			"The network's middle",
			"Both hosts may be well, and something between them is not: one direction is lost, a firewall has forgotten " +
				"the flow or has a new rule. Look at the server's side: most often it is told nothing. Of the last two, " +
				"one ends the connection on purpose, and the other puts another machine in the dead one's place.",
			[]string{
				"partition-to-server", "partition-to-client", "nat-expiry", "nat-expiry-reset", "firewall-reset", "firewall-reject",
				"socket-destroyed", "failover",
			},
		},
		{
			"After a shutdown",
			"What follows the FIN of a shutdown: a host that is switched off before the client writes, and so answers " +
				"nothing; and a server that catches SIGTERM and closes in good order.",
			[]string{"shutdown-poweroff", "shutdown-graceful"},
		},
		{
			"The close itself",
			"Nobody dies. Look at the order of the FINs, and at who is left in TIME_WAIT: the end that closed first, or " +
				"both. At the server a child ends with each connection, and its parent must ask for its status, or it " +
				"stays a zombie.",
			[]string{"close", "simultaneous-close", "half-close", "zombies", "zombies-reaped"},
		},
	}
}
