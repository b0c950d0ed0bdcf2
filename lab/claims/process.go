package claims

import "github.com/seed-6fefc909/tcplab/lab/record"

// UNP 5.12: the server's process ends.

func processClaims() []Claim {
	return []Claim{
		{
			ID:        "A1",
			Says:      "Kill the child: its descriptors are closed, a FIN goes to the client, and the client's TCP acknowledges it. That is one half of the close.",
			Scenarios: []string{"kill"},
			needs:     []string{wire, ends},
			judge:     halfClosed,
		},
		{
			ID:        "A2",
			Says:      "The child's parent is sent SIGCHLD.",
			Scenarios: []string{"kill"},
			needs:     []string{forks, ends, sent},
			judge:     parentTold,
		},
		{
			ID:        "A3",
			Says:      "The client shows nothing: its TCP has answered the FIN, but its process sits in a read of its user's input.",
			Scenarios: []string{"kill"},
			needs:     []string{wire, enters, exits},
			judge:     unmoved,
		},
		{
			ID:        "A4",
			Says:      "In netstat the server's end is now FIN_WAIT2 and the client's CLOSE_WAIT.",
			Scenarios: []string{"kill"},
			needs:     []string{tables},
			judge:     waitStates,
		},
		{
			ID:        "A5",
			Says:      "A further line is sent as ever, for a FIN tells only that its sender will send no more.",
			Scenarios: []string{"kill"},
			needs:     []string{wire, exits},
			judge:     sentAfterFIN,
		},
		{
			ID:        "A6",
			Says:      "No process holds the server's socket any more, so its TCP answers that line with a RST.",
			Scenarios: []string{"kill"},
			needs:     []string{wire, ends},
			judge:     resetInAnswer,
		},
		{
			ID:        "A7",
			Says:      "The client's next read returns 0 without waiting, because of the FIN that came earlier.",
			Scenarios: []string{"kill"},
			needs:     []string{wire, enters, exits},
			judge:     endOfFileAtOnce,
		},
		{
			ID:        "A8",
			Says:      "If the RST is there before the read is called, the read fails with ECONNRESET instead.",
			Scenarios: []string{"kill"},
			needs:     []string{wire, enters, exits},
			judge:     resetBeforeRead,
		},
		{
			ID:        "A9",
			Says:      "When the client exits, everything that it has open is closed.",
			Scenarios: []string{"kill-poll"},
			needs:     []string{wire, exits, ends},
			judge:     exitCloses,
		},
		{
			ID:        "A10",
			Says:      "The mistake is to wait for one of two inputs. A client that polls both hears of the FIN at once.",
			Scenarios: []string{"kill-poll", "kill"},
			needs:     []string{wire, exits},
			judge:     func(e *evidence) finding { return pollTells(e.run("kill-poll"), e.run("kill")) },
		},
	}
}

// lastFIN is the server's FIN after the fault, as the host saw it.
func (r *run) lastFIN(host string, direction test) *record.Event {
	return r.first(on(host), direction, flag(record.FlagFIN), r.fault)
}

// halfClose follows the end of the server's child to the client's ACK.
func (r *run) halfClose() (end, fin, ack *record.Event, wrong string) {
	end = r.first(on("server"), of(r.Fault.PID), exit, r.fault)
	fin = r.lastFIN("server", out)
	switch {
	case end == nil:
		return nil, nil, nil, "the process that held the connection did not end"
	case fin == nil || fin.Time < end.Time:
		return end, nil, nil, "no FIN followed the end of the process"
	case r.lastFIN("client", in) == nil:
		return end, fin, nil, "the FIN did not reach the client"
	}
	if ack = r.acknowledges("client", fin); ack == nil || ack.Packet.Len > 0 {
		return end, fin, nil, "the client did not acknowledge the FIN before it had something to send"
	}
	return end, fin, ack, ""
}

func halfClosed(e *evidence) finding {
	r := e.run("kill")
	end, fin, ack, wrong := r.halfClose()
	if wrong != "" {
		return no(r.at(end), "%s", wrong)
	}
	if r.lastFIN("client", out) != nil {
		return no(r.at(r.lastFIN("client", out)), "the client sent a FIN, too")
	}
	return yes(r.at(ack), "Process %d ended by %s; %s later its kernel sent a FIN, which the client's acknowledged in %s. The client sent no FIN of its own",
		end.PID, end.Process.Signal, span(fin.Time-end.Time), span(ack.Time-fin.Time))
}

func parentTold(e *evidence) finding {
	r := e.run("kill")
	child := r.first(on("server"), of(r.Fault.PID), proc(record.KindFork))
	end := r.first(on("server"), of(r.Fault.PID), exit, r.fault)
	if child == nil || end == nil {
		return no(moment{}, "no child was forked that ended")
	}
	told := r.first(on("server"), of(child.Process.Parent), signal("SIGCHLD"), since(end.Time))
	if told == nil {
		return no(r.at(end), "no SIGCHLD came to process %d", child.Process.Parent)
	}
	return yes(r.at(told), "SIGCHLD came to process %d, which had forked it, %s after the end of process %d", told.PID, span(told.Time-end.Time), end.PID)
}

func unmoved(e *evidence) finding {
	r := e.run("kill")
	fin, typed := r.lastFIN("client", in), r.typed()
	if fin == nil || typed == nil {
		return no(moment{}, "no FIN came, or nothing was typed after it")
	}
	if did := r.first(r.conn, since(fin.Time), until(typed.Time)); did != nil {
		return no(r.at(did), "the client called %s", did.Syscall)
	}
	read := r.first(on("client"), of(r.clientPID), call("read"), fd(0), since(typed.Time))
	if read == nil || entered(read) > fin.Time {
		return no(r.at(read), "the client was not in a read of its input when the FIN came")
	}
	if said := r.first(on("client"), since(fin.Time), until(typed.Time), func(e *record.Event) bool { return e.Source == record.Output }); said != nil {
		return no(r.at(said), "the client printed: %s", said.Text)
	}
	return yes(moment{r, read, read.String() + ", after " + span(read.Syscall.Duration)},
		"From the FIN until the user typed, %s, no call on the connection and no output: the process was in read(stdin) all that time", span(typed.Time-fin.Time))
}

func waitStates(e *evidence) finding {
	r := e.run("kill")
	_, server := r.row("server")
	at, client := r.row("client")
	if server.State != "FIN_WAIT2" || client.State != "CLOSE_WAIT" {
		return no(at, "The server's end was %q, the client's %q", server.State, client.State)
	}
	return yes(at, "The server's end %s, the client's %s, %s after the kill", server.State, client.State, span(at.event.Time-r.Fault.Time))
}

func sentAfterFIN(e *evidence) finding {
	r := e.run("kill")
	fin, write := r.lastFIN("client", in), r.wrote()
	if fin == nil || write == nil || write.Time < fin.Time {
		return no(r.at(write), "after the FIN no write() succeeded")
	}
	segment := r.first(on("client"), out, data, since(fin.Time), arrived)
	if segment == nil || int64(segment.Packet.Len) != write.Syscall.Ret {
		return no(r.at(segment), "what was written was not sent, or did not arrive")
	}
	return yes(r.at(segment), "%s after the FIN: write() = %d, and a segment of as many octets arrived", span(segment.Time-fin.Time), write.Syscall.Ret)
}

func resetInAnswer(e *evidence) finding {
	r := e.run("kill")
	end := r.first(on("server"), of(r.Fault.PID), exit, r.fault)
	line := r.first(on("server"), in, data, r.fault)
	rst := r.first(on("server"), out, flag(record.FlagRST), r.fault)
	if end == nil || line == nil || rst == nil || line.Time < end.Time || rst.Time < line.Time {
		return no(r.at(rst), "no RST of the server's answered data that came after the process had ended")
	}
	return yes(r.at(rst), "RST %s after the line had come, %s after the process had ended", span(rst.Time-line.Time), span(rst.Time-end.Time))
}

// promptly is how long a call that does not wait may take.
const promptly = int64(50e6)

func endOfFileAtOnce(e *evidence) finding {
	r := e.run("kill")
	fin, read := r.lastFIN("client", in), r.told()
	if fin == nil || read == nil || read.Syscall.Name != "read" {
		return no(r.at(read), "no FIN came, or no read() told the client")
	}
	if !endOfFile(read) || entered(read) < fin.Time || read.Syscall.Duration > promptly {
		return no(r.at(read), "%s after %s", read, span(read.Syscall.Duration))
	}
	return yes(r.at(read), "read() = 0, %s after it was called and %s after the FIN had come", span(read.Syscall.Duration), span(entered(read)-fin.Time))
}

func resetBeforeRead(e *evidence) finding {
	r := e.run("kill")
	rst, read := r.first(on("client"), in, flag(record.FlagRST), r.fault), r.told()
	if rst == nil || read == nil || read.Syscall.Name != "read" {
		return no(r.at(read), "no RST came, or no read() told the client")
	}
	early := entered(read) - rst.Time
	switch {
	case early <= 0:
		return unseen("the read() was called before the RST was there")
	case read.Syscall.Error == "ECONNRESET":
		f := yes(r.at(read), "read() = ECONNRESET; the RST had come %s before it was called", span(early))
		f.known = false
		return f
	case !endOfFile(read):
		return no(r.at(read), "%s; the RST had come %s before it was called", read, span(early))
	}
	seen := "read() = 0, end of file, although the RST had come " + span(early) + " before it was called"
	const why = "tcp_recvmsg looks whether a FIN was received (SOCK_DONE) before it looks at the socket's error, and a RST in CLOSE_WAIT sets EPIPE (tcp_reset), not ECONNRESET. That is left to SO_ERROR and the next write."
	if next := r.first(r.conn, call("write"), since(read.Time), failed("EPIPE")); next != nil {
		seen += "; the next write() = EPIPE"
	}
	return linux(r.at(read), why, "%s", seen)
}

func exitCloses(e *evidence) finding {
	r := e.run("kill-poll")
	end := r.first(on("client"), of(r.clientPID), exit, r.fault)
	if end == nil {
		return no(moment{}, "the client did not exit")
	}
	if shut := r.first(r.conn, call("close", "shutdown"), r.fault); shut != nil {
		return no(r.at(shut), "the client called %s itself", shut.Syscall)
	}
	fin := r.lastFIN("client", out)
	if fin == nil || fin.Time < end.Time {
		return no(r.at(end), "no FIN followed the client's exit")
	}
	return yes(r.at(fin), "The client exited without a close(); its kernel closed for it, and sent the FIN of the other half %s later", span(fin.Time-end.Time))
}

// pollTells compares a client that waits for both inputs with one that waits
// for its user.
func pollTells(polls, plain *run) finding {
	fin := polls.lastFIN("client", in)
	wait := polls.first(on("client"), of(polls.clientPID), call(waits...), polls.fault, moved)
	read := polls.told()
	if fin == nil || wait == nil || read == nil || !endOfFile(read) || wait.Time < fin.Time || read.Time < wait.Time {
		return no(polls.at(read), "no poll() returned for the FIN, with a read() = 0 after it")
	}
	if wait.Time-fin.Time > promptly || read.Time-fin.Time > promptly {
		return no(polls.at(wait), "the client was told only %s after the FIN", span(read.Time-fin.Time))
	}
	finPlain, typed, told := plain.lastFIN("client", in), plain.typed(), plain.told()
	if finPlain == nil || typed == nil || told == nil || told.Time < typed.Time {
		return no(plain.at(told), "the client that waits for its user was told before that one typed")
	}
	return yes(polls.at(wait), "%s() returned %s after the FIN had come, and read() = 0. Without it, in %s, the FIN lay there for %s, until the user typed",
		wait.Syscall.Name, span(wait.Time-fin.Time), plain.Scenario, span(told.Time-finPlain.Time))
}
