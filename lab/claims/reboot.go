package claims

import "github.com/seed-6fefc909/tcplab/lab/record"

// UNP 5.15: the server's host crashes and reboots.

func rebootClaims() []Claim {
	return []Claim{
		{
			ID:        "C1",
			Says:      "A client that sends nothing while the host is down does not notice that it was.",
			Scenarios: []string{"reboot-idle"},
			needs:     []string{wire, tables, exits},
			judge:     neverLearns,
		},
		{
			ID:        "C2",
			Says:      "After the reboot the server's TCP knows nothing of the connection: a segment of it draws a RST.",
			Scenarios: []string{"reboot"},
			needs:     []string{wire},
			judge:     resetFromBoot,
		},
		{
			ID:        "C3",
			Says:      "The client's read fails with ECONNRESET.",
			Scenarios: []string{"reboot"},
			needs:     []string{wire, exits},
			judge:     readReset,
		},
		{
			ID:        "C4",
			Says:      "For a client that must notice though it sends nothing, there are SO_KEEPALIVE and heartbeats.",
			Scenarios: []string{"keepalive-reboot", "heartbeat"},
			needs:     []string{wire, exits},
			judge:     probeOrBeat,
		},
	}
}

func neverLearns(e *evidence) finding {
	r := e.run("reboot-idle")
	if r.Fault.Back == 0 {
		return no(moment{}, "the host did not come back")
	}
	if sent := r.first(on("client"), out, tcp, r.fault); sent != nil {
		return no(r.at(sent), "the client sent something")
	}
	if got := first(r.heard(r.Fault.Time, ever)); got != nil {
		return no(r.at(got), "the client heard something")
	}
	if told := r.told(); told != nil {
		return no(r.at(told), "the client was told: %s", told)
	}
	at, row := r.row("client")
	if row.State != "ESTABLISHED" || at.event.Time < r.Fault.Back {
		return no(at, "its socket was %q", row.State)
	}
	if _, peer := r.row("server"); peer.State != "" {
		return no(at, "the server's end was there still: %s", peer.State)
	}
	return yes(at, "Down for %s. No segment either way, no call returned: %s after the crash the client's end was still ESTABLISHED, and the server had none",
		span(r.Fault.Back-r.Fault.Time), span(at.event.Time-r.Fault.Time))
}

// resetByBoot is the RST by which the host's second boot answered the client's
// segment, and that.
func (r *run) resetByBoot(segment *record.Event) (rst *record.Event, wrong string) {
	if segment == nil || r.Fault.Back == 0 || segment.Time < r.Fault.Back {
		return nil, "no segment of the client's reached the host after its reboot"
	}
	rst = r.first(on("server"), out, flag(record.FlagRST), since(segment.Time), arrived)
	if rst == nil {
		return nil, "no RST answered it"
	}
	if rst.Boot != 2 {
		return rst, "the RST was not the rebooted host's"
	}
	return rst, ""
}

func resetFromBoot(e *evidence) finding {
	r := e.run("reboot")
	segment := first(keep(r.fresh, r.fault))
	rst, wrong := r.resetByBoot(segment)
	if wrong != "" {
		return no(r.at(rst), "%s", wrong)
	}
	return yes(r.at(rst), "The host's second boot, of new namespaces, answered the line with a RST within %s", span(rst.Time-segment.Time))
}

func readReset(e *evidence) finding {
	r := e.run("reboot")
	read := r.told()
	rst := r.first(on("client"), in, flag(record.FlagRST), r.fault)
	if rst == nil || read == nil || read.Time < rst.Time {
		return no(r.at(read), "no RST came, or the client was told before")
	}
	if read.Syscall.Name != "read" || !failed("ECONNRESET")(read) {
		return no(r.at(read), "%s", read)
	}
	if early := entered(read) - rst.Time; early > 0 {
		return yes(r.at(read), "read() = ECONNRESET. (The RST was so quick that it came %s before the client had called read(); without a FIN before it, that makes no difference)", span(early))
	}
	return yes(r.at(read), "The client was in read() when the RST came; %s later it returned ECONNRESET", span(read.Time-rst.Time))
}

func probeOrBeat(e *evidence) finding {
	r, beat := e.run("keepalive-reboot"), e.run("heartbeat")
	read := r.told()
	if read == nil || !failed("ECONNRESET")(read) || r.wrote() != nil {
		return no(r.at(read), "the silent client was not told ECONNRESET")
	}
	probe := first(keep(r.probes, r.fault))
	rst, wrong := r.resetByBoot(probe)
	if wrong != "" || rst.Time > read.Time {
		return no(r.at(rst), "of the keepalive probe: %s", wrong)
	}
	if typed := beat.typed(); typed != nil {
		return no(beat.at(typed), "the user typed something")
	}
	sent, told := beat.wrote(), beat.told()
	if sent == nil || told == nil || told.Time < sent.Time || told.Syscall.Name != "read" || !failed("EAGAIN")(told) {
		return no(beat.at(told), "no beat of the client's own was sent and missed")
	}
	if got := first(beat.heard(beat.Fault.Time, told.Time)); got != nil {
		return no(beat.at(got), "the beat was answered")
	}
	return yes(r.at(read), "SO_KEEPALIVE: the probe %s after the crash drew the RST, and read() = ECONNRESET. A heartbeat, after a crash: the client's own beat had no echo, and it gave up %s after the fault",
		span(probe.Time-r.Fault.Time), span(told.Time-beat.Fault.Time))
}
