package lab

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/observe"
	"github.com/seed-6fefc909/tcplab/lab/predict"
	"github.com/seed-6fefc909/tcplab/lab/programs"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
)

// From when on a prediction counts.
const (
	fromWrite = "write" // the client's first write after the fault
	fromFault = "fault"
	fromCall  = "call"  // the beginning of the call that tells
	fromHeard = "heard" // the last segment that the client received
)

// A model makes a window of what is known of the client's connection.
type model struct {
	from   string
	window func(e *Experiment, p predict.Params, conn record.SocketRow) predict.Window
	// timers: it depends on where the connection's timer stands at the fault.
	timers bool
	// needs says which socket option the client lacks for it, "" if none.
	needs func(programs.Options) string
}

func needsKeepalive(o programs.Options) string {
	if o.KeepAlive {
		return ""
	}
	return "SO_KEEPALIVE"
}

func needsReadTimeout(o programs.Options) string {
	if o.ReceiveTimeout > 0 {
		return ""
	}
	return "SO_RCVTIMEO"
}

func needsRecvErr(o programs.Options) string {
	if o.RecvErr {
		return ""
	}
	return "IP_RECVERR"
}

// models are the rules that scenarios can name.
func models() map[string]model {
	type exp = *Experiment
	return map[string]model{
		"silence": {from: fromWrite, window: func(_ exp, p predict.Params, _ record.SocketRow) predict.Window { return predict.Silence(p) }},
		"no-neighbour": {from: fromWrite, window: func(e exp, p predict.Params, _ record.SocketRow) predict.Window {
			return predict.NoARP(p, e.neigh())
		}},
		"icmp": {from: fromWrite, window: func(e exp, p predict.Params, _ record.SocketRow) predict.Window {
			kind, router := e.icmp()
			w := predict.Unreachable(p, kind, router)
			if n := len(w.Sends); router.RTT > 0 && n > 0 {
				// Each message takes a part of a timeout back, which is
				// not modelled to the jiffy: one more or less fits in.
				w.Min, w.Max = max(0, w.Min-w.Sends[n-1].RTO), w.Max+w.Sends[n-1].RTO
			}
			if silent := predict.Silence(p).Sends; e.options.Loss > 0 && len(silent) > 0 {
				// A message that is lost takes nothing back: the last
				// timeout may be as long as in silence.
				w.Max += silent[len(silent)-1].RTO
			}
			return w
		}},
		"recverr": {from: fromWrite, window: func(e exp, p predict.Params, _ record.SocketRow) predict.Window {
			kind, _ := e.icmp()
			return predict.Immediate(kind.Errno(), p.SRTT, "IP_RECVERR",
				"With IP_RECVERR an ICMP error is handed to the program as it comes, unless the socket is in use at that instant.")
		}, needs: needsRecvErr},
		"reset": {from: fromWrite, window: func(_ exp, p predict.Params, _ record.SocketRow) predict.Window { return predict.Reset(p.SRTT) }},
		"eof-at-next-read": {from: fromWrite, window: func(_ exp, p predict.Params, _ record.SocketRow) predict.Window {
			return predict.Immediate(predict.EOF, p.SRTT, "FIN",
				"The FIN was there before the write. A read reports it before any error (SOCK_DONE is looked at before sk_err), even if a RST has come since; that is left to SO_ERROR and the next write (EPIPE).")
		}},
		"eof": {from: fromFault, window: func(_ exp, p predict.Params, _ record.SocketRow) predict.Window { return predict.Closed(p.SRTT) }},
		"reset-now": {from: fromFault, window: func(_ exp, p predict.Params, _ record.SocketRow) predict.Window {
			return predict.Immediate(predict.ECONNRESET, p.SRTT, "RST", "A RST ends the connection at once, whatever it was doing.")
		}},
		"keepalive": {from: fromHeard, window: func(_ exp, p predict.Params, _ record.SocketRow) predict.Window { return predict.Keepalives(p) }, needs: needsKeepalive},
		"keepalive-reset": {from: fromHeard, window: func(_ exp, p predict.Params, _ record.SocketRow) predict.Window {
			return predict.KeepaliveReset(p)
		}, needs: needsKeepalive},
		"read-timeout": {from: fromCall, window: func(e exp, p predict.Params, _ record.SocketRow) predict.Window {
			return predict.ReadTimeout(p, e.socket.ReceiveTimeout)
		}, needs: needsReadTimeout},
		"heartbeat": {from: fromFault, window: func(e exp, p predict.Params, _ record.SocketRow) predict.Window {
			return predict.Heartbeat(p, e.scenario.Predict.Value)
		}},
		"zero-window": {from: fromFault, window: func(_ exp, p predict.Params, conn record.SocketRow) predict.Window {
			if conn.Timer != "probe" {
				return predict.ZeroWindow(p, predict.Probing{})
			}
			return predict.ZeroWindow(p, predict.Probing{
				RTO: time.Duration(conn.RTO), Backoff: conn.Backoff, Left: time.Duration(conn.Expires), Unanswered: conn.Retransmits,
			})
		}, timers: true},
		"zero-window-answered": {from: fromFault, window: func(_ exp, p predict.Params, _ record.SocketRow) predict.Window {
			return predict.ZeroWindowAnswered(p)
		}},
		"connect-silence": {from: fromCall, window: func(_ exp, p predict.Params, _ record.SocketRow) predict.Window { return predict.SYN(p) }},
		"connect-no-neighbour": {from: fromCall, window: func(e exp, p predict.Params, _ record.SocketRow) predict.Window {
			return predict.ConnectNoARP(p, e.neigh())
		}},
		"connect-icmp": {from: fromCall, window: func(e exp, p predict.Params, _ record.SocketRow) predict.Window {
			kind, router := e.icmp()
			return predict.ConnectUnreachable(p, kind, router)
		}},
		"connect-refused": {from: fromCall, window: func(_ exp, p predict.Params, _ record.SocketRow) predict.Window {
			return predict.ConnectRefused(p.SRTT)
		}},
		"synack": {from: fromFault, window: func(e exp, p predict.Params, _ record.SocketRow) predict.Window {
			if n, err := strconv.Atoi(e.sysctls["server"]["net.ipv4.tcp_synack_retries"]); err == nil {
				p.SynAckRetries = n
			}
			return predict.SYNACK(p)
		}},
		"never": {from: fromFault, window: func(exp, predict.Params, record.SocketRow) predict.Window {
			return predict.Window{Certain: true, Why: "Nothing comes from the network that would tell the client, and no timer of its TCP will give up."}
		}},
	}
}

// predict computes what the kernel's rules say will happen. conn is what the
// client's TCP knew just before the fault; of an empty one the round trip is
// taken to be that of the link.
func (e *Experiment) predict(conn record.SocketRow) record.Prediction {
	m, ok := models()[e.scenario.Predict.Model]
	if !ok {
		return record.Prediction{}
	}
	p := e.params(conn)
	w := m.window(e, p, conn)
	if e.options.Loss > 0 {
		w.Max += lossCosts(e.scenario.Predict.Model, p)
	}
	r := prediction(w, m.from)
	r.Model = e.scenario.Predict.Model
	r.SilentSends = predict.Silence(p).MaxSends
	return r
}

// silentModel tells the models of a server that answers nothing, or nothing that
// ends the connection: what becomes of a client then depends on whether it
// sends.
func silentModel(name string) bool {
	switch name {
	case "silence", "no-neighbour", "icmp":
		return true
	}
	return false
}

// predictIdle computes what happens to a client that sends nothing after the
// fault: only keepalive probes can find out.
func (e *Experiment) predictIdle(conn record.SocketRow) record.Prediction {
	p := e.params(conn)
	model, from := "never", fromFault
	if p.Keepalive.On {
		model, from = "keepalive", fromHeard
	}
	r := prediction(models()[model].window(e, p, conn), from)
	if !p.Keepalive.On {
		r.Why = "The client sent nothing after the fault, and its socket has no SO_KEEPALIVE: nothing tells it, ever."
	}
	r.Model = model
	return r
}

// lossCosts is by how much losses may put an answer off that otherwise comes
// at once: of question and answer one is lost, and then one of them again. Each
// time a timeout must run out: that of the segment, or of a SYN or a neighbour
// solicitation, a second.
func lossCosts(model string, p predict.Params) time.Duration {
	switch model {
	case "connect-refused", "connect-icmp":
		return 2 * time.Second
	case "reset", "reset-now", "eof":
		if sends := predict.Silence(p).Sends; len(sends) > 1 {
			return time.Duration(sends[1].Max)
		}
	}
	return 0
}

// repredict looks at the connection's timer once more, now that the fault is
// in force, where the prediction depends on it: to get there took its time.
func (e *Experiment) repredict() {
	if !models()[e.scenario.Predict.Model].timers {
		return
	}
	before := e.clock.Now() - e.fault.Time
	conn := e.conn()
	after := e.clock.Now() - e.fault.Time
	e.prediction = e.predict(conn) // counted from when the kernel looked
	e.prediction.Min += before
	e.prediction.Max += after
}

// params is what the kernel's rules depend on.
func (e *Experiment) params(conn record.SocketRow) predict.Params {
	p := predict.Defaults()
	p.HZ = observe.HZ()
	p.Retries1 = e.number("net.ipv4.tcp_retries1", p.Retries1)
	p.Retries2 = e.number("net.ipv4.tcp_retries2", p.Retries2)
	p.RTOMin = time.Duration(e.number("net.ipv4.tcp_rto_min_us", 200_000)) * time.Microsecond
	p.RTOMax = time.Duration(e.number("net.ipv4.tcp_rto_max_ms", 120_000)) * time.Millisecond
	p.SynRetries = e.number("net.ipv4.tcp_syn_retries", p.SynRetries)
	p.SynLinearTimeouts = e.number("net.ipv4.tcp_syn_linear_timeouts", p.SynLinearTimeouts)
	early := e.number("net.ipv4.tcp_early_retrans", 3)
	p.TLP = early >= 3 && e.number("net.ipv4.tcp_sack", 1) == 1
	p.RTO, p.SRTT = time.Duration(conn.RTO), time.Duration(conn.RTT)
	if p.SRTT == 0 {
		p.SRTT = 2 * e.options.delay(e.scenario).Time
	}
	p.UserTimeout = e.socket.UserTimeout
	p.Keepalive = predict.Keepalive{
		On:       e.socket.KeepAlive,
		Time:     time.Duration(e.number("net.ipv4.tcp_keepalive_time", 7200)) * time.Second,
		Interval: time.Duration(e.number("net.ipv4.tcp_keepalive_intvl", 75)) * time.Second,
		Probes:   e.number("net.ipv4.tcp_keepalive_probes", 9),
	}
	if e.socket.KeepIdle > 0 {
		p.Keepalive.Time = e.socket.KeepIdle
	}
	if e.socket.KeepIntvl > 0 {
		p.Keepalive.Interval = e.socket.KeepIntvl
	}
	if e.socket.KeepCnt > 0 {
		p.Keepalive.Probes = e.socket.KeepCnt
	}
	if e.socket.SynCount > 0 {
		p.SynRetries = e.socket.SynCount
	}
	return p
}

// number is a sysctl of the client's.
func (e *Experiment) number(key string, otherwise int) int {
	if n, err := strconv.Atoi(e.sysctls["client"][key]); err == nil {
		return n
	}
	return otherwise
}

// neigh is what decides how long the client looks for a neighbour.
func (e *Experiment) neigh() predict.Neigh {
	v6 := e.options.family() == topology.IPv6
	base := "net.ipv4.neigh.eth0."
	if v6 {
		base = "net.ipv6.neigh.eth0."
	}
	return predict.Neigh{
		IPv6:            v6,
		ReachableTime:   time.Duration(e.number(base+"base_reachable_time_ms", 30_000)) * time.Millisecond,
		DelayFirstProbe: time.Duration(e.number(base+"delay_first_probe_time", 5)) * time.Second,
		RetransTime:     time.Duration(e.number(base+"retrans_time_ms", 1_000)) * time.Millisecond,
		UcastSolicit:    e.number(base+"ucast_solicit", 3),
		McastSolicit:    e.number(base+"mcast_solicit", 3),
		AppSolicit:      e.number(base+"app_solicit", 0),
	}
}

// icmp is what the router answers after the scenario's first fault, and how
// often it may.
func (e *Experiment) icmp() (predict.ICMP, predict.Router) {
	v6 := e.options.family() == topology.IPv6
	key := "net.ipv4.icmp_ratelimit"
	if v6 {
		key = "net.ipv6.icmp.ratelimit"
	}
	limit, err := strconv.Atoi(e.sysctls["router"][key])
	if err != nil {
		limit = 1000 // the kernel's default, in milliseconds
	}
	router := predict.Router{
		RateLimit: time.Duration(limit) * time.Millisecond, Unlimited: v6, RTT: 2 * e.options.delay(e.scenario).Time,
		Capped: kernelBefore(6, 14),
	}
	kind := ""
	if faults := e.scenario.Faults(); len(faults) > 0 {
		kind = faults[0].Kind
	}
	switch kind {
	case "unreachable-net":
		if v6 {
			return predict.NoRoute6, router
		}
		return predict.NetUnreachable, router
	case "reject-prohibited":
		router.Unlimited = true // nf_send_unreach does not ask ip_error
		if v6 {
			return predict.AdminProhibited6, router
		}
		return predict.AdminProhibited, router
	}
	if v6 {
		return predict.AddrUnreachable6, router
	}
	return predict.HostUnreachable, router
}

// kernelBefore tells whether the running kernel's release is an older one.
func kernelBefore(major, minor int) bool {
	var release [2]int
	_, err := fmt.Sscanf(thisKernel().Release, "%d.%d", &release[0], &release[1])
	return err == nil && slices.Compare(release[:], []int{major, minor}) < 0
}

// declaredOptions are the socket options that the client's command line asks
// for: what can be known before it runs. Nothing is known of a program that is
// not lab's own, but whether it is there.
func (o Options) declaredOptions(s *scenarios.Scenario) (programs.Options, error) {
	var client programs.Options
	for _, step := range s.Steps {
		start, ok := step.(scenarios.Start)
		if !ok {
			continue
		}
		wrong := func(err error) error {
			return &scenarios.SyntaxError{Place: start.Place(), Err: fmt.Errorf("start: %w", err)}
		}
		if !programs.Known(start.Argv[0]) {
			if _, err := o.Execution.lookPath(start.Argv[0]); err != nil {
				return client, wrong(err)
			}
			continue
		}
		sample := places{server: sampleServer(topology.Family(s.Family)), client: netip.IPv4Unspecified()}
		declared, err := programs.Declared(sample.fillIn(start.Argv))
		if err != nil {
			return client, wrong(err)
		}
		if start.Host == "client" {
			client = declared
		}
	}
	return client, nil
}

// sampleServer stands for the server before there is one.
func sampleServer(f topology.Family) netip.AddrPort {
	addr := netip.IPv4Unspecified()
	if f == topology.IPv6 {
		addr = netip.IPv6Unspecified()
	}
	return netip.AddrPortFrom(addr, programs.DefaultPort)
}

// measureOptions reads the options of the client's socket from the socket
// itself, if there is one.
func (e *Experiment) measureOptions() {
	p, row, err := e.holder(e.net.Client)
	if err != nil {
		return // not connected yet: what its command line asks for
	}
	f, err := e.net.Client.BorrowSocket(p.PID, row.Inode)
	if err != nil {
		return
	}
	defer f.Close()
	if o, err := programs.ReadOptions(int(f.Fd())); err == nil {
		e.socket = o
	}
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
