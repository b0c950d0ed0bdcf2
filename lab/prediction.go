package lab

import (
	"fmt"
	"strconv"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/observe"
	"github.com/seed-6fefc909/tcplab/lab/predict"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

// predict computes what the kernel's rules say will happen. conn is what the
// client's TCP knew just before the fault; of an empty one the round trip is
// taken to be short.
func (e *Experiment) predict(conn record.SocketRow) record.Prediction {
	p := predict.Defaults()
	p.HZ = observe.HZ()
	client := e.sysctls["client"]
	number := func(key string, otherwise int) int {
		if n, err := strconv.Atoi(client[key]); err == nil {
			return n
		}
		return otherwise
	}
	p.Retries1 = number("net.ipv4.tcp_retries1", p.Retries1)
	p.Retries2 = number("net.ipv4.tcp_retries2", p.Retries2)
	p.RTOMin = time.Duration(number("net.ipv4.tcp_rto_min_us", 200_000)) * time.Microsecond
	p.RTOMax = time.Duration(number("net.ipv4.tcp_rto_max_ms", 120_000)) * time.Millisecond
	early := number("net.ipv4.tcp_early_retrans", 3)
	p.TLP = early >= 3 && number("net.ipv4.tcp_sack", 1) == 1
	p.RTO, p.SRTT = time.Duration(conn.RTO), time.Duration(conn.RTT)

	from := "write"
	var w predict.Window
	switch e.faultKind() {
	case scenarios.Crash:
		if e.scenario.AnswerARP {
			w = predict.Silence(p)
			break
		}
		w = predict.NoARP(p, predict.Neigh{
			ReachableTime:   time.Duration(number("net.ipv4.neigh.eth0.base_reachable_time_ms", 30_000)) * time.Millisecond,
			DelayFirstProbe: time.Duration(number("net.ipv4.neigh.eth0.delay_first_probe_time", 5)) * time.Second,
			RetransTime:     time.Duration(number("net.ipv4.neigh.eth0.retrans_time_ms", 1_000)) * time.Millisecond,
			UcastSolicit:    number("net.ipv4.neigh.eth0.ucast_solicit", 3),
			McastSolicit:    number("net.ipv4.neigh.eth0.mcast_solicit", 3),
			AppSolicit:      number("net.ipv4.neigh.eth0.app_solicit", 0),
		})
	case scenarios.UnreachableHost:
		w = predict.Unreachable(p, predict.HostUnreachable, e.router())
	case scenarios.UnreachableNet:
		w = predict.Unreachable(p, predict.NetUnreachable, e.router())
	case scenarios.Reboot:
		w = predict.Reset(false, p.SRTT)
	case scenarios.KillUnread:
		from = "fault"
		w = predict.Immediate(predict.ECONNRESET, p.SRTT, "RST",
			"The server's kernel discards unread data and says so with a RST.")
	case scenarios.Kill, scenarios.Shutdown:
		w = predict.Reset(true, p.SRTT)
	}
	r := prediction(w, from)
	r.SilentSends = predict.Silence(p).MaxSends
	return r
}

// prediction puts a window into the record's form.
func prediction(w predict.Window, from string) record.Prediction {
	r := record.Prediction{
		Error: w.Error, Min: int64(w.Min), Max: int64(w.Max), From: from,
		Tolerance: int64(w.Latest() - w.Max), Decider: w.Decider, Why: w.Why,
	}
	if len(w.Errors) > 1 && !w.Certain {
		r.Why += fmt.Sprintf(" Not certain: it may be any of %v.", w.Errors)
		r.Errors = w.Errors
	}
	for _, s := range w.Sends {
		r.Sends = append(r.Sends, record.PredictedSend{Kind: s.Kind, Min: int64(s.Min), Max: int64(s.Max)})
	}
	return r
}

// router is the router in between, as far as its limits on ICMP go.
func (e *Experiment) router() predict.Router {
	r := predict.Router{}
	limit, err := strconv.Atoi(e.sysctls["router"]["net.ipv4.icmp_ratelimit"])
	if err != nil {
		limit = 1000 // the kernel's default, in milliseconds
	}
	r.RateLimit = time.Duration(limit) * time.Millisecond
	return r
}

// faultKind is the fault that the scenario is about.
func (e *Experiment) faultKind() string {
	for _, step := range e.scenario.Steps {
		if f, ok := step.(scenarios.Fault); ok {
			return f.Kind
		}
	}
	return ""
}

// clientTimer describes the timer of the client's connection, for a person
// who waits for it.
func (e *Experiment) clientTimer() string {
	if e.options.without(ObserveSockets) {
		return ""
	}
	row, err := e.connection(e.net.Client)
	if err != nil || row.Timer == "" {
		return ""
	}
	return fmt.Sprintf("%d retransmitted, timer fires in %.1f s", row.Retransmits, time.Duration(row.Expires).Seconds())
}
