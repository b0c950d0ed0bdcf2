package lab_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
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

// e2e is what a client must be told in each scenario, by the call on its
// connection, and what else must be in its record: where that is more than
// the scenario's own checks.
var e2e = map[string]struct {
	call, error string
	error6      string // over IPv6, where it is another
	claims      func(*story)
}{
	"kill":             {"read", "EOF", "", claimKill},
	"kill-unread":      {"read", "ECONNRESET", "", claimKillUnread},
	"crash":            {"read", "ETIMEDOUT", "", claimCrash},
	"crash-lan":        {"read", "EHOSTUNREACH", "", claimCrashLAN},
	"unreachable-host": {"read", "EHOSTUNREACH", "", func(s *story) { claimUnreachable(s, 1, 3) }},
	"unreachable-net":  {"read", "ENETUNREACH", "", func(s *story) { claimUnreachable(s, 0, 0) }},
	"reboot":           {"read", "ECONNRESET", "", claimReboot},
	"shutdown":         {"read", "EOF", "", claimShutdown},

	"kill-poll":              {"read", "EOF", "", nil},
	"shutdown-poll":          {"read", "EOF", "", nil},
	"read-timeout":           {"read", "EAGAIN", "", nil},
	"user-timeout":           {"read", "ETIMEDOUT", "", nil},
	"keepalive":              {"ppoll", "ETIMEDOUT", "", nil},
	"keepalive-busy":         {"read", "ETIMEDOUT", "", nil},
	"keepalive-user-timeout": {"ppoll", "ETIMEDOUT", "", nil},
	"heartbeat":              {"read", "EAGAIN", "", nil},
	"recverr":                {"ppoll", "EHOSTUNREACH", "", nil},
	"crash-idle":             {},
	"reboot-idle":            {},
	"keepalive-reboot":       {"ppoll", "ECONNRESET", "", nil},
	"hang":                   {},
	"zero-window":            {},
	"zero-window-lost":       {"write", "ETIMEDOUT", "", nil},
	"sigpipe":                {"read", "EOF", "", nil},
	"epipe":                  {"read", "EOF", "", nil},
	"connect-silent":         {"connect", "ETIMEDOUT", "", nil},
	"connect-refused":        {"connect", "ECONNREFUSED", "", nil},
	"connect-unreachable":    {"connect", "EHOSTUNREACH", "", nil},
	"connect-lan-dead":       {"connect", "EHOSTUNREACH", "", nil},
	"syn-recv":               {},
	"partition-to-server":    {"read", "ETIMEDOUT", "", nil},
	"partition-to-client":    {"read", "ETIMEDOUT", "", nil},
	"nat-expiry":             {"read", "ETIMEDOUT", "", nil},
	"nat-expiry-reset":       {"read", "ECONNRESET", "", nil},
	"firewall-reset":         {"read", "ECONNRESET", "", nil},
	"firewall-reject":        {"read", "EHOSTUNREACH", "EACCES", nil},
	"socket-destroyed":       {"ppoll", "ECONNRESET", "", nil},
	"failover":               {"read", "ECONNRESET", "", nil},
	"shutdown-poweroff":      {"read", "EOF", "", nil},
	"shutdown-graceful":      {"read", "EOF", "", nil},
	"close":                  {},
	"simultaneous-close":     {},
	"half-close":             {"ppoll", "EOF", "", nil},
	"zombies":                {},
	"zombies-reaped":         {},
}

// checkTold wants the client to have been told what e2e says.
func checkTold(t *testing.T, r *record.Record) {
	t.Helper()
	want := e2e[r.Scenario]
	if r.Family == 6 && want.error6 != "" {
		want.error = want.error6
	}
	if r.Detection.Error != want.error || r.Detection.Syscall != want.call {
		t.Errorf("the client was told %q by %s(), want %q by %s()", r.Detection.Error, r.Detection.Syscall, want.error, want.call)
	}
}

// Every built-in scenario is as expected, over IPv4 and over IPv6.
func TestScenarios(t *testing.T) {
	testenv.NeedRoot(t)
	t.Parallel()
	tracer := sharedTracer(t)
	if len(e2e) != len(scenarios.All()) {
		t.Errorf("this test knows %d scenarios, there are %d", len(e2e), len(scenarios.All()))
	}
	for _, family := range []topology.Family{topology.IPv4, topology.IPv6} {
		for _, sc := range scenarios.All() {
			t.Run(fmt.Sprintf("%s,IPv%d", sc.Name, family), func(t *testing.T) {
				t.Parallel()
				want, known := e2e[sc.Name]
				if !known {
					t.Fatal("this test knows nothing of the scenario")
				}
				r := runScenario(t, sc, lab.Options{Family: family, Tracer: tracer})
				checkRecord(t, r)
				checkOutcome(t, r)
				checkTold(t, r)
				if want.claims != nil {
					want.claims(&story{t, r})
				}
				if *update && !t.Failed() {
					save(t, r)
				}
				if t.Failed() {
					t.Logf("the record's events:\n%s", describe(r))
				}
			})
		}
	}
}

// sharedTracer is one for all of a test's runs.
func sharedTracer(t *testing.T) *lab.Tracer {
	tracer := lab.NewTracer()
	t.Cleanup(func() {
		if err := tracer.Close(); err != nil {
			t.Error(err)
		}
	})
	return tracer
}

// describe lists a record's events.
func describe(r *record.Record) string {
	var b strings.Builder
	for i := range r.Events {
		e := &r.Events[i]
		fmt.Fprintf(&b, "%12.6f %-6s %d %-7s %-12s %s\n", seconds(e.Time-r.Fault.Time), e.Host, e.Boot, e.Source, e.Kind, e)
	}
	return b.String()
}

var update = flag.Bool("update", false, "write the records in testdata anew")

// save writes a record to testdata if it is one that is kept there: the tests
// of judges and reports are made with them.
func save(t *testing.T, r *record.Record) {
	if family, kept := keptRecords[r.Scenario]; !kept || family != r.Family {
		return
	}
	thin(r)
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("testdata", r.Scenario+".json"), b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// keptRecords are those in testdata, by scenario: the family of their IP.
var keptRecords = map[string]int{
	"kill": 4, "kill-unread": 4, "crash": 4, "crash-lan": 4, "unreachable-host": 4, "unreachable-net": 4, "reboot": 4, "shutdown": 4,
	"kill-poll": 4, "recverr": 4, "crash-idle": 4, "hang": 4, "keepalive": 4, "keepalive-busy": 4, "zero-window": 4, "zero-window-lost": 4,
	"connect-silent": 4, "syn-recv": 4, "partition-to-client": 4, "nat-expiry-reset": 4, "firewall-reject": 6, "socket-destroyed": 4,
	"failover": 6, "shutdown-graceful": 4, "close": 4, "simultaneous-close": 4, "half-close": 4,
}

// thin leaves out of a record what nothing is judged by, and which is much:
// most of the segments that fill a window, and settings of addresses.
func thin(r *record.Record) {
	for _, set := range r.Sysctls {
		maps.DeleteFunc(set, func(key, _ string) bool { return !strings.HasPrefix(key, "net.ipv4.tcp_") })
	}
	const full, few = 1000, 3
	key := func(e *record.Event) string {
		if e.Packet == nil || e.Packet.Len < full {
			return ""
		}
		return e.Host + e.Kind
	}
	total, seen := map[string]int{}, map[string]int{}
	for i := range r.Events {
		total[key(&r.Events[i])]++
	}
	r.Events = slices.DeleteFunc(r.Events, func(e record.Event) bool {
		k := key(&e)
		seen[k]++
		return k != "" && seen[k] > few && seen[k] <= total[k]-few
	})
}

// A user's scenario, with what no built-in one has.
func TestLanguage(t *testing.T) {
	testenv.NeedRoot(t)
	t.Parallel()
	tracer := sharedTracer(t)
	for _, c := range []struct {
		name, script string
		outcome      record.Outcome
		want         string // part of the reasons
	}{
		{"all is seen", `path switch
start server echo-server {any:port}
expect server socket LISTEN
start -as talker client echo-client {server:port}
expect client socket ESTABLISHED
type talker hello
expect -since seen talker prints hello
expect -since start -times 2 client sends ACK
expect -since start client receives SYN+ACK
expect client timer none
? expect -within 10ms client receives RST
zero the user goes home
eof talker
expect -within 5s client sends FIN
expect -since fault -within 5s client receives FIN
expect -since fault talker exits 0
! expect -since start -for 10ms client error ECONNRESET
`, record.AsExpected, ""},
		{"not seen", `zero x
start server echo-server {any:port}
expect -within 300ms server prints never
`, record.NotAsExpected, "not-seen.lab:3: expect -within 300ms server prints never (within 300ms): not seen"},
		{"too early", `zero x
start server echo-server {any:port}
expect -after 5s -within 6s server socket LISTEN
`, record.NotAsExpected, ", too early: after "},
		{"seen though it must not", `zero x
start server echo-server {any:port}
! expect -for 2s server socket LISTEN
`, record.NotAsExpected, "seen-though-it-must-not.lab:3: ! expect -for 2s server socket LISTEN"},
		{"another result", `path switch
zero x
start client echo-client {server:port}
expect -within 1s client connect() = ETIMEDOUT
`, record.NotAsExpected, "seen instead: connect("},
		{"too few", `zero x
start server echo-server {any:port}
expect -within 500ms -times 3 server socket LISTEN
`, record.NotAsExpected, "seen 1 time, not 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			sc, err := scenarios.Read(strings.ReplaceAll(c.name, " ", "-")+".lab", c.script)
			if err != nil {
				t.Fatal(err)
			}
			r := runScenario(t, sc, lab.Options{Tracer: tracer})
			checkRecord(t, r)
			if all := strings.Join(r.Reasons, "\n"); r.Outcome != c.outcome || !strings.Contains(all, c.want) {
				t.Errorf("outcome %s because of\n%s\nwant %s because of %q; events:\n%s", r.Outcome, all, c.outcome, c.want, describe(r))
			}
		})
	}
}

// With a delay on the client's link all is as it was, only later.
func TestDelay(t *testing.T) {
	testenv.NeedRoot(t)
	t.Parallel()
	tracer := sharedTracer(t)
	for _, name := range []string{"crash", "kill", "reboot", "recverr", "keepalive"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const delay = 20 * time.Millisecond
			r := runScenario(t, scenario(t, name), lab.Options{Delay: delay, Tracer: tracer})
			checkRecord(t, r)
			checkOutcome(t, r)
			checkTold(t, r)
			if r.Delay.Time != int64(delay) || r.Delay.By == "" {
				t.Errorf("the record's delay is %+v", r.Delay)
			}
			arrived := 0
			for _, e := range r.Events {
				if e.Packet != nil && e.Kind == record.KindOut && e.Packet.Proto == "tcp" && e.Packet.Fate == record.FateArrived {
					if arrived++; e.Packet.Transit < int64(delay-time.Millisecond) { // the stamps of two ends are not one clock's to the microsecond
						t.Errorf("%s took %.3f ms, want %v at least", e.String(), 1000*seconds(e.Packet.Transit), delay)
					}
				}
			}
			if arrived < 5 {
				t.Errorf("only %d segments arrived", arrived)
			}
		})
	}
}

// Where frames are lost the outcome may be another, but there is one.
func TestLoss(t *testing.T) {
	testenv.NeedRoot(t)
	t.Parallel()
	tracer := sharedTracer(t)
	const (
		shakes    = "signature: the connection began with SYN, SYN+ACK, ACK: " // one of the three was lost
		announces = "signature: the standby announced the server's address"    // that is said once
		late      = "the client was told "                                     // each loss costs a timeout
	)
	for name, otherwise := range map[string][]string{
		"kill": {late}, "reboot": {late}, "keepalive": nil, "close": {shakes}, "zombies": {shakes}, "failover": {late, announces},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := runScenario(t, scenario(t, name), lab.Options{Loss: 0.05, Tracer: tracer})
			checkRecord(t, r)
			if r.Delay.Loss != 0.05 || r.Delay.By == "" {
				t.Errorf("the record's delay is %+v", r.Delay)
			}
			if r.Outcome == record.Inconclusive {
				t.Errorf("outcome %s because of %q", r.Outcome, r.Reasons)
			}
			if want := e2e[name]; want.call != "" {
				checkTold(t, r)
			}
			lost := slices.ContainsFunc(r.Events, func(e record.Event) bool {
				return e.Packet != nil && e.Kind == record.KindOut && e.Packet.Fate == record.FateLost
			})
			for _, why := range r.Reasons {
				if !lost || !slices.ContainsFunc(otherwise, func(s string) bool { return strings.HasPrefix(why, s) }) {
					t.Errorf("outcome %s because of %q", r.Outcome, why)
				}
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
			checkTold(t, r)
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

// The congestion control is the machine's own choice, and recorded as such: it
// may be another on another machine.
func TestCongestionControlIsRecorded(t *testing.T) {
	testenv.NeedRoot(t)
	t.Parallel()
	own, err := os.ReadFile("/proc/sys/net/ipv4/tcp_congestion_control")
	if err != nil {
		t.Fatal(err)
	}
	r := runScenario(t, scenario(t, "kill"), lab.Options{})
	for _, host := range []string{"client", "server"} {
		if got, want := r.Sysctls[host]["net.ipv4.tcp_congestion_control"], strings.TrimSpace(string(own)); got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
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

func scenario(t *testing.T, name string) *scenarios.Source {
	t.Helper()
	sc, err := findScenario(name)
	if err != nil {
		t.Fatal(err)
	}
	return sc
}

func findScenario(name string) (*scenarios.Source, error) {
	sc, nearest := scenarios.Find(name)
	if sc == nil {
		return nil, fmt.Errorf("no scenario %q; nearest is %q", name, nearest)
	}
	return sc, nil
}

func runScenario(t *testing.T, sc *scenarios.Source, o lab.Options) *record.Record {
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
	if p := r.Prediction; p.Model != "" && (p.Held == nil || !*p.Held) {
		t.Errorf("prediction did not hold: %s between %.3f and %.3f s (+ %.3f s) after the %s; it was %s, %.3f s after the fault, %.3f s after the write",
			p.Error, seconds(p.Min), seconds(p.Max), seconds(p.Tolerance), p.From,
			r.Detection.Error, seconds(r.Detection.AfterFault), seconds(r.Detection.AfterWrite))
	}
	if !r.Signature.OK && len(r.Signature.Checks) > 0 {
		t.Errorf("signature not ok: %+v", r.Signature.Checks)
	}
	for _, c := range r.Signature.Checks {
		if c.Unknown || !c.OK || c.Seen == "" {
			t.Errorf("signature: %+v", c)
		}
	}
	for _, x := range r.Expectations {
		if !x.Optional && (x.Unknown || !x.OK) {
			t.Errorf("expectation: %+v", x)
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
	// The tail loss probe (RFC 8985 section 7.2): two round trips later, and
	// an RTO at most. Not every kernel tells of each.
	if pause := sent[1].Time - sent[0].Time; pause < int64(190*time.Millisecond) || pause > int64(400*time.Millisecond) {
		s.t.Errorf("the line was sent again after %.3f s, want 0.2 to 0.4 s", seconds(pause))
	}
	timer := s.all(func(e *record.Event) bool { return e.Kind == record.KindRetransmit && e.Host == "client" })
	for i := 1; i < len(timer); i++ {
		if timer[i].TCP.Retransmits != timer[i-1].TCP.Retransmits+1 {
			continue // one was not told of
		}
		if was, is := timer[i-1].TCP.RTO, timer[i].TCP.RTO; is != 2*was {
			s.t.Errorf("retransmission %d: timeout %.3f s after one of %.3f s, want twice as much", i+1, seconds(is), seconds(was))
		}
		// The timer wheel rounds up by an eighth at most.
		pause, rto := timer[i].Time-timer[i-1].Time, timer[i].TCP.RTO
		if pause < rto-int64(10*time.Millisecond) || pause > rto*9/8+int64(100*time.Millisecond) {
			s.t.Errorf("retransmission %d: %.3f s after the last, want its timeout of %.3f s to %.3f s", i+1, seconds(pause), seconds(rto), seconds(rto*9/8)+0.1)
		}
	}
	s.windows()
	if len(timer) > 5 { // fewer were told of, perhaps; those on the wire were counted
		s.t.Errorf("%d retransmissions by the timer, want 5", len(timer))
	}
	s.none("an unanswered question for a neighbour", s.r.Fault.Time, ever, func(e *record.Event) bool {
		return asks(e) && e.Packet.Fate == record.FateLost
	})
}

// windows wants the congestion windows to be what the kernel begins with
// (TCP_INIT_CWND), and one segment once the client's retransmission timer has
// fired (tcp_enter_loss).
func (s *story) windows() {
	s.t.Helper()
	timeouts := 0
	for i := range s.r.Events {
		e := &s.r.Events[i]
		cwnd, want := 0, ""
		switch {
		case e.Host == "server" && e.State != nil && e.State.To == "ESTABLISHED" && e.State.Cwnd != 10:
			cwnd, want = e.State.Cwnd, "10"
		case e.Host != "client":
		case e.Kind == record.KindTLP && e.TCP.Cwnd < 10: // how it grew, the congestion control decides
			cwnd, want = e.TCP.Cwnd, "10 at least"
		case (e.Kind == record.KindRetransmit || e.Kind == record.KindError) && e.TCP.Cwnd != 1:
			cwnd, want = e.TCP.Cwnd, "1"
		case e.State != nil && e.State.From == "ESTABLISHED" && e.State.Cwnd != 1:
			cwnd, want = e.State.Cwnd, "1"
		case e.State != nil && e.State.To == "ESTABLISHED" && e.State.Cwnd != 0:
			cwnd, want = e.State.Cwnd, "none yet"
		}
		if want != "" {
			s.t.Errorf("%s: a congestion window of %d segments, want %s", e, cwnd, want)
		}
		if e.Host == "client" && e.Kind == record.KindRetransmit {
			timeouts++
		}
	}
	if timeouts == 0 {
		s.t.Error("no timeout was told of")
	}
}

// asks matches the client's question who has an address: ARP's, or ICMPv6's.
func asks(e *record.Event) bool {
	return e.Packet != nil && e.Host == "client" && e.Kind == record.KindOut && e.Packet.Asks() != ""
}

// tells matches an answer to the client.
func tells(e *record.Event) bool {
	return e.Packet != nil && e.Host == "client" && e.Kind == record.KindIn && e.Packet.Tells() != ""
}

func claimCrashLAN(s *story) {
	s.crashed()
	s.silence("EHOSTUNREACH")
	s.must("the client asks who has the dead host's address", nil, asks)
	s.none("an answer", s.r.Fault.Time, ever, tells)
}

// claimUnreachable takes the code of the message in ICMP and in ICMPv6.
func claimUnreachable(s *story, code4, code6 int) {
	name := map[int]string{0: "ENETUNREACH", 1: "EHOSTUNREACH"}[code4]
	proto, typ, code := "icmp", 3, code4
	if s.r.Family == 6 {
		proto, typ, code = "icmpv6", 1, code6
	}
	sent := s.silence(name)
	message := func(e *record.Event) bool {
		return e.Packet != nil && e.Host == "client" && e.Kind == record.KindIn && e.Packet.Proto == proto && e.Packet.ICMPType == typ
	}
	first := s.must("ICMP unreachable", sent[0], message)
	for _, e := range s.all(message) {
		if e.Packet.ICMPCode != code {
			s.t.Errorf("code %d, want %d", e.Packet.ICMPCode, code)
		}
	}
	// Of ICMPv6, Linux takes only the code for no route as RFC 6069 says.
	if rfc6069 := s.r.Family == 4 || code6 == 0; rfc6069 != (len(sent) > silentSends) {
		s.t.Errorf("the line was sent %d times, want more than the %d of silence: %t", len(sent), silentSends, rfc6069)
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
	made := s.must("the network namespace is thrown away, another is made", nil, func(e *record.Event) bool {
		return e.Source == record.Fault && strings.Contains(e.Text, "thrown away") && strings.HasSuffix(e.Text, "made")
	})
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
	if rst.Boot != 2 || rst.Packet.SrcMAC != s.r.Hosts[1].MAC || !strings.Contains(rst.Packet.Src, s.r.Hosts[1].Address) {
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
