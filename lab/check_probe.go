package lab

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/predict"
	"github.com/seed-6fefc909/tcplab/lab/record"
)

// The checks of what a TCP sends without data.

func (v *view) probes() []*record.Event {
	return v.parted(v.segments("client", record.KindOut), record.Probe)
}

func (v *view) keepaliveProbes() record.Check {
	probes := v.probes()
	return v.check("keepalive probes left the client, without data", len(probes) > 0, count(len(probes), "probe"), ObserveWire)
}

func (v *view) noProbes() record.Check {
	probes := v.probes()
	if w := v.firstWrite(); w != nil { // before, nothing was in flight
		probes = keep(probes, func(e *record.Event) bool { return e.Time > w.Time })
	}
	return v.check("no keepalive probe was sent while data was in flight", len(probes) == 0, count(len(probes), "probe"), ObserveWire)
}

func (v *view) probesAnswered() record.Check {
	const name = "the probes of the zero window were answered"
	probes := v.probes()
	if len(probes) == 0 {
		return v.check(name, false, "no probe", ObserveWire)
	}
	answered := 0
	acks := v.segments("client", record.KindIn)
	for _, p := range probes {
		for _, a := range acks {
			if a.Time > p.Time && a.Packet.Len == 0 && a.Packet.Window == 0 {
				answered++
				break
			}
		}
	}
	// The last may be under way at the end of the run.
	return v.check(name, answered > 0 && answered >= len(probes)-1-v.lossAllowed(len(probes)),
		fmt.Sprintf("%s, %d followed by an ACK with window 0", count(len(probes), "probe"), answered), ObserveWire)
}

func (v *view) probesLost() record.Check {
	const name = "the probes of the zero window were not answered"
	probes, got := v.probes(), v.departed(v.segments("client", record.KindIn))
	return v.check(name, len(probes) > 0 && len(got) == 0,
		fmt.Sprintf("%s, %s heard", count(len(probes), "probe"), count(len(got), "segment")), ObserveWire)
}

// synBackoff holds the client's SYNs against the schedule that was predicted.
func (v *view) synBackoff() record.Check {
	const name = "the SYN was repeated on its schedule"
	syns := with(v.segments("client", record.KindOut), record.FlagSYN)
	if len(syns) == 0 {
		return v.check(name, false, "no SYN", ObserveWire)
	}
	begin := syns[0].Time
	if d := v.detection(); d.Syscall == "connect" {
		begin = d.Time - d.Blocked // the first SYN may have had to wait for the neighbour's address
	}
	var at []string
	for _, e := range syns {
		at = append(at, fmt.Sprintf("%.2f", seconds(e.Time-begin)))
	}
	seen := fmt.Sprintf("%s, at %s s", count(len(syns), "SYN"), strings.Join(at, ", "))
	return v.check(name, v.synsOnTime(syns, begin), seen, ObserveWire)
}

// synsOnTime wants a SYN at each time of the schedule, and no other. Those that
// were due while the first one waited for the neighbour's address, of which a
// question or the answer was lost, left with the first or not at all: a segment
// that is still queued is not sent again (skb_still_in_host_queue).
func (v *view) synsOnTime(syns []*record.Event, begin int64) bool {
	first, repeats := syns[0].Time, syns[1:]
	waited := func(s record.PredictedSend) bool { return s.Min-int64(predict.ToleranceEarly) <= first-begin }
	isDue := func(e *record.Event) func(record.PredictedSend) bool {
		return func(s record.PredictedSend) bool { return onTime(e.Time-begin, s.Min, s.Max) }
	}
	for _, e := range repeats {
		held := e.Time-first <= int64(predict.ToleranceEarly) && slices.ContainsFunc(v.r.Prediction.Sends, waited)
		if !held && !slices.ContainsFunc(v.r.Prediction.Sends, isDue(e)) {
			return false
		}
	}
	for _, s := range v.r.Prediction.Sends {
		if !waited(s) && !slices.ContainsFunc(repeats, func(e *record.Event) bool { return isDue(e)(s) }) {
			return false
		}
	}
	return len(repeats) <= len(v.r.Prediction.Sends)
}

// onTime allows what a measurement may differ from the model.
func onTime(t, low, high int64) bool {
	w := predict.Window{Max: time.Duration(high)}
	return t >= low-int64(predict.ToleranceEarly) && t <= int64(w.Latest())
}

// synackBackoff wants a SYN+ACK at each of the times of the kernel's schedule
// (reqsk_timer_handler). There may be more of them: an answer to each SYN of
// the client's.
func (v *view) synackBackoff() record.Check {
	const name = "the SYN+ACK was repeated on its schedule"
	p := predict.Defaults()
	p.HZ = v.r.Kernel.HZ
	retries, err := strconv.Atoi(v.r.Sysctls["server"]["net.ipv4.tcp_synack_retries"])
	if err != nil {
		return record.Check{Name: name, Unknown: true, Seen: "tcp_synack_retries is not known"}
	}
	p.SynAckRetries = retries
	sent := keep(v.segments("server", record.KindOut), func(e *record.Event) bool {
		return e.Packet.Flags == record.FlagSYN|record.FlagACK
	})
	if len(sent) == 0 {
		return v.check(name, false, "no SYN+ACK", ObserveWire)
	}
	var at []string
	for _, e := range sent {
		at = append(at, fmt.Sprintf("%.2f", seconds(e.Time-sent[0].Time)))
	}
	// The schedule counts from the SYN that came: the first SYN+ACK may have
	// had to wait for the client's address, and what was due meanwhile with it.
	begin := sent[0].Time
	if syns := before(with(v.segments("server", record.KindIn), record.FlagSYN), begin+1); len(syns) > 0 {
		begin = syns[0].Time
	}
	waited := sent[0].Time - begin
	ok := true
	for _, due := range predict.SYNACK(p).Sends {
		ok = ok && (int64(due.Min-predict.ToleranceEarly) <= waited || slices.ContainsFunc(sent, func(e *record.Event) bool {
			return onTime(e.Time-begin, int64(due.Min), int64(due.Max))
		}))
	}
	return v.check(name, ok, fmt.Sprintf("%s, at %s s; tcp_synack_retries=%d", count(len(sent), "SYN+ACK"), strings.Join(at, ", "), retries), ObserveWire)
}
