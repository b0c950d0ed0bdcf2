package lab_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
)

// e2e is what a client must be seen to see of each scenario, and what else
// must be in its record.
var e2e = map[string]struct {
	error  string
	claims func(*story)
}{
	"kill":             {"EOF", claimKill},
	"kill-unread":      {"ECONNRESET", claimKillUnread},
	"crash":            {"ETIMEDOUT", claimCrash},
	"crash-lan":        {"EHOSTUNREACH", claimCrashLAN},
	"unreachable-host": {"EHOSTUNREACH", func(s *story) { claimUnreachable(s, 1) }},
	"unreachable-net":  {"ENETUNREACH", func(s *story) { claimUnreachable(s, 0) }},
	"reboot":           {"ECONNRESET", claimReboot},
	"shutdown":         {"EOF", claimShutdown},
}

func TestScenarios(t *testing.T) {
	testenv.NeedRoot(t)
	t.Parallel()
	for _, sc := range scenarios.All() {
		t.Run(sc.Name, func(t *testing.T) {
			t.Parallel()
			want, known := e2e[sc.Name]
			if !known {
				t.Fatal("this test knows nothing of the scenario")
			}
			r := runScenario(t, sc, lab.Options{})
			checkRecord(t, r)
			checkOutcome(t, r)
			if r.Detection.Error != want.error {
				t.Errorf("the client was told %q by %s(), want %q", r.Detection.Error, r.Detection.Syscall, want.error)
			}
			want.claims(&story{t, r})
			if t.Failed() {
				var b bytes.Buffer
				for i := range r.Events {
					e := &r.Events[i]
					fmt.Fprintf(&b, "%12.6f %-6s %d %-7s %-12s %s\n", seconds(e.Time-r.Fault.Time), e.Host, e.Boot, e.Source, e.Kind, e)
				}
				t.Logf("the record's events:\n%s", b.String())
			}
		})
	}
}

// The time between SIGTERM and SIGKILL is an option.
func TestGrace(t *testing.T) {
	testenv.NeedRoot(t)
	t.Parallel()
	r := runScenario(t, scenario(t, "shutdown"), lab.Options{Grace: 700 * time.Millisecond})
	checkRecord(t, r)
	checkOutcome(t, r)
	s := &story{t, r}
	s.signals(700 * time.Millisecond)
}

// Another path than the scenario's own.
func TestPaths(t *testing.T) {
	testenv.NeedRoot(t)
	t.Parallel()
	for _, c := range []struct {
		scenario string
		path     topology.Path
	}{
		{"kill", topology.Switch},
		{"kill", topology.Router},
		{"kill-unread", topology.Router},
		{"reboot", topology.Router},
		{"crash", topology.Router},
	} {
		t.Run(c.scenario+","+string(c.path), func(t *testing.T) {
			t.Parallel()
			r := runScenario(t, scenario(t, c.scenario), lab.Options{Path: c.path})
			checkRecord(t, r)
			checkOutcome(t, r)
			if r.Path != string(c.path) {
				t.Errorf("path %q, want %q", r.Path, c.path)
			}
			if want := e2e[c.scenario].error; r.Detection.Error != want {
				t.Errorf("the client was told %q, want %q", r.Detection.Error, want)
			}
		})
	}
}

// A crash at the other end of a direct path takes the client's carrier away:
// that is no remote host's crash, and must never pass for one.
func TestDirectCrashIsNone(t *testing.T) {
	testenv.NeedRoot(t)
	t.Parallel()
	r := runScenario(t, scenario(t, "crash"), lab.Options{Path: topology.Direct})
	checkRecord(t, r)
	if r.Outcome != record.NotAsExpected || r.Signature.OK {
		t.Errorf("outcome %s, signature ok: %t; want not-as-expected, and not ok", r.Outcome, r.Signature.OK)
	}
	i := slices.IndexFunc(r.Signature.Checks, func(c record.Check) bool { return strings.Contains(c.Name, "carrier") })
	if i < 0 || r.Signature.Checks[i].OK || r.Signature.Checks[i].Unknown {
		t.Errorf("the check of the carrier did not see it: %+v", r.Signature.Checks)
	}
}

// What is not observed is not judged.
func TestWithoutObserver(t *testing.T) {
	testenv.NeedRoot(t)
	t.Parallel()
	for _, observer := range lab.ObserverNames {
		t.Run(observer, func(t *testing.T) {
			t.Parallel()
			r := runScenario(t, scenario(t, "kill-unread"), lab.Options{Without: []string{observer}})
			checkRecord(t, r)
			if r.Outcome != record.Inconclusive || len(r.Reasons) == 0 {
				t.Errorf("outcome %s because %q, want inconclusive and why", r.Outcome, r.Reasons)
			}
			if len(r.Missing) != 1 || r.Missing[0].Observer != observer || r.Missing[0].Why == "" || r.Missing[0].Cost == "" {
				t.Errorf("missing: %+v, want %s, why, and at what cost", r.Missing, observer)
			}
		})
	}
}

func scenario(t *testing.T, name string) *scenarios.Scenario {
	t.Helper()
	sc, err := findScenario(name)
	if err != nil {
		t.Fatal(err)
	}
	return sc
}

func findScenario(name string) (*scenarios.Scenario, error) {
	sc, nearest := scenarios.Find(name)
	if sc == nil {
		return nil, fmt.Errorf("no scenario %q; nearest is %q", name, nearest)
	}
	return sc, nil
}

func runScenario(t *testing.T, sc *scenarios.Scenario, o lab.Options) *record.Record {
	t.Helper()
	e, err := lab.New(sc, o)
	if err != nil {
		t.Fatal(err)
	}
	// Far above the longest, which is some 14 s.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := e.Run(ctx)
	if err != nil {
		t.Error("run:", err)
	}
	if err := e.Close(); err != nil {
		t.Error("close:", err)
	}
	return r
}

// checkRecord checks what must be so of every record, whatever its outcome.
func checkRecord(t *testing.T, r *record.Record) {
	t.Helper()
	if err := validate(r); err != nil {
		t.Error("the record does not follow its schema:", err)
	}
	if !slices.IsSortedFunc(r.Events, func(a, b record.Event) int { return int(max(-1, min(1, a.Time-b.Time))) }) {
		t.Error("the events are not in the order of time")
	}
	if len(r.Events) == 0 {
		t.Error("no events")
	}
	for _, e := range r.Events {
		if e.Time < 0 || e.Time > r.Duration+int64(time.Second) {
			t.Errorf("event at %.6f s of a run that took %.6f s: %s", seconds(e.Time), seconds(r.Duration), e.String())
		}
	}
}

func validate(r *record.Record) error {
	var s jsonschema.Schema
	if err := json.Unmarshal(record.JSONSchema(), &s); err != nil {
		return err
	}
	schema, err := s.Resolve(nil)
	if err != nil {
		return err
	}
	var buf bytes.Buffer
	if err := r.Write(&buf); err != nil {
		return err
	}
	var file any
	if err := json.Unmarshal(buf.Bytes(), &file); err != nil {
		return err
	}
	return schema.Validate(file)
}

// checkOutcome wants all of a verdict: as expected, and nothing left open.
func checkOutcome(t *testing.T, r *record.Record) {
	t.Helper()
	if r.Outcome != record.AsExpected {
		t.Errorf("outcome %s, want as-expected, because:\n  %s", r.Outcome, strings.Join(r.Reasons, "\n  "))
	}
	for _, m := range r.Missing {
		t.Errorf("missing %s: %s", m.Observer, m.Why)
	}
	if p := r.Prediction; p.Held == nil || !*p.Held {
		t.Errorf("prediction did not hold: %s between %.3f and %.3f s (+ %.3f s) after the %s; it was %s, %.3f s after the fault, %.3f s after the write",
			p.Error, seconds(p.Min), seconds(p.Max), seconds(p.Tolerance), p.From,
			r.Detection.Error, seconds(r.Detection.AfterFault), seconds(r.Detection.AfterWrite))
	}
	if !r.Signature.OK || len(r.Signature.Checks) == 0 {
		t.Errorf("signature not ok: %+v", r.Signature.Checks)
	}
	for _, c := range r.Signature.Checks {
		if c.Unknown || !c.OK || c.Seen == "" {
			t.Errorf("signature: %+v", c)
		}
	}
	for _, x := range r.Expectations {
		if x.Unknown || !x.OK {
			t.Errorf("expectation: %+v", x)
		}
	}
	for _, p := range r.Programs {
		if p.Name == "client" && (p.Exit != 1 || p.Signal != "") {
			t.Errorf("the client ended by %d %s, want exit status 1", p.Exit, p.Signal)
		}
	}
}

func seconds(ns int64) float64 { return time.Duration(ns).Seconds() }

// A story is a record that is told from the beginning on.
type story struct {
	t *testing.T
	r *record.Record
}

type match func(*record.Event) bool

// must finds the first matching event after another one, or since the fault
// if that is nil.
func (s *story) must(what string, after *record.Event, m match) *record.Event {
	s.t.Helper()
	from := s.r.Fault.Time
	if after != nil {
		from = after.Time
	}
	for i := range s.r.Events {
		if e := &s.r.Events[i]; e.Time >= from && e != after && m(e) {
			return e
		}
	}
	s.t.Fatalf("not seen after %.6f s: %s", seconds(from-s.r.Fault.Time), what)
	return nil
}

// none wants no matching event between two instants.
func (s *story) none(what string, from, to int64, m match) {
	s.t.Helper()
	for i := range s.r.Events {
		if e := &s.r.Events[i]; e.Time >= from && e.Time < to && m(e) {
			s.t.Errorf("seen at %.6f s: %s: %s", seconds(e.Time-s.r.Fault.Time), what, e)
		}
	}
}

func (s *story) all(m match) (found []*record.Event) {
	for i := range s.r.Events {
		if e := &s.r.Events[i]; e.Time >= s.r.Fault.Time && m(e) {
			found = append(found, e)
		}
	}
	return found
}

const ever = int64(1) << 62

// segment matches a TCP segment that a host sent or received, with all of the flags.
func segment(host, direction string, flags int) match {
	return func(e *record.Event) bool {
		return e.Source == record.Wire && e.Host == host && e.Kind == direction && e.Packet.Proto == "tcp" && e.Packet.Flags&flags == flags
	}
}

func data(host, direction string) match {
	any := segment(host, direction, 0)
	return func(e *record.Event) bool { return any(e) && e.Packet.Len > 0 }
}

func state(host, to string) match {
	return func(e *record.Event) bool {
		return e.Source == record.Socket && e.Kind == record.KindState && e.Host == host && e.State.To == to
	}
}

// returned matches a call on the connection: error is an errno's name, "" for
// a success with more than 0 octets, "EOF" for 0.
func returned(host, call, error string) match {
	return func(e *record.Event) bool {
		if e.Source != record.Syscall || e.Kind != record.KindCall || e.Host != host || e.Syscall.Name != call || !e.Syscall.Socket {
			return false
		}
		if error == "EOF" {
			return e.Syscall.Ret == 0 && e.Syscall.Error == ""
		}
		return e.Syscall.Error == error && (error != "" || e.Syscall.Ret > 0)
	}
}

func process(kind, signal string) match {
	return func(e *record.Event) bool {
		return e.Source == record.Process && e.Host == "server" && e.Kind == kind && e.Process.Signal == signal
	}
}

func printed(host, text string) match {
	return func(e *record.Event) bool {
		return e.Source == record.Output && e.Host == host && strings.Contains(e.Text, text)
	}
}

func (m match) and(n match) match { return func(e *record.Event) bool { return m(e) && n(e) } }

func ofPID(pid int) match { return func(e *record.Event) bool { return e.PID == pid } }

// began is when a call was entered.
func began(call *record.Event) int64 { return call.Time - call.Syscall.Duration }

// quiet wants the client to be told nothing between two instants.
func (s *story) quiet(from, to int64) {
	s.t.Helper()
	s.none("the client's call on the connection returned", from, to, func(e *record.Event) bool {
		return e.Source == record.Syscall && e.Kind == record.KindCall && e.Host == "client" && e.Syscall.Socket
	})
}

// row finds the connection's row in a host's next socket table.
func (s *story) row(host string, after *record.Event) record.SocketRow {
	s.t.Helper()
	table := s.must("socket table of the "+host, after, func(e *record.Event) bool { return e.Kind == record.KindSnapshot && e.Host == host })
	for _, row := range table.Sockets {
		if row.State != "LISTEN" {
			return row
		}
	}
	s.t.Fatalf("no connection in the socket table of the %s", host)
	return record.SocketRow{}
}

// terminated is what a client sees whose server was killed while it waited for
// its user, from the end of the server's process on.
func (s *story) terminated(exit *record.Event) {
	s.t.Helper()
	fin := s.must("FIN from the server, after its process ended", exit, segment("server", record.KindOut, record.FlagFIN))
	if fin.Packet.Fate != record.FateArrived {
		s.t.Errorf("the FIN was %s", fin.Packet.Fate)
	}
	seen := s.must("FIN at the client", fin, segment("client", record.KindIn, record.FlagFIN))
	s.must("CLOSE_WAIT", seen, state("client", "CLOSE_WAIT"))
	ack := s.must("the client's ACK of the FIN", seen, func(e *record.Event) bool {
		return segment("client", record.KindOut, record.FlagACK)(e) && e.Packet.Ack == fin.Packet.Seq+1
	})
	s.must("FIN_WAIT2", ack, state("server", "FIN_WAIT2"))
	if row := s.row("client", ack); row.State != "CLOSE_WAIT" {
		s.t.Errorf("the client's socket table shows %s, want CLOSE_WAIT", row.State)
	}
	if row := s.row("server", ack); row.State != "FIN_WAIT2" {
		s.t.Errorf("the server's socket table shows %s, want FIN_WAIT2", row.State)
	}

	write := s.must("the client's write succeeds", seen, returned("client", "write", ""))
	s.quiet(fin.Time, began(write))
	if waited := began(write) - seen.Time; waited < int64(200*time.Millisecond) {
		s.t.Errorf("the client wrote %.3f s after the FIN: too soon to say that it noticed nothing, want 0.2 s", seconds(waited))
	}
	sent := s.must("the client's data", seen, data("client", record.KindOut))
	rst := s.must("RST from the server", sent, segment("server", record.KindOut, record.FlagRST))
	s.none("RST before the client's data", s.r.Fault.Time, sent.Time, segment("server", record.KindOut, record.FlagRST))
	if rst.Packet.Fate != record.FateArrived {
		s.t.Errorf("the RST was %s", rst.Packet.Fate)
	}
	s.must("RST at the client", sent, segment("client", record.KindIn, record.FlagRST))
	eof := s.must("the client's read = EOF", write, returned("client", "read", "EOF"))
	s.none("a read = ECONNRESET", s.r.Fault.Time, ever, returned("client", "read", "ECONNRESET"))
	s.must("what the client says", eof, printed("client", "server terminated prematurely"))
	s.must("the client's next write = EPIPE", eof, returned("client", "write", "EPIPE"))
}

func claimKill(s *story) {
	term := s.must("SIGTERM to the child", nil, process(record.KindSignal, "SIGTERM"))
	child := term.PID
	exit := s.must("the child ends by it", term, process(record.KindExit, "SIGTERM").and(ofPID(child)))
	s.terminated(exit)

	chld := s.must("SIGCHLD to its parent", exit, process(record.KindSignal, "SIGCHLD"))
	wait := s.must("the parent's wait4", chld, func(e *record.Event) bool {
		return e.Source == record.Syscall && e.Kind == record.KindCall && e.Host == "server" && e.Syscall.Name == "wait4" && e.Syscall.Ret == int64(child)
	})
	if wait.PID != chld.PID || wait.PID == child {
		s.t.Errorf("process %d waited, process %d got SIGCHLD, want the child's parent both times", wait.PID, chld.PID)
	}
	s.must("what the parent says", wait, printed("server", fmt.Sprintf("child %d exit", child)))
}

func claimKillUnread(s *story) {
	queue := 0
	for _, e := range s.r.Events {
		if e.Kind == record.KindSnapshot && e.Host == "server" && e.Time < s.r.Fault.Time {
			for _, row := range e.Sockets {
				if row.State == "ESTABLISHED" {
					queue = row.RecvQueue
				}
			}
		}
	}
	if queue == 0 {
		s.t.Error("nothing lay unread in the server's receive queue")
	}
	s.must("the client's data was not read", nil, process(record.KindExit, "SIGKILL"))
	rst := s.must("RST from the server", nil, segment("server", record.KindOut, record.FlagRST))
	s.none("a FIN", s.r.Fault.Time, ever, segment("server", record.KindOut, record.FlagFIN))
	read := s.must("the client's read = ECONNRESET", rst, returned("client", "read", "ECONNRESET"))
	if began(read) >= s.r.Fault.Time {
		s.t.Error("the client was not blocked in its read when the server was killed")
	}
	if took := read.Time - s.r.Fault.Time; took > int64(500*time.Millisecond) {
		s.t.Errorf("the client was told %.3f s after the fault, want at once (0.5 s)", seconds(took))
	}
	s.must("the client's next write = EPIPE", read, returned("client", "write", "EPIPE"))
}

// silence is what a client sees of a host that cannot be reached, until TCP
// gives up with the given error. It returns what was sent more than once, the
// first time included.
func (s *story) silence(error string) []*record.Event {
	s.t.Helper()
	write := s.must("the client's write succeeds", nil, returned("client", "write", ""))
	read := s.must("the client's read = "+error, write, returned("client", "read", error))
	if read.Syscall.Duration < int64(3*time.Second) {
		s.t.Errorf("the client's read was blocked for %.3f s only", seconds(read.Syscall.Duration))
	}
	s.quiet(write.Time+1, read.Time)
	s.none("a segment of the server at the client", s.r.Fault.Time, ever, segment("client", record.KindIn, 0))
	s.none("a loss of the client's carrier", s.r.Fault.Time, ever, func(e *record.Event) bool {
		return e.Kind == record.KindCarrier && e.Host == "client" && e.Link != record.LinkUp
	})
	sent := s.all(data("client", record.KindOut))
	for _, e := range sent {
		if e.Packet.Fate == record.FateArrived {
			s.t.Errorf("a segment arrived at the dead host: %s", e)
		}
		if e.Packet.Seq != sent[0].Packet.Seq {
			s.t.Errorf("something else than the line was sent: %s", e)
		}
	}
	return sent
}

// crashed wants that nothing of the dead host's programs is told any more but
// their ends.
func (s *story) crashed() {
	s.t.Helper()
	s.none("the dead host goes on", s.r.Fault.Time+1, ever, func(e *record.Event) bool {
		return e.Host == "server" && (e.Source == record.Syscall || e.Source == record.Output || e.Source == record.Socket)
	})
	s.must("the server ends by SIGKILL", nil, process(record.KindExit, "SIGKILL"))
}

// silentSends is how often a segment is sent in silence with tcp_retries2=5:
// once, by the tail loss probe, and five times by the timer.
const silentSends = 7

func claimCrash(s *story) {
	s.crashed()
	sent := s.silence("ETIMEDOUT")
	if len(sent) != silentSends {
		s.t.Errorf("the line was sent %d times, want %d", len(sent), silentSends)
	}
	s.must("a tail loss probe", nil, func(e *record.Event) bool { return e.Kind == record.KindTLP && e.Host == "client" })
	timer := s.all(func(e *record.Event) bool { return e.Kind == record.KindRetransmit && e.Host == "client" })
	for i := 1; i < len(timer); i++ {
		if was, is := timer[i-1].TCP.RTO, timer[i].TCP.RTO; is != 2*was {
			s.t.Errorf("retransmission %d: timeout %.3f s after one of %.3f s, want twice as much", i+1, seconds(is), seconds(was))
		}
		// The timer wheel rounds up by an eighth at most.
		pause, rto := timer[i].Time-timer[i-1].Time, timer[i].TCP.RTO
		if pause < rto-int64(10*time.Millisecond) || pause > rto*9/8+int64(100*time.Millisecond) {
			s.t.Errorf("retransmission %d: %.3f s after the last, want its timeout of %.3f s to %.3f s", i+1, seconds(pause), seconds(rto), seconds(rto*9/8)+0.1)
		}
	}
	if len(timer) != 5 {
		s.t.Errorf("%d retransmissions by the timer, want 5", len(timer))
	}
	s.none("an unanswered ARP request", s.r.Fault.Time, ever, func(e *record.Event) bool {
		return e.Packet != nil && e.Kind == record.KindOut && e.Host == "client" && e.Packet.ARP == record.ARPRequest && e.Packet.Fate == record.FateLost
	})
}

func arp(kind, message string) match {
	return func(e *record.Event) bool {
		return e.Packet != nil && e.Host == "client" && e.Kind == kind && e.Packet.ARP == message
	}
}

func claimCrashLAN(s *story) {
	s.crashed()
	s.silence("EHOSTUNREACH")
	s.must("the client asks who has the dead host's address", nil, arp(record.KindOut, record.ARPRequest))
	s.none("an answer", s.r.Fault.Time, ever, arp(record.KindIn, record.ARPReply))
}

func claimUnreachable(s *story, code int) {
	name := map[int]string{0: "ENETUNREACH", 1: "EHOSTUNREACH"}[code]
	sent := s.silence(name)
	message := func(e *record.Event) bool {
		return e.Packet != nil && e.Host == "client" && e.Kind == record.KindIn && e.Packet.Proto == "icmp" && e.Packet.ICMPType == 3
	}
	first := s.must("ICMP unreachable", sent[0], message)
	for _, e := range s.all(message) {
		if e.Packet.ICMPCode != code {
			s.t.Errorf("code %d, want %d", e.Packet.ICMPCode, code)
		}
	}
	if len(sent) <= silentSends {
		s.t.Errorf("the line was sent %d times, want more than the %d of silence", len(sent), silentSends)
	}
	if last := sent[len(sent)-1]; last.Time-first.Time < int64(3*time.Second) {
		s.t.Errorf("the last transmission came %.3f s after the first message, want seconds: it is a soft error", seconds(last.Time-first.Time))
	}
}

func claimReboot(s *story) {
	back := s.r.Fault.Back
	if back <= s.r.Fault.Time {
		s.t.Fatalf("the record does not say when the host was back: %+v", s.r.Fault)
	}
	// The numbers say nothing: the kernel gives that of a namespace that is
	// gone to the next one.
	fault := func(words string) match {
		return func(e *record.Event) bool { return e.Source == record.Fault && strings.Contains(e.Text, words) }
	}
	gone := s.must("the network namespace is thrown away", nil, fault("thrown away"))
	made := s.must("another is made", gone, fault("made"))
	if made.Time > back {
		s.t.Error("the host was back before it had a namespace")
	}
	s.none("a segment of the server before it was back", s.r.Fault.Time, back, segment("client", record.KindIn, 0))
	s.none("the client sends while it is down", s.r.Fault.Time, back, segment("client", record.KindOut, 0))
	listen := s.must("the server listens again", nil, state("server", "LISTEN"))
	if listen.Boot != 2 {
		s.t.Errorf("it listens in boot %d, want 2", listen.Boot)
	}
	write := s.must("the client's write succeeds", listen, returned("client", "write", ""))
	s.quiet(s.r.Fault.Time, began(write))
	sent := s.must("the client's data", listen, data("client", record.KindOut))
	rst := s.must("RST", sent, segment("server", record.KindOut, record.FlagRST))
	if rst.Boot != 2 || rst.Packet.SrcMAC != s.r.Hosts[1].MAC || !strings.HasPrefix(rst.Packet.Src, s.r.Hosts[1].Address+":") {
		s.t.Errorf("RST of boot %d from %s, %s; want boot 2, the same card and address: %+v", rst.Boot, rst.Packet.Src, rst.Packet.SrcMAC, s.r.Hosts[1])
	}
	s.none("a FIN", s.r.Fault.Time, ever, segment("server", record.KindOut, record.FlagFIN))
	read := s.must("the client's read = ECONNRESET", write, returned("client", "read", "ECONNRESET"))
	s.must("the client's next write = EPIPE", read, returned("client", "write", "EPIPE"))
}

// signals checks a shutdown's order up to its SIGKILL and returns the end of
// the process that served the connection.
func (s *story) signals(grace time.Duration) (exit *record.Event) {
	s.t.Helper()
	comm := func(name string) match { return func(e *record.Event) bool { return e.Comm == name } }
	term := s.must("SIGTERM", nil, process(record.KindSignal, "SIGTERM"))
	s.none("SIGKILL before SIGTERM", s.r.Fault.Time, term.Time, process(record.KindSignal, "SIGKILL"))
	for _, name := range []string{"echo-server", "echo-child"} {
		s.must(name+" ends by SIGTERM", term, process(record.KindExit, "SIGTERM").and(comm(name)))
	}
	exit = s.must("echo-child ends by SIGTERM", term, process(record.KindExit, "SIGTERM").and(comm("echo-child")))
	kill := s.must("SIGKILL", term, process(record.KindSignal, "SIGKILL"))
	// A loaded machine is late, never early.
	if gap := time.Duration(kill.Time - term.Time); gap < grace-10*time.Millisecond || gap > grace+500*time.Millisecond {
		s.t.Errorf("SIGKILL %.3f s after SIGTERM, want %.3f to %.3f s", gap.Seconds(), grace.Seconds(), (grace + 500*time.Millisecond).Seconds())
	}
	s.must("stubborn ends by SIGKILL", kill, process(record.KindExit, "SIGKILL").and(comm("stubborn")))
	if n := len(s.all(process(record.KindSignal, "SIGKILL"))); n != 1 {
		s.t.Errorf("SIGKILL to %d processes, want 1", n)
	}
	fin := s.must("FIN", exit, segment("server", record.KindOut, record.FlagFIN))
	if fin.Time > kill.Time {
		s.t.Error("the FIN came only after SIGKILL")
	}
	return exit
}

func claimShutdown(s *story) { s.terminated(s.signals(topology.DefaultGrace)) }
