package claims

import (
	"bytes"
	"encoding/json"
	commandline "flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/internal/testruns"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

var update = commandline.Bool("update", false, "write testdata/table.txt")

// fourSegments is the name of a second record of close in the test data: of a
// run in which the server's child was slow, so that four segments closed it.
const fourSegments = "close (four segments)"

// load reads the records that runs of lab claims left, each anew.
func load(t *testing.T, family int) Evidence {
	t.Helper()
	e := Evidence{Records: testruns.Read(t, fmt.Sprintf("testdata/ipv%d.json.gz", family)), Default: map[string]record.Prediction{
		"crash": {
			Decider: "net.ipv4.tcp_retries2=15", Min: 937688e6, Max: 939736e6,
			Sends: append([]record.PredictedSend{{Kind: "tlp"}}, slices.Repeat([]record.PredictedSend{{Kind: "retransmit"}}, 15)...),
		},
		"keepalive": {Min: 7881e9, Max: 7890e9},
	}}
	return e
}

func claim(t *testing.T, id string) *Claim {
	t.Helper()
	for _, c := range All() {
		if c.ID == id {
			return &c
		}
	}
	t.Fatalf("no claim %s", id)
	return nil
}

var ids = strings.Fields("P1 P2 P3 P4 P5 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 B1 B2 B3 B4 B5 B6 B7 C1 C2 C3 C4 D1 D2 D3")

func TestEachClaimIsThereOnce(t *testing.T) {
	var got []string
	for _, c := range All() {
		got = append(got, c.ID)
		if c.Says == "" || len(c.Scenarios) == 0 || len(c.needs) == 0 || c.judge == nil {
			t.Errorf("%s is incomplete", c.ID)
		}
		for _, name := range c.Scenarios {
			if sc, _ := scenarios.Find(name); sc == nil {
				t.Errorf("%s: there is no scenario %s", c.ID, name)
			}
		}
	}
	if d := cmp.Diff(ids, got); d != "" {
		t.Errorf("claims (-want +got):\n%s", d)
	}
}

func TestRealRecords(t *testing.T) {
	for _, family := range []int{4, 6} {
		report := Judge(All(), load(t, family))
		if !report.OK || report.Family != family || report.Kernel.Release == "" {
			t.Errorf("IPv%d: OK %v, family %d, kernel %q", family, report.OK, report.Family, report.Kernel.Release)
		}
		for _, got := range report.Claims {
			want := Confirmed
			if slices.Contains([]string{"P5", "A8", "B3"}, got.ID) {
				want = Differs
			}
			if got.Status != want || !got.Known || got.Event == nil || got.Seen == "" {
				t.Errorf("IPv%d: %s is %s (known: %v): %s, by %v", family, got.ID, got.Status, got.Known, got.Seen, got.Event)
			}
			if (got.Why != "") != (want == Differs) {
				t.Errorf("IPv%d: %s is %s, and why: %q", family, got.ID, got.Status, got.Why)
			}
		}
	}
}

// An edit changes the events of one run that pass all tests; it drops them if
// it has nothing else to do.
type edit struct {
	scenario string
	tests    []test
	change   func(*record.Event)
}

func (x edit) apply(t *testing.T, r *record.Record) {
	t.Helper()
	found := (&run{Record: r}).find(x.tests...)
	if len(found) == 0 {
		t.Fatalf("%s has no event to spoil", x.scenario)
	}
	if x.change != nil {
		for _, e := range found {
			x.change(e)
		}
		return
	}
	r.Events = slices.DeleteFunc(r.Events, func(e record.Event) bool {
		return !slices.ContainsFunc(x.tests, func(t test) bool { return !t(&e) })
	})
}

func drop(scenario string, tests ...test) edit { return edit{scenario, tests, nil} }

func alter(change func(*record.Event), scenario string, tests ...test) edit {
	return edit{scenario, tests, change}
}

func errno(name string) func(*record.Event) {
	return func(e *record.Event) { e.Syscall.Error, e.Syscall.Ret = name, -1 }
}

func eof(e *record.Event) { e.Syscall.Error, e.Syscall.Ret = "", 0 }

func later(seconds float64) func(*record.Event) {
	return func(e *record.Event) { e.Time += int64(1e9 * seconds) }
}

func icmp(e *record.Event) bool         { return e.Packet != nil && e.Packet.ICMPError() }
func snapshot(e *record.Event) bool     { return e.Kind == record.KindSnapshot }
func onConnection(e *record.Event) bool { return e.Syscall != nil && e.Syscall.Socket }
func told(name string) test {
	return func(e *record.Event) bool { return call("read")(e) && onConnection(e) && e.Syscall.Error == name }
}
func ended(e *record.Event) bool { return call("read")(e) && onConnection(e) && endOfFile(e) }

// A claim that is judged by a record that says otherwise must not come out as
// it is known to.
func TestSpoiltRecords(t *testing.T) {
	for _, c := range []struct {
		id, what string
		edit     edit
	}{
		{"P1", "another port", alter(func(e *record.Event) { e.Syscall.Arg = "0.0.0.0:7" }, "hang", call("bind"))},
		{"P1", "another backlog", alter(func(e *record.Event) { e.Syscall.Arg = "5" }, "hang", call("listen"))},
		{"P1", "no fork", drop("hang", on("server"), proc(record.KindFork))},
		{"P1", "the parent keeps the connection", drop("hang", on("server"), call("close"))},
		{"P1", "the child keeps the listening socket", alter(func(e *record.Event) { e.Sockets[0].PIDs = append(e.Sockets[0].PIDs, 99) }, "hang", on("server"), snapshot)},
		{"P2", "no interrupted read", drop("hang", call("read"), interrupted)},
		{"P2", "EINTR, and no more", alter(errno("EINTR"), "hang", on("server"), call("read"), with("are you there?\n"))},
		{"P2", "another echo", alter(func(e *record.Event) { e.Syscall.Data = "what?\n" }, "hang", on("server"), call("write"), onConnection)},
		{"P2", "the child does not end", drop("hang", on("server"), exit)},
		{"P3", "a child is left", drop("zombies-reaped", call("wait4"), func(e *record.Event) bool { return e.Syscall.Ret > 0 && e.Syscall.Ret%2 == 0 })},
		{"P3", "nothing is printed", drop("zombies-reaped", on("server"), call("write"))},
		{"P3", "no SIGCHLD", drop("zombies-reaped", signal("SIGCHLD"))},
		{"P3", "a single wait waits for none", drop("zombies", call("wait4"))},
		{"P3", "EINTR instead of a restart", alter(errno("EINTR"), "kill", call("accept4"), interrupted)},
		{"P4", "no echo", drop("kill", on("client"), call("read"), onConnection, with("hello\n"))},
		{"P4", "no complaint", drop("kill", on("client"), call("write"), with("server terminated prematurely\n"))},
		{"P5", "no SYN", drop("close", flag(record.FlagSYN))},
		{"P5", "no FIN of the server's", drop("close", on("server"), out, flag(record.FlagFIN))},
		{"P5", "a FIN before exit", alter(later(-0.1), "close", on("client"), out, flag(record.FlagFIN))},
		{"P5", "no echo", drop("close", on("client"), call("read"), with("hello\n"))},
		{"A1", "no FIN", drop("kill", on("server"), out, flag(record.FlagFIN))},
		{"A1", "a FIN that is lost", drop("kill", on("client"), in, flag(record.FlagFIN))},
		{"A1", "a FIN before the end", alter(later(1), "kill", on("server"), exit)},
		{"A2", "SIGCHLD to another", alter(func(e *record.Event) { e.PID = 99 }, "kill", signal("SIGCHLD"))},
		{"A3", "a call on the connection meanwhile", alter(later(-0.1), "kill", on("client"), ended)},
		{"A3", "the read began later", alter(func(e *record.Event) { e.Syscall.Duration = 1000 }, "kill", on("client"), call("read"), fd(0))},
		{"A3", "nobody typed", drop("kill", step("type"))},
		{"A4", "other states", alter(func(e *record.Event) { e.Sockets[len(e.Sockets)-1].State = "ESTABLISHED" }, "kill", on("server"), snapshot)},
		{"A5", "lost", alter(func(e *record.Event) { e.Packet.Fate = record.FateLost }, "kill", on("client"), out, data)},
		{"A5", "EPIPE at once", alter(errno("EPIPE"), "kill", on("client"), call("write"), onConnection)},
		{"A6", "a process was there still", drop("kill", on("server"), exit)},
		{"A6", "no data came", drop("kill", on("server"), in, data)},
		{"A7", "ECONNRESET", alter(errno("ECONNRESET"), "kill", on("client"), ended)},
		{"A7", "it waited", alter(func(e *record.Event) { e.Syscall.Duration = 200e6 }, "kill", on("client"), ended)},
		{"A8", "ECONNRESET", alter(errno("ECONNRESET"), "kill", on("client"), ended)},
		{"A8", "the RST came later", alter(later(1), "kill", on("client"), in, flag(record.FlagRST))},
		{"A8", "ETIMEDOUT", alter(errno("ETIMEDOUT"), "kill", on("client"), ended)},
		{"A9", "no exit", drop("kill-poll", on("client"), exit)},
		{"A9", "a FIN before exit", alter(later(-0.01), "kill-poll", on("client"), out, flag(record.FlagFIN))},
		{"A10", "poll returns late", alter(later(1), "kill-poll", on("client"), call("ppoll"))},
		{"A10", "an error", alter(errno("ECONNRESET"), "kill-poll", on("client"), ended)},
		{"A10", "the plain client is told at once", alter(later(-0.29), "kill", on("client"), ended)},
		{"B1", "a FIN escapes", alter(later(1), "crash", on("server"), out, tcp)},
		{"B1", "another error", alter(errno("EHOSTUNREACH"), "partition-to-server", told("ETIMEDOUT"))},
		{"B1", "sent again another number of times", drop("partition-to-server", on("client"), out, data, since(5e9))},
		{"B2", "two segments", alter(func(e *record.Event) { e.Packet.Len = 7 }, "crash", on("client"), out, data)},
		{"B2", "it did not sleep", alter(func(e *record.Event) { e.Syscall.Duration = 1000 }, "crash", told("ETIMEDOUT"))},
		{"B3", "sent again too seldom", drop("crash", on("client"), out, data, since(6e9))},
		{"B3", "no doubling", alter(later(2), "crash", on("client"), out, data, since(5e9))},
		{"B4", "EHOSTUNREACH", alter(errno("EHOSTUNREACH"), "crash", told("ETIMEDOUT"))},
		{"B4", "an answer", alter(later(1), "crash", on("client"), in, tcp)},
		{"B5", "no message", drop("unreachable-host", on("client"), in, icmp)},
		{"B5", "another message", alter(func(e *record.Event) { e.Packet.ICMPCode = 13 }, "unreachable-net", on("client"), in, icmp)},
		{"B5", "another error", alter(errno("ETIMEDOUT"), "unreachable-net", told("ENETUNREACH"))},
		{"B6", "no limit", alter(func(e *record.Event) { e.Syscall.Duration = 20e9 }, "read-timeout", told("EAGAIN"))},
		{"B6", "another error", alter(errno("ETIMEDOUT"), "read-timeout", told("EAGAIN"))},
		{"B6", "TCP was idle", alter(func(e *record.Event) { e.Packet.Len = 0 }, "read-timeout", on("client"), out, data)},
		{"B7", "no probe", alter(func(e *record.Event) { e.Packet.Flags |= record.FlagRST }, "keepalive", on("client"), out, tcp)},
		{"B7", "the probes are answered", alter(later(1), "keepalive", on("client"), in, tcp)},
		{"B7", "the idle client is told", alter(func(e *record.Event) { e.Time += 1e9; e.Syscall.Error = "ECONNRESET" }, "crash-idle", on("client"), call("read"), onConnection)},
		{"B7", "the idle client's kernel asks", alter(func(e *record.Event) { e.Sockets[0].Timer = "keepalive" }, "crash-idle", on("client"), snapshot)},
		{"B7", "another error", alter(errno("ECONNRESET"), "keepalive", told("ETIMEDOUT"))},
		{"C1", "the client sends", alter(later(1), "reboot-idle", on("client"), out, data)},
		{"C1", "a RST comes", alter(later(1), "reboot-idle", on("client"), in, tcp)},
		{"C1", "the client is told", alter(func(e *record.Event) { e.Time += 1e9; e.Syscall.Error = "ECONNRESET" }, "reboot-idle", on("client"), call("read"), onConnection)},
		{"C1", "its socket is gone", alter(func(e *record.Event) { e.Sockets[0].State = "CLOSE_WAIT" }, "reboot-idle", on("client"), snapshot)},
		{"C2", "the first boot's RST", alter(func(e *record.Event) { e.Boot = 1 }, "reboot", on("server"), out, flag(record.FlagRST))},
		{"C2", "a RST that is lost", alter(func(e *record.Event) { e.Packet.Fate = record.FateLost }, "reboot", on("server"), out, flag(record.FlagRST))},
		{"C3", "EOF", alter(eof, "reboot", told("ECONNRESET"))},
		{"C3", "no RST", drop("reboot", on("client"), in, flag(record.FlagRST))},
		{"C4", "EOF", alter(eof, "keepalive-reboot", told("ECONNRESET"))},
		{"C4", "no RST", drop("keepalive-reboot", on("server"), out, flag(record.FlagRST))},
		{"C4", "no beat", drop("heartbeat", on("client"), call("write"), onConnection)},
		{"C4", "no beat was missed", drop("heartbeat", told("EAGAIN"))},
		{"D1", "SIGKILL at once", alter(later(-4), "shutdown", signal("SIGKILL"))},
		{"D1", "SIGKILL after a minute", alter(later(60), "shutdown", signal("SIGKILL"))},
		{"D1", "one was spared", drop("shutdown", on("server"), signal("SIGTERM"), func(e *record.Event) bool { return e.Comm == "echo-child" })},
		{"D1", "who caught it did not end", alter(func(e *record.Event) { e.Process.Signal = "SIGKILL" }, "shutdown-graceful", on("server"), exit)},
		{"D2", "no FIN", drop("shutdown", on("server"), out, flag(record.FlagFIN))},
		{"D2", "ended by another signal", alter(func(e *record.Event) { e.Process.Signal = "SIGKILL" }, "shutdown", on("server"), exit)},
		{"D2", "no RST", drop("shutdown", on("server"), out, flag(record.FlagRST))},
		{"D2", "ECONNRESET", alter(errno("ECONNRESET"), "shutdown", on("client"), ended)},
		{"D3", "poll returns late", alter(later(1), "shutdown-poll", on("client"), call("ppoll"))},
		{"D3", "the plain client is told at once", alter(later(-5), "shutdown", on("client"), ended)},
	} {
		t.Run(c.id+" "+c.what, func(t *testing.T) {
			e := load(t, 4)
			r := e.Records[c.edit.scenario]
			c.edit.apply(t, r)
			if got := claim(t, c.id).Judge(e); got.Known {
				t.Errorf("%s as is known: %s", got.Status, got.Seen)
			}
		})
	}
}

// What a kernel does in a timer or an interrupt it does not always report: the
// packets and the calls show it as well.
func TestWithoutAnEventOfTheKernel(t *testing.T) {
	for _, family := range []int{4, 6} {
		e := load(t, family)
		for _, c := range All() {
			want := c.Judge(e)
			for _, name := range c.Scenarios {
				r := e.Records[name]
				try := func(events []record.Event, without any) {
					spoilt := *r
					spoilt.Events, e.Records[name] = events, &spoilt
					got := c.Judge(e)
					if got.Status != want.Status || !got.Known {
						t.Errorf("IPv%d: %s without %s's %v: %s (known: %v): %s", family, c.ID, name, without, got.Status, got.Known, got.Seen)
					}
					e.Records[name] = r
				}
				reported := func(x record.Event) bool {
					return x.Source == record.TCP || x.Source == record.Socket && x.Kind == record.KindState
				}
				for i, x := range r.Events {
					if reported(x) {
						try(slices.Delete(slices.Clone(r.Events), i, i+1), x.String())
					}
				}
				try(slices.DeleteFunc(slices.Clone(r.Events), reported), "events of TCP and sockets")
			}
		}
	}
}

// The event that is shown as the deciding one decides: without it, the claim
// does not come out the same.
func TestWithoutItsEvent(t *testing.T) {
	for _, family := range []int{4, 6} {
		e := load(t, family)
		for _, c := range All() {
			event := c.Judge(e).Event
			r := e.Records[event.Scenario]
			spoilt := *r
			spoilt.Events = slices.DeleteFunc(slices.Clone(r.Events), func(x record.Event) bool {
				return x.Time == event.Time && x.Host == event.Host && x.Source == event.Source && x.Kind == event.Kind
			})
			if len(spoilt.Events) != len(r.Events)-1 {
				t.Errorf("%s: %d events are its deciding one", c.ID, len(r.Events)-len(spoilt.Events))
			}
			e.Records[event.Scenario] = &spoilt
			if got := c.Judge(e); got.Known {
				t.Errorf("IPv%d: %s without %+v: %s as is known: %s", family, c.ID, event, got.Status, got.Seen)
			}
			e.Records[event.Scenario] = r
		}
	}
}

func TestListeningSocketOfTheChild(t *testing.T) {
	e := load(t, 4)
	drop("hang", on("server"), snapshot).apply(t, e.Records["hang"])
	if got := claim(t, "P1").Judge(e); got.Status != Inconclusive {
		t.Errorf("%s: %s", got.Status, got.Seen)
	}
}

// What was not run, not observed or inconclusive shows nothing.
func TestInconclusive(t *testing.T) {
	e := load(t, 4)
	for _, c := range All() {
		for _, name := range c.Scenarios {
			r := e.Records[name]
			try := func(what string, spoilt *record.Record) {
				e.Records[name] = spoilt
				if got := c.Judge(e); got.Status != Inconclusive || got.Known {
					t.Errorf("%s, %s: %s is %s (known: %v): %s", c.ID, name, what, got.Status, got.Known, got.Seen)
				}
				e.Records[name] = r
			}
			try("not run", nil)
			spoilt := *r
			spoilt.Outcome = record.Inconclusive
			try("inconclusive", &spoilt)
			spoilt.Outcome, spoilt.Reasons = record.NotAsExpected, []string{"something was wrong"}
			try("not as expected", &spoilt)
			for _, need := range c.needs {
				spoilt := *r
				spoilt.Missing = []record.Missing{{Observer: need, Why: "it was left out"}}
				try("without "+need, &spoilt)
				if whole, _, part := strings.Cut(need, ":"); part {
					spoilt.Missing = []record.Missing{{Observer: whole, Why: "it was left out"}}
					try("without "+whole, &spoilt)
				}
			}
		}
	}
}

func TestNotAsExpectedIsSaid(t *testing.T) {
	e := load(t, 4)
	e.Records["kill"].Outcome, e.Records["kill"].Reasons = record.NotAsExpected, []string{"something was wrong"}
	if got := claim(t, "A6").Judge(e); !strings.HasPrefix(got.Seen, "kill was not as expected (something was wrong). RST") {
		t.Errorf("said: %s", got.Seen)
	}
	// What differs differs all the same.
	drop("kill", on("server"), out, flag(record.FlagRST)).apply(t, e.Records["kill"])
	if got := claim(t, "A6").Judge(e); got.Status != Differs || !strings.Contains(got.Seen, "something was wrong") {
		t.Errorf("%s: %s", got.Status, got.Seen)
	}
}

// What is known to differ, but does not, is as the book says and not as known.
func TestAsTheBookSays(t *testing.T) {
	e := load(t, 4)
	alter(errno("ECONNRESET"), "kill", on("client"), ended).apply(t, e.Records["kill"])
	if got := claim(t, "A8").Judge(e); got.Status != Confirmed || got.Known {
		t.Errorf("A8 is %s (known: %v): %s", got.Status, got.Known, got.Seen)
	}
	e.Records["close"] = e.Records[fourSegments]
	if got := claim(t, "P5").Judge(e); got.Status != Confirmed || !got.Known || got.Why != "" || got.Event.Text != "ACK" {
		t.Errorf("P5 is %s (known: %v): %s, by %v", got.Status, got.Known, got.Seen, got.Event)
	}
}

func TestText(t *testing.T) {
	var b bytes.Buffer
	e := load(t, 4)
	if err := Text(&b, Judge(All(), e)); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("testdata/table.txt", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/table.txt")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("table (-want +got):\n%s", d)
	}
	for line := range strings.Lines(b.String()) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 100 {
			t.Errorf("%d characters wide: %s", n, line)
		}
	}
	// What is not as it should be stands out, and what programs say is harmless.
	e.Records["crash"] = nil
	drop("kill", on("server"), out, flag(record.FlagRST)).apply(t, e.Records["kill"])
	alter(func(e *record.Event) { e.Comm = "a\x1b[2Jb" }, "kill", signal("SIGCHLD")).apply(t, e.Records["kill"])
	b.Reset()
	if err := Text(&b, Judge(All(), e)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"(NOT KNOWN)", "crash was not run", "5 inconclusive", "1 otherwise than known"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(b.String(), "\x1b") {
		t.Error("an escape sequence got through")
	}
}

// The names are what users' programs rely on.
func TestJSONNames(t *testing.T) {
	text, err := json.Marshal(Judge([]Claim{*claim(t, "A8")}, load(t, 4)))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	one := got["claims"].([]any)[0].(map[string]any)
	for _, c := range []struct {
		of   map[string]any
		want string
	}{
		{got, "claims family kernel ok schema"},
		{one, "event id known says scenarios seen status why"},
		{one["event"].(map[string]any), "after_fault_ns host kind scenario source t_ns text"},
	} {
		var names []string
		for name := range c.of {
			names = append(names, name)
		}
		slices.Sort(names)
		if d := cmp.Diff(c.want, strings.Join(names, " ")); d != "" {
			t.Errorf("names (-want +got):\n%s", d)
		}
	}
}
