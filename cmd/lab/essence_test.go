package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// An essence is what of a record follows from what happened alone, and not
// from how fast the machine is: by what it is about, in order. Two runs of a
// scenario have the same, whatever kernel they are on.
//
// Left out, because it differs from run to run on one kernel, too:
//   - ports, sequence numbers, process ids, descriptors, windows, cookies;
//   - segments that only acknowledge: whether one goes alone, or with an
//     answer, depends on how soon the program answers (delayed ACKs);
//   - how a stream that fills a window is cut into segments and calls, how
//     long it is, and whether its end is probed for: buffers grow with the
//     memory and with time;
//   - ARP, which a bridge or a timer may cause;
//   - what processes do beside each other, sending signals included: the order
//     is that of each process and each connection;
//   - calls that a signal interrupts, SIGCHLD, and a fork's name of its child:
//     they depend on who comes first;
//   - a retransmission that could not be sent, which Linux reports from 6.17
//     on; and dropped segments, whose reasons change from version to version;
//   - changes of state that are not the kernel's report but a later look.
type essence map[string][]string

// essenceOf makes one.
func essenceOf(r *record.Record) essence {
	d := &r.Detection
	e := essence{
		"outcome":   {string(r.Outcome)},
		"detection": {strings.TrimSpace(fmt.Sprintf("%s %s %s %s", d.Host, d.Syscall, d.Error, d.Events))},
	}
	for _, c := range r.Signature.Checks {
		e.add("signature", "%s: %t", c.Name, c.OK)
	}
	for _, x := range r.Expectations {
		e.add("expectations", "%s: %t", x.What, x.OK)
	}
	for _, f := range append([]record.FaultInfo{r.Fault}, r.Later...) {
		e.add("faults", "%s %s", f.Kind, f.Host)
	}
	t := numbering{}
	threads := essence{} // of events, by process
	sent := map[string]bool{}
	last := map[string]string{} // segment that each host sent
	for i := range r.Events {
		ev := &r.Events[i]
		process := fmt.Sprintf("%s, boot %d, process %d", ev.Host, ev.Boot, ev.PID)
		switch ev.Source {
		case record.Wire:
			e.addWire(ev, t, sent, last)
		case record.TCP:
			if ev.Kind != record.KindDrop && (ev.Kind != record.KindRetransmit || ev.TCP.Error == "") && (ev.Kind != record.KindTLP || last[ev.Host] != stream) {
				e.add(fmt.Sprintf("TCP of %s, socket %d", ev.Host, t.of(ev.Host, ev.TCP.Sock)), "%s %s", ev.Kind, ev.TCP.Error)
			}
		case record.Socket:
			if ev.Kind == record.KindState && ev.State.Sock != 0 {
				e.add(fmt.Sprintf("states of %s, socket %d", ev.Host, t.of(ev.Host, ev.State.Sock)), "%s to %s", ev.State.From, ev.State.To)
			}
		case record.Syscall:
			if c := ev.Syscall; c.Socket && ev.Kind == record.KindCall && !strings.HasPrefix(c.Error, "ERESTART") {
				threads.addOnce(process, "%s() = %s", c.Name, returned(c))
			}
		case record.Process:
			switch p := ev.Process; {
			case ev.Kind == record.KindExec:
				threads.add(process, "is %s", ev.Comm)
			case ev.Kind == record.KindSignal && p.Signal != "SIGCHLD":
				threads.add(process+", from others", "%s gets %s", ev.Comm, p.Signal)
			case ev.Kind == record.KindExit:
				threads.add(process, "ends %s %d", p.Signal, p.Status)
			}
		case record.Output:
			e.add(fmt.Sprintf("%s of %s", ev.Kind, ev.Host), "%s", number.ReplaceAllString(ev.Text, "N"))
		}
	}
	for process, did := range threads {
		host, _, _ := strings.Cut(process, ",")
		e.add("processes of "+host, "%s", strings.Join(did, "; "))
	}
	for key := range e {
		if strings.HasPrefix(key, "processes of ") {
			slices.Sort(e[key])
		}
	}
	return e
}

var number = regexp.MustCompile(`[0-9]+`)

func (e essence) add(key, format string, a ...any) {
	e[key] = append(e[key], strings.TrimSpace(fmt.Sprintf(format, a...)))
}

// addOnce adds what is not the last already, if it is part of a stream.
func (e essence) addOnce(key, format string, a ...any) {
	n := len(e[key])
	e.add(key, format, a...)
	if n > 0 && e[key][n] == e[key][n-1] && strings.HasSuffix(e[key][n], stream) {
		e[key] = e[key][:n]
	}
}

// stream stands for as much as fills buffers.
const (
	stream = "a stream"
	large  = 1000 // octets: of that size is what fills them
)

// returned says what a call returned, but for descriptors.
func returned(c *record.Call) string {
	switch {
	case c.Error != "":
		return c.Error
	case c.Name == "accept4" || c.Name == "socket":
		return "a descriptor"
	case c.Ret >= large:
		return stream
	}
	return fmt.Sprint(c.Ret)
}

// addWire adds what a host sends, by connection.
func (e essence) addWire(ev *record.Event, t numbering, sent map[string]bool, last map[string]string) {
	p := ev.Packet
	if ev.Kind == record.KindCarrier {
		e.add("carrier of "+ev.Host, "%s", ev.Link)
		return
	}
	if ev.Kind != record.KindOut || p.Proto != "tcp" {
		return
	}
	bare := p.Flags&(record.FlagSYN|record.FlagFIN|record.FlagRST) == 0 && p.Len == 0
	if bare && !p.Probe {
		return
	}
	pair := []string{p.Src, p.Dst}
	slices.Sort(pair)
	key := fmt.Sprintf("segments of %s, connection %d", ev.Host, t.of("", pair[0]+pair[1]))
	what := (&record.Packet{Flags: p.Flags &^ record.FlagPSH}).FlagNames()
	switch {
	case p.Probe:
		what = "probe"
	case p.Len >= large || p.Len > 0 && last[ev.Host] == stream:
		what = stream
	default:
		what += fmt.Sprintf(" %d octets", p.Len)
		if id := fmt.Sprint(ev.Host, p.Src, p.Dst, p.Seq, p.Len, p.Flags); sent[id] {
			what += " again"
		} else {
			sent[id] = true
		}
	}
	last[ev.Host] = what
	e.addOnce(key, "%s: %s", p.Fate, what)
}

// A numbering numbers what a host has in the order of appearance.
type numbering map[string]map[any]int

func (n numbering) of(host string, thing any) int {
	if n[host] == nil {
		n[host] = map[any]int{}
	}
	if n[host][thing] == 0 {
		n[host][thing] = len(n[host]) + 1
	}
	return n[host][thing]
}

// A timed is something that a timer of the kernel's decided, counted from
// what the prediction counts from.
type timed struct {
	what     string
	at       time.Duration
	min, max time.Duration // of the kernel's rules, for every phase of its timer wheel
}

// timings are the client's: what it sent again, and when the program was told.
func timings(r *record.Record) []timed {
	d, p := &r.Detection, &r.Prediction
	after, known := map[string]int64{"fault": d.AfterFault, "write": d.AfterWrite, "heard": d.AfterHeard, "call": d.Blocked}[p.From]
	if d.Syscall == "" || !known || after < 0 || p.Max == 0 {
		return nil
	}
	origin := d.Time - after
	var all []timed
	sends := p.Sends
	for i := range r.Events {
		ev := &r.Events[i]
		if len(sends) == 0 || ev.Time <= origin || ev.Host != d.Host || !sentAgain(ev) {
			continue
		}
		all = append(all, timed{"sent again", time.Duration(ev.Time - origin), time.Duration(sends[0].Min), time.Duration(sends[0].Max)})
		sends = sends[1:]
	}
	return append(all, timed{"told", time.Duration(after), time.Duration(p.Min), time.Duration(p.Max)})
}

// sentAgain tells whether TCP sent a segment because a timer had run out.
func sentAgain(ev *record.Event) bool {
	if ev.Source == record.TCP {
		return ev.Kind == record.KindTLP || ev.Kind == record.KindRetransmit && ev.TCP.Error == ""
	}
	return ev.Source == record.Wire && ev.Kind == record.KindOut && ev.Packet != nil && ev.Packet.Probe
}

// apart names the timings that are further from each other than the kernel's
// rules allow: the phase of the timer wheel is another in each run, and so each
// lies anywhere in its window. The host's programs may be late besides, by the
// prediction's tolerance; in a machine it is a jiffy at most.
func apart(a, b *record.Record) []string {
	ours, theirs := timings(a), timings(b)
	if len(ours) != len(theirs) {
		return []string{fmt.Sprintf("%d timings and %d", len(ours), len(theirs))}
	}
	late := time.Second / time.Duration(cmp.Or(a.Kernel.HZ, 250))
	if a.Kernel.Warp == nil || b.Kernel.Warp == nil {
		late = time.Duration(max(a.Prediction.Tolerance, b.Prediction.Tolerance))
	}
	var far []string
	for i, x := range ours {
		y := theirs[i]
		slack := max(x.max, y.max) - min(x.min, y.min) + late
		if diff := (x.at - y.at).Abs(); x.what != y.what || diff > slack {
			far = append(far, fmt.Sprintf("%d: %s after %v, %s after %v: %v apart, allowed are %v", i+1, x.what, x.at, y.what, y.at, diff, slack))
		}
	}
	return far
}
