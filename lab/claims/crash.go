package claims

import (
	"fmt"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// UNP 5.14: the server's host crashes.

func crashClaims() []Claim {
	return []Claim{
		{
			ID:        "B1",
			Says:      "A host that crashes sends nothing on its connections. To the client that looks as if the path between were cut.",
			Scenarios: []string{"crash", "partition-to-server"},
			needs:     []string{wire, exits, ends},
			judge:     silence,
		},
		{
			ID:        "B2",
			Says:      "The client's line is taken by its kernel and leaves as one segment; then the client sleeps in read.",
			Scenarios: []string{"crash"},
			needs:     []string{wire, exits},
			judge:     oneSegment,
		},
		{
			ID:        "B3",
			Says:      "Its TCP sends the segment again and again; Berkeley's does 12 times, and gives up after some 9 minutes.",
			Scenarios: []string{"crash"},
			needs:     []string{wire, exits},
			judge:     retransmits,
		},
		{
			ID:        "B4",
			Says:      "It gives up without ever having had an answer: the read fails with ETIMEDOUT.",
			Scenarios: []string{"crash"},
			needs:     []string{wire, exits},
			judge:     timedOut,
		},
		{
			ID:        "B5",
			Says:      "If a router has answered “destination unreachable”, the error is EHOSTUNREACH or ENETUNREACH.",
			Scenarios: []string{"unreachable-host", "unreachable-net"},
			needs:     []string{wire, exits},
			judge:     unreachable,
		},
		{
			ID:        "B6",
			Says:      "Who does not want to wait so long gives the read a time limit.",
			Scenarios: []string{"read-timeout", "crash"},
			needs:     []string{wire, exits},
			judge:     ownTimeout,
		},
		{
			ID:        "B7",
			Says:      "All of that takes something to send. A client that only listens learns of a crash by SO_KEEPALIVE, or not at all.",
			Scenarios: []string{"keepalive", "crash-idle"},
			needs:     []string{wire, tables, exits},
			judge:     keepalive,
		},
	}
}

func silence(e *evidence) finding {
	r, cut := e.run("crash"), e.run("partition-to-server")
	end := r.first(on("server"), of(r.Fault.PID), exit, r.fault)
	told, toldCut := r.told(), cut.told()
	if end == nil || told == nil || toldCut == nil {
		return no(moment{}, "no process of the crashed host ended, or its client was told nothing")
	}
	if said := r.first(on("server"), out, tcp, r.fault); said != nil {
		return no(r.at(said), "the crashed host sent a segment")
	}
	if got := first(append(r.heard(r.Fault.Time, told.Time), cut.heard(cut.Fault.Time, toldCut.Time)...)); got != nil {
		return no(moment{}, "the client heard something: %s", got)
	}
	n, m := len(keep(r.repeated, r.fault)), len(keep(cut.repeated, cut.fault))
	if n == 0 || n != m || told.Syscall.Error != toldCut.Syscall.Error || told.Syscall.Name != toldCut.Syscall.Name {
		return no(r.at(told), "crash: the segment sent again %d times and %s; path cut: %d times and %s", n, told, m, toldCut)
	}
	return yes(r.at(end), "The child died and no FIN left its host, nor anything else. Crash or cut path, the client saw the same: its segment sent again %d times, then %s, after %s and %s",
		n, told, span(told.Time-r.Fault.Time), span(toldCut.Time-cut.Fault.Time))
}

// line is the client's first write after the fault, the first segment that
// carried it, and how many did.
func (r *run) line() (write, segment *record.Event, n int) {
	sent := keep(r.fresh, r.fault)
	return r.wrote(), first(sent), len(sent)
}

func oneSegment(e *evidence) finding {
	r := e.run("crash")
	write, segment, n := r.line()
	if write == nil || segment == nil || n != 1 || int64(segment.Packet.Len) != write.Syscall.Ret {
		return no(r.at(segment), "the line did not leave as one segment, but as %d", n)
	}
	if late := segment.Time - write.Time; late > promptly {
		return no(r.at(segment), "the line left only %s after write()", span(late))
	}
	read := r.told()
	if read == nil || read.Syscall.Name != "read" || entered(read) < segment.Time || read.Syscall.Duration < int64(time.Second) {
		return no(r.at(read), "the client did not sleep in read()")
	}
	return yes(r.at(segment), "write() = %d after %s; one segment of %d octets; then read(), which slept %s",
		write.Syscall.Ret, span(write.Syscall.Duration), segment.Packet.Len, span(read.Syscall.Duration))
}

// rtoMax is TCP_RTO_MAX, above which the timeout does not double.
const rtoMax = int64(2 * time.Minute)

func retransmits(e *evidence) finding {
	r := e.run("crash")
	_, segment, _ := r.line()
	told := r.told()
	if segment == nil || told == nil {
		return no(r.at(told), "nothing was sent, or the client was told nothing")
	}
	sent := keep(r.repeated, r.fault)
	if len(sent) == 0 {
		return no(r.at(segment), "the segment was not sent again")
	}
	timer := sent
	if r.lossProbe(segment, sent) {
		timer = sent[1:]
	}
	if len(timer) == 0 {
		return no(r.at(segment), "the segment was sent again by a tail loss probe only")
	}
	took, last := told.Time-segment.Time, r.at(timer[len(timer)-1])
	if len(timer) == 12 && took > int64(8*time.Minute) && took < int64(10*time.Minute) {
		f := yes(last, "sent again 12 times, given up after %s", span(took))
		f.known = false
		return f
	}
	retries := r.Sysctls["client"]["net.ipv4.tcp_retries2"]
	pauses := "each pause twice the last"
	for i := 2; i < len(timer); i++ {
		pause := timer[i].Time - timer[i-1].Time
		if pause >= rtoMax && pause <= rtoMax+rtoMax/8 { // by which the timer wheel is late at most
			pauses = "each pause twice the last, up to two minutes"
			continue
		}
		if ratio := float64(pause) / float64(timer[i-1].Time-timer[i-2].Time); ratio < 1.7 || ratio > 2.3 {
			return no(r.at(timer[i]), "sent again %d times, but the pauses did not double", len(timer))
		}
	}
	if fmt.Sprint(len(timer)) != retries {
		return no(last, "sent again %d times by the timer, with tcp_retries2=%s", len(timer), retries)
	}
	how := "the kernel's default"
	if r.Timers == "quick" {
		how = "shortened for this run"
	}
	seen := fmt.Sprintf("With tcp_retries2=%s (%s) sent again %d times by the timer, %s", retries, how, len(timer), pauses)
	if probe := len(sent) - len(timer); probe > 0 {
		seen += ", and once before by a tail loss probe"
	}
	seen += "; given up after " + span(took)
	if p, ok := e.defaults["crash"]; ok {
		seen += fmt.Sprintf(". %s: %d times, %s to %s (computed)", p.Decider, predicted(p), minutes(p.Min), minutes(p.Max))
	}
	return linux(last, "Linux counts time, not attempts: it gives up when as long has passed as tcp_retries2 retransmissions take with a doubling timeout of 0.2 s to 120 s (retransmits_timed_out, tcp_model_timeout; 15 by default). RFC 1122 4.2.3.5 asks for 100 s at least.", "%s", seen)
}

// lossProbe tells whether the first of the segments that were sent again is a
// tail loss probe (RFC 8985 section 7.2): the kernel says so, or the pause
// after it is no doubling of the pause before. The kernel's word alone does
// not do: what a timer does is not always reported (docs/how-it-works.md).
func (r *run) lossProbe(segment *record.Event, sent []*record.Event) bool {
	const near = int64(5 * time.Millisecond) // the event and the frame are of one call
	first := sent[0].Time
	said := r.find(on("client"), since(first-near), until(first+near), func(e *record.Event) bool {
		return e.Source == record.TCP && (e.Kind == record.KindTLP || e.Kind == record.KindRetransmit)
	})
	if len(said) > 0 {
		return said[0].Kind == record.KindTLP
	}
	return len(sent) > 1 && float64(sent[1].Time-first) < 1.7*float64(first-segment.Time)
}

// predicted counts the retransmissions of the timer that are due.
func predicted(p record.Prediction) int {
	n := 0
	for _, s := range p.Sends {
		if s.Kind == "retransmit" {
			n++
		}
	}
	return n
}

func minutes(ns int64) string { return time.Duration(ns).Round(time.Second).String() }

func timedOut(e *evidence) finding {
	r := e.run("crash")
	read := r.told()
	if read == nil {
		return no(moment{}, "the client was told nothing")
	}
	if got := first(r.heard(r.Fault.Time, read.Time)); got != nil {
		return no(r.at(got), "there was an answer")
	}
	if !failed("ETIMEDOUT")(read) || read.Syscall.Name != "read" || len(keep(r.repeated, r.fault, until(read.Time))) == 0 {
		return no(r.at(read), "%s", read)
	}
	return yes(r.at(read), "No answer to %d segments in %s, then read() = ETIMEDOUT", 1+len(keep(r.repeated, r.fault)), span(read.Syscall.Duration))
}

func unreachable(e *evidence) finding {
	var at moment
	var parts string
	for _, want := range []struct {
		scenario, errno, separator string
		code4, code6               int
	}{{"unreachable-net", "ENETUNREACH", "", 0, 0}, {"unreachable-host", "EHOSTUNREACH", "; ", 1, 3}} {
		r := e.run(want.scenario)
		code, kind := want.code4, 3
		if r.Family == 6 {
			code, kind = want.code6, 1
		}
		answers := r.find(on("client"), in, icmpError, r.fault, func(e *record.Event) bool {
			return e.Packet.ICMPType == kind && e.Packet.ICMPCode == code
		})
		read := r.told()
		if len(answers) == 0 || read == nil || answers[0].Time > read.Time {
			return no(r.at(read), "%s: the router did not answer so, or the client was told nothing", want.scenario)
		}
		if !failed(want.errno)(read) {
			return no(r.at(read), "%s after %s", read, answers[0].Packet)
		}
		parts += fmt.Sprintf("%s%s %s after the line, %s", want.separator, answers[0].Packet, span(answers[0].Time-r.sentAt()), read)
		parts += " " + span(read.Time-answers[0].Time) + " later"
		at = r.at(read)
	}
	return yes(at, "%s. The message does not end the connection: TCP keeps it, to say when its timer gives up", parts)
}

// sentAt is when the client's line left.
func (r *run) sentAt() int64 {
	if _, segment, _ := r.line(); segment != nil {
		return segment.Time
	}
	return r.Fault.Time
}

func ownTimeout(e *evidence) finding {
	r, crash := e.run("read-timeout"), e.run("crash")
	read, without := r.told(), crash.told()
	if read == nil || without == nil {
		return no(moment{}, "a client was told nothing")
	}
	if !failed("EAGAIN")(read) || read.Syscall.Name != "read" || read.Syscall.Duration >= without.Syscall.Duration {
		return no(r.at(read), "%s after %s", read, span(read.Syscall.Duration))
	}
	if gave := r.first(on("client"), r.fault, until(read.Time), func(e *record.Event) bool { return e.Source == record.TCP && e.Kind == record.KindError }); gave != nil {
		return no(r.at(gave), "TCP itself had given up before")
	}
	n := len(keep(r.repeated, r.fault, until(read.Time)))
	if n == 0 {
		return no(r.at(read), "TCP was not retransmitting meanwhile")
	}
	return yes(r.at(read), "With SO_RCVTIMEO read() = EAGAIN after %s, while TCP had sent the line again %d times and was not done; without, in crash, %s after %s",
		span(read.Syscall.Duration), n, without, span(without.Syscall.Duration))
}

func keepalive(e *evidence) finding {
	r, idle := e.run("keepalive"), e.run("crash-idle")
	if sent := idle.first(on("client"), out, tcp, idle.fault); sent != nil {
		return no(idle.at(sent), "the idle client sent something")
	}
	if told := idle.told(); told != nil {
		return no(idle.at(told), "the idle client was told: %s", told)
	}
	at, row := idle.row("client")
	if row.State != "ESTABLISHED" || row.Timer != "" {
		return no(at, "the idle client's socket was %q, with the timer %q", row.State, row.Timer)
	}
	read := r.told()
	if read == nil {
		return no(moment{}, "the client with SO_KEEPALIVE was told nothing")
	}
	probes := keep(r.probes, r.fault, until(read.Time))
	if len(probes) == 0 || len(keep(r.fresh, r.fault)) > 0 || r.wrote() != nil {
		return no(r.at(read), "no keepalive probe was sent, or the client sent data")
	}
	if got := first(r.heard(r.Fault.Time, read.Time)); got != nil {
		return no(r.at(got), "there was an answer")
	}
	if !failed("ETIMEDOUT")(read) {
		return no(r.at(read), "%s", read)
	}
	seen := fmt.Sprintf("Without, in crash-idle: still ESTABLISHED after %s, and no timer that would ask. With: %d probes unanswered, read() = ETIMEDOUT %s after the crash (timers shortened",
		span(at.event.Time-idle.Fault.Time), len(probes), span(read.Time-r.Fault.Time))
	if p, ok := e.defaults["keepalive"]; ok {
		seen += "; " + minutes(p.Min) + " by default"
	}
	return yes(r.at(read), "%s)", seen)
}
