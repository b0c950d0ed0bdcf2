package scenarios_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

// badScripts are those that must be refused, each with the error's text after
// the file's name. A ... stands for a list that goes on.
var badScripts = []struct{ script, want string }{
	{"fault kill server\n-- nonsense --\nx\n", `2: section "nonsense": there are dies, sees, story, why, sources, next, each once`},
	{"fault kill server\n-- sees --\nx\n\n-- sees --\ny\n", `5: section "sees": there are dies, sees, story, why, sources, next, each once`},
	{"fault kill server\nexpct client reaps\n", `2: unknown command "expct": there are ...`},
	{"type client 'abc\n", "1: unterminated quoted argument"},
	{"[foo] path direct\n", `1: unknown condition "foo"`},
	{"[!foo] path direct\n", `1: unknown condition "foo"`},
	{"[path:x] path direct\n", `1: evaluating condition "path:x": path "x": there are direct, switch, router`},
	{"[path] path direct\n", `1: condition "path" requires a suffix`},
	{"[quick:x] path direct\n", `1: condition "quick" cannot be used with a suffix`},
	{"[] path direct\n", "1: empty condition"},
	{"[quick]\n", "1: missing command"},
	{"! ? fault kill server\n", "1: duplicated '!' or '?' token"},
	{"!\n", "1: missing command"},
	{"start server echo-server &\n", "1: start: command cannot be run in background"},
	{"", "1: nothing goes away: neither fault nor zero"},
	{"# nothing but a comment\n\npath direct\n", "3: nothing goes away: neither fault nor zero"},
	{"! fault kill server\n", "1: fault: ! is for expect only"},
	{"? path direct\n", "1: path: ? is for expect only"},
	{"start server echo-server\npath direct\n", "2: path: belongs before the first step"},
	{"start server echo-server\npredict eof\n", "2: predict: belongs before the first step"},
	{"path\n", "1: usage: path [-only] PATH..."},
	{"path tunnel\n", `1: path: "tunnel": there are direct, switch, router`},
	{"path direct tunnel\n", `1: path: "tunnel": there are direct, switch, router`},
	{"path -all direct\n", "1: path: flag provided but not defined: -all"},
	{"path -h\n", "1: usage: path [-only] PATH..."},
	{"arp\n", "1: usage: arp answered | fails"},
	{"arp maybe\n", "1: usage: arp answered | fails"},
	{"standby please\n", "1: usage: standby"},
	{"firewall\n", "1: usage: firewall drop | reset"},
	{"firewall brick\n", "1: usage: firewall drop | reset"},
	{"delay\n", "1: usage: delay TIME"},
	{"delay soon\n", `1: delay: time "soon": such as 300ms, 2.5s, 1m30s`},
	{"delay -1s\n", "1: delay: time -1s: between 0 and 24h0m0s"},
	{"delay 3s\n", "1: delay: 3s: 2s at most"},
	{"delay 25h\n", "1: delay: time 25h0m0s: between 0 and 24h0m0s"},
	{"sysctl client\n", "1: usage: sysctl client|server|router|standby KEY=VALUE"},
	{"sysctl switch net.ipv4.ip_forward=1\n", `1: sysctl: no host "switch", but client, server, router, standby`},
	{"sysctl client net.ipv4.ip_forward\n", `1: sysctl: sysctl "net.ipv4.ip_forward": not of the form KEY=VALUE`},
	{"sysctl client kernel.panic=1\n", `1: sysctl: sysctl "kernel.panic=1": only those below net. belong to a host's network, spelled with dots`},
	{"sysctl client net/ipv4=1\n", `1: sysctl: sysctl "net/ipv4=1": only those below net. belong to a host's network, spelled with dots`},
	{"predict\n", "1: usage: predict MODEL [TIME]"},
	{"predict luck\n", `1: predict: no model "luck": there are ...`},
	{"predict heartbeat\n", "1: predict: heartbeat takes a time"},
	{"predict eof 3s\n", "1: predict: eof takes no time"},
	{"predict heartbeat soon\n", `1: predict: time "soon": such as 300ms, 2.5s, 1m30s`},
	{"predict eof 1s 2s\n", "1: usage: predict MODEL [TIME]"},
	{"verify\n", "1: usage: verify CHECK..."},
	{"verify luck\n", `1: verify: no check "luck": see lab help scenario`},
	{"verify lost lost\n", "1: verify: lost twice"},
	{"verify lost\nverify backoff lost\n", "2: verify: lost twice"},
	{"start\n", "1: usage: start [-as NAME] HOST PROGRAM [ARG...]"},
	{"start server\n", "1: usage: start [-as NAME] HOST PROGRAM [ARG...]"},
	{"start router echo-server\n", `1: start: no host "router", but client, server`},
	{"start standby echo-server\n", `1: start: no host "standby", but client, server`},
	{"start -as client server echo-server\n", `1: start: -as "client": not a name for a program`},
	{"start -as 'a b' server echo-server\n", `1: start: -as "a b": not a name for a program`},
	{"start -as x\n", "1: usage: start [-as NAME] HOST PROGRAM [ARG...]"},
	{"start -is x server echo-server\n", "1: start: flag provided but not defined: -is"},
	{"start server echo-server\nstart server echo-server\n", "2: start: there is a program server already: -as gives another name"},
	{"start server echo-server a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a \n", "1: start: more than 32 programs or 64 arguments"},
	{"type\n", "1: usage: type PROGRAM TEXT..."},
	{"type client\n", "1: usage: type PROGRAM TEXT..."},
	{"type client hello\n", `1: type: no program "client" was started`},
	{"eof\n", "1: usage: eof PROGRAM"},
	{"eof client\n", `1: eof: no program "client" was started`},
	{"freeze\n", "1: usage: freeze WHO"},
	{"freeze nobody\n", `1: freeze: "nobody" is neither a host (client, server) nor a program that was started`},
	{"thaw\n", "1: usage: thaw WHO"},
	{"thaw nobody\n", `1: thaw: "nobody" is neither a host (client, server) nor a program that was started`},
	{"signal client\n", "1: usage: signal WHO SIGNAL"},
	{"signal nobody SIGTERM\n", `1: signal: "nobody" is neither a host (client, server) nor a program that was started`},
	{"signal client TERM\n", `1: signal: no signal "TERM": such as SIGTERM`},
	{"fault\n", "1: usage: fault KIND [HOST]"},
	{"fault kill server now\n", "1: usage: fault KIND [HOST]"},
	{"fault sabotage server\n", `1: fault: no fault "sabotage": there are ...`},
	{"fault crash\n", "1: fault: crash of which host?"},
	{"fault kill server 7\n", "1: fault: process 7: a scenario does not know the ids of its processes; they are for a lab that stays up"},
	{"freeze client 7\n", "1: freeze: process 7: a scenario does not know the ids of its processes; they are for a lab that stays up"},
	{"fault partition-to-server\n", `1: fault: no fault "partition-to-server": there are ...`},
	{"fault unreachable-host server\n", "1: fault: unreachable-host is about the network, and no host: nothing follows it"},
	{"fault crash standby\n", `1: fault: no host "standby", but client, server`},
	{"heal all\n", "1: usage: heal"},
	{"zero\n", "1: usage: zero TEXT..."},
	{"fault kill server\nzero again\n", "2: zero: the run has its time zero already"},
	{"zero here\nzero again\n", "2: zero: the run has its time zero already"},
	{"sockets client\n", "1: usage: sockets"},
	{"expect\n", "1: usage: expect [-after TIME] [-within TIME] [-by MODEL] [-since act|fault|seen|start] [-times N] [-told] WHO EVENT"},
	{"expect client\n", "1: usage: expect [-after TIME] [-within TIME] [-by MODEL] [-since act|fault|seen|start] [-times N] [-told] WHO EVENT"},
	{"expect -within soon client reaps\n", `1: expect: invalid value "soon" for flag -within: parse error`},
	{"expect -bla client reaps\n", "1: expect: flag provided but not defined: -bla"},
	{"! expect client reaps\n", "1: expect: ! expect wants -for TIME; or -since, for all until now"},
	{"! expect -for 1s -within 2s client reaps\n", "1: expect: ! expect wants -for TIME, and no window"},
	{"zero x\n! expect -for 1s -told client read()\n", "2: expect: ! expect wants -for TIME, and no window"},
	{"! expect -for -1s client reaps\n", "1: expect: a time must be between 0 and 24h0m0s"},
	{"expect -for 1s client reaps\n", "1: expect: -for TIME is for ! expect"},
	{"expect -within -1s client reaps\n", "1: expect: a time must be between 0 and 24h0m0s"},
	{"expect -within 25h client reaps\n", "1: expect: a time must be between 0 and 24h0m0s"},
	{"expect -after 1s client reaps\n", "1: expect: -after wants a later -within"},
	{"expect -after 2s -within 1s client reaps\n", "1: expect: -after wants a later -within"},
	{"expect -times 0 client reaps\n", "1: expect: -times 0: between 1 and 100000"},
	{"expect -since fault client reaps\n", "1: expect: -since fault: there was none yet"},
	{"expect -since dawn client reaps\n", `1: expect: -since "dawn": there are act, fault, seen, start`},
	{"expect -told client read() = EOF\n", "1: expect: -told: there was no fault yet"},
	{"expect nobody reaps\n", `1: expect: "nobody" is neither a host (client, server) nor a program that was started`},
	{"expect client vanishes\n", `1: expect: no event "vanishes": there are ...`},
	{"expect client socket\n", "1: expect: socket takes one state"},
	{"expect client socket OPEN\n", `1: expect: state "OPEN": there are ...`},
	{"expect client blocked\n", "1: expect: blocked takes a system call"},
	{"expect client blocked read\n", `1: expect: "read": such as read() or read(stdin)`},
	{"expect client blocked open()\n", `1: expect: system call "open" is not observed; there are ...`},
	{"expect client open()\n", `1: expect: system call "open" is not observed; there are ...`},
	{"expect client read(stdout)\n", `1: expect: no event "read(stdout)": there are ...`},
	{"expect client read() EOF\n", "1: expect: read() = RESULT"},
	{"expect client read() = EOF now\n", "1: expect: read() = RESULT"},
	{"expect client read() = FOO\n", `1: expect: result "FOO": ok, EOF or errno's name`},
	{"expect client sends\n", "1: expect: sends takes one packet"},
	{"expect client sends mail\n", `1: expect: packet "mail": there are SYN, SYN+ACK, FIN, RST, ACK, data, probe, icmp`},
	{"expect client receives SYN ACK\n", "1: expect: receives takes one packet"},
	{"expect client retransmits twice\n", "1: expect: retransmits takes nothing"},
	{"expect client acknowledged all\n", "1: expect: acknowledged takes nothing"},
	{"expect client reaps all\n", "1: expect: reaps takes nothing"},
	{"expect client timer\n", "1: expect: timer takes one timer"},
	{"expect client timer egg\n", `1: expect: timer "egg": there are retransmit, keepalive, probe, timewait, none`},
	{"expect client error\n", "1: expect: error takes an errno's name"},
	{"expect client error EFOO\n", `1: expect: no errno is called "EFOO"`},
	{"expect client prints\n", "1: expect: prints what?"},
	{"expect client exits\n", `1: expect: no program "client" was started`},
	{"start server echo-server\nexpect server exits 256\n", `2: expect: "256" is no number between 0 and 255`},
	{"start server echo-server\nexpect server exits SIGFOO\n", `2: expect: "SIGFOO" is no number between 0 and 255`},
	{"start server echo-server\nexpect server exits 1 2\n", "2: expect: exits takes a status or a signal"},
	{"expect client gets\n", "1: expect: gets takes a signal"},
	{"expect client gets FOO\n", `1: expect: no signal "FOO": such as SIGCHLD`},
	{"expect client zombies\n", "1: expect: zombies takes a number"},
	{"expect client zombies many\n", `1: expect: "many" is no number between 0 and 10000`},
	{"expect client zombies 10001\n", `1: expect: "10001" is no number between 0 and 10000`},
	{"start -as x server echo-server\nexpect x socket LISTEN\n", `2: expect: no host "x", but client, server`},
	{"fault kill server\n\xff", "1: not UTF-8"},
	{"fault kill server\n" + strings.Repeat("#", 1<<20), "1: longer than 1048576 octets"},
	{"zero x\n" + strings.Repeat("sockets\n", 1001), "1001: sockets: more than 1000 steps"},
	{programs(33), "33: start: more than 32 programs or 64 arguments"},
	{"start server echo-server" + strings.Repeat(" a", 64), "1: start: more than 32 programs or 64 arguments"},
	{"start server echo-server " + strings.Repeat("a", 4097), "1: start: an argument is too long, or has a NUL in it"},
	{"start server echo-server \x00", "1: start: an argument is too long, or has a NUL in it"},
	{"start server echo-server\ntype server " + strings.Repeat("a", 4097), "2: type: more than 4096 octets"},
	// Whatever a line holds, its number is right.
	{"# comment\n\n   \n[ipv6] path router # here\n\nwrong", `6: unknown command "wrong": there are ...`},
	{"# " + strings.Repeat("long ", 5000) + "\nwrong", `2: unknown command "wrong": there are ...`},
	{"zero 'a ''quoted'' # word' # and a comment\nwrong", `2: unknown command "wrong": there are ...`},
	// An error stays one behind what would hide another's.
	{"? expect client vanishes\nzero x", `1: expect: no event "vanishes": there are ...`},
	{"zero x\n! expect -for 1s client vanishes\n", `2: expect: no event "vanishes": there are ...`},
	{"zero x\n[ipv6] fault kil server\n", `2: fault: no fault "kil": there are ...`},
	{"zero x\n[real] [ipv6] fault kil server\n", `2: fault: no fault "kil": there are ...`},
	{"[real] zero x\n", "1: nothing goes away: neither fault nor zero"},
	{"predict eof\n", "1: nothing goes away: neither fault nor zero"},
	{"predict eof\nstart server echo-server\n", "2: nothing goes away: neither fault nor zero"},
	// Behind a path that may be asked for; and what the network must have there.
	{"path switch router\nzero x\n[path:router] bogus\n", `3: unknown command "bogus": there are ...`},
	{"path switch\nzero x\n[path:router] fault kil server\n", `3: fault: no fault "kil": there are ...`},
	{"path switch router\nzero x\n[ipv6] [real] [path:router] type client x\n", `3: type: no program "client" was started`},
	{"path router switch\nfault unreachable-net\n", "2: fault unreachable-net: it takes a router (path); the path is switch"},
	{"path direct\nfirewall drop # here\nzero x\n", "2: firewall drop: it takes a router (path); the path is direct"},
	{"path router\nstandby\nzero x\n", "2: standby: it takes a switch (path); the path is router"},
	{"sysctl router net.ipv4.ip_forward=1\nzero x\n", "1: sysctl router net.ipv4.ip_forward=1: it takes a router (path); the path is direct"},
	{"path router\n[real] firewall drop\n[real] sysctl standby net.ipv4.ip_forward=1\nzero x\n", "3: sysctl standby net.ipv4.ip_forward=1: it takes a standby; the path is router"},
}

func programs(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "start -as p%d server echo-server\n", i)
	}
	return b.String()
}

func TestSyntaxErrors(t *testing.T) {
	for _, c := range badScripts {
		_, err := scenarios.Read("dir/bad.lab", c.script)
		name := c.script[:min(len(c.script), 60)]
		if err == nil {
			t.Errorf("%q is taken", name)
			continue
		}
		if !scenarios.IsSyntax(err) {
			t.Errorf("%q: %v is no syntax error", name, err)
		}
		want, cut := strings.CutSuffix("dir/bad.lab:"+c.want, "...")
		if got := err.Error(); got != want && !(cut && strings.HasPrefix(got, want)) {
			t.Errorf("%q:\n got %s\nwant %s", name, got, want)
		}
	}
}

// compile reads a script that must be right.
func compile(t *testing.T, script string, v scenarios.Variant) *scenarios.Scenario {
	t.Helper()
	s, err := scenarios.Read("my.lab", script)
	if err != nil {
		t.Fatal(err)
	}
	sc, err := s.Compile(v)
	if err != nil {
		t.Fatal(err)
	}
	return sc
}

// steps are a scenario's, as text with their places.
func steps(sc *scenarios.Scenario) []string {
	var all []string
	for _, s := range sc.Steps {
		all = append(all, s.Place()+" "+s.String())
	}
	return all
}

func TestConditions(t *testing.T) {
	const script = `path switch router
[quick] sysctl client net.ipv4.tcp_retries2=5
[real]  sysctl client net.ipv4.tcp_retries1=2
zero here
[ipv4]             type-not-there
`
	if _, err := scenarios.Read("my.lab", script); err == nil {
		t.Fatal("what stands behind a condition is not looked at")
	}
	const right = `path switch router
[quick] sysctl client net.ipv4.tcp_retries2=5
[real]  sysctl client net.ipv4.tcp_retries1=2
zero here
[ipv4]         expect client read() = EHOSTUNREACH   # of which kind
[!ipv4]        expect client read() = EACCES
[ipv6] [real]  sockets
[path:switch]  heal
[!path:switch] expect client retransmits
`
	for _, c := range []struct {
		variant scenarios.Variant
		path    string
		sysctl  string
		steps   []string
	}{
		{scenarios.Variant{}, "switch", "net.ipv4.tcp_retries2", []string{
			"my.lab:4 zero here", "my.lab:5 expect client read() = EHOSTUNREACH", "my.lab:8 heal",
		}},
		{scenarios.Variant{Family: 6}, "switch", "net.ipv4.tcp_retries2", []string{
			"my.lab:4 zero here", "my.lab:6 expect client read() = EACCES", "my.lab:8 heal",
		}},
		{scenarios.Variant{Family: 6, Real: true, Path: "router"}, "router", "net.ipv4.tcp_retries1", []string{
			"my.lab:4 zero here", "my.lab:6 expect client read() = EACCES", "my.lab:7 sockets", "my.lab:9 expect client retransmits",
		}},
	} {
		sc := compile(t, right, c.variant)
		if diff := cmp.Diff(c.steps, steps(sc)); diff != "" {
			t.Errorf("%+v: -want +got\n%s", c.variant, diff)
		}
		if sc.Path != c.path || len(sc.Sysctls["client"]) != 1 || sc.Sysctls["client"][c.sysctl] == "" {
			t.Errorf("%+v: path %s, sysctls %v", c.variant, sc.Path, sc.Sysctls)
		}
	}
}

// What a scenario comes to that uses all of the language.
func TestCompile(t *testing.T) {
	sc := compile(t, `path -only switch
arp answered
standby
delay 20ms
sysctl standby net.ipv4.ip_forward=0
predict heartbeat 2s
verify lost backoff

start server echo-server {any:port}
start -as c client echo-client '-set' 'SO_KEEPALIVE=1' {server:port}   # options
type c 'two  words' and 'a # one'
eof c
freeze server
thaw c
signal client SIGUSR1
fault crash standby
heal
sockets
expect -after 1s -within 2s -since start -times 3 c write() = ok
expect -told -since seen client blocked read(stdin)
! expect -since fault -for 300ms client sends SYN+ACK
? expect c exits SIGKILL
expect server zombies 2
expect client error EHOSTUNREACH
expect client timer none
expect client socket gone
`, scenarios.Variant{})
	if sc.Path != "switch" || !sc.Only || !slices.Equal(sc.Paths, []string{"switch"}) || !sc.AnswerARP || !sc.Standby ||
		sc.Delay != 20*time.Millisecond || sc.Sysctls["standby"]["net.ipv4.ip_forward"] != "0" ||
		sc.Predict != (scenarios.Prediction{Model: "heartbeat", Value: 2 * time.Second}) || !slices.Equal(sc.Verify, []string{"lost", "backoff"}) {
		t.Errorf("%+v", sc)
	}
	if faults := sc.Faults(); len(faults) != 1 || faults[0].Kind != "crash" || faults[0].Host != "standby" {
		t.Errorf("faults: %+v", faults)
	}
	if routed := compile(t, "path router\nfirewall reset\nzero x\n", scenarios.Variant{}); routed.Firewall != "reset" {
		t.Errorf("%+v", routed)
	}
	start := sc.Steps[1].(scenarios.Start)
	if start.Name != "c" || start.Host != "client" || !slices.Equal(start.Argv, []string{"echo-client", "-set", "SO_KEEPALIVE=1", "{server:port}"}) {
		t.Errorf("%+v", start)
	}
	if line := sc.Steps[2].(scenarios.Type); line.Text != "two  words and a # one" || line.String() != "type c 'two  words' and 'a # one'" {
		t.Errorf("types %q; its line is %q", line.Text, line)
	}
	if f := sc.Steps[4].(scenarios.Freeze); f.Who != "server" || f.Thaw {
		t.Errorf("%+v", f)
	}
	if f := sc.Steps[5].(scenarios.Freeze); f.Who != "c" || !f.Thaw {
		t.Errorf("%+v", f)
	}
	var expects []scenarios.Expect
	for _, s := range sc.Steps {
		if x, ok := s.(scenarios.Expect); ok {
			expects = append(expects, x)
		}
	}
	const s = time.Second
	for i, want := range []scenarios.Expect{
		{Event: scenarios.Pattern{Who: "c", What: scenarios.Call, Call: "write", Result: "ok"}, After: s, Within: 2 * s, Since: scenarios.SinceStart, Times: 3},
		{Event: scenarios.Pattern{Who: "client", What: scenarios.Blocked, Call: "read", Input: true}, Since: scenarios.SinceSeen, Times: 1, Detection: true},
		{Event: scenarios.Pattern{Who: "client", What: scenarios.Sends, Packet: "SYN+ACK"}, Within: 300 * time.Millisecond, Since: scenarios.SinceFault, Times: 1, Never: true},
		{Event: scenarios.Pattern{Who: "c", What: scenarios.Exits, End: "SIGKILL"}, Times: 1, Optional: true},
		{Event: scenarios.Pattern{Who: "server", What: scenarios.Zombies, Number: 2}, Times: 1},
		{Event: scenarios.Pattern{Who: "client", What: scenarios.Error, Errno: "EHOSTUNREACH"}, Times: 1},
		{Event: scenarios.Pattern{Who: "client", What: scenarios.Timer, Timer: "none"}, Times: 1},
		{Event: scenarios.Pattern{Who: "client", What: scenarios.Socket, State: scenarios.NoSocket}, Times: 1},
	} {
		got := expects[i]
		if got.Event != want.Event || got.After != want.After || got.Within != want.Within || got.Since != want.Since ||
			got.Times != want.Times || got.Never != want.Never || got.Optional != want.Optional || got.Detection != want.Detection {
			t.Errorf("%s\n got %+v\nwant %+v", got, got, want)
		}
	}
}

// The reference is made of the tables that a script is compiled with: none of
// the words is missing.
func TestReference(t *testing.T) {
	var b bytes.Buffer
	if err := scenarios.Reference(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	want := []string{"[quick]", "[real]", "[ipv4]", "[ipv6]", "[path:*]", "title", "dies", "sees", "story", "why", "sources", "next"}
	for _, command := range []string{
		"path", "arp", "standby", "firewall", "delay", "sysctl", "predict", "verify", "start", "type", "eof", "freeze", "thaw",
		"signal", "fault", "heal", "zero", "sockets", "expect",
	} {
		want = append(want, "\n"+command)
	}
	for _, k := range scenarios.FaultKinds() {
		want = append(want, k.Name, k.Summary)
		for _, check := range k.Checks {
			if !slices.ContainsFunc(scenarios.Checks(), func(w scenarios.Word) bool { return w.Name == check }) {
				t.Errorf("the fault %s brings along the check %s, which there is not", k.Name, check)
			}
		}
	}
	for _, list := range [][]scenarios.Word{scenarios.Models(), scenarios.Checks(), scenarios.PacketKinds()} {
		for _, w := range list {
			want = append(want, "  "+w.Name+" ", w.Summary)
		}
	}
	for _, form := range []string{
		"CALL() [= RESULT]", "blocked CALL()", "socket STATE", "sends PACKET", "receives PACKET", "retransmits", "acknowledged",
		"timer NAME", "error ERRNO", "prints TEXT", "exits", "gets SIGNAL", "reaps", "zombies N",
	} {
		want = append(want, "\n  "+form)
	}
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("the reference does not say %q", w)
		}
	}
	for line := range strings.Lines(text) {
		if strings.TrimRight(line, " \n") != strings.TrimSuffix(line, "\n") {
			t.Errorf("space at the end of %q", line)
		}
	}
}

// What is not a scenario on a path that it does not name is no mistake.
func TestOtherPaths(t *testing.T) {
	for _, script := range []string{
		"path switch router\n[path:switch] fault partition server\n[path:router] fault unreachable-net\n",
		"path -only router\nfirewall drop\n[path:switch] bogus\nfault forget-flow\n",
		"path router\nfirewall drop\nfault forget-flow\n",
	} {
		if _, err := scenarios.Read("my.lab", script); err != nil {
			t.Errorf("%q: %v", script, err)
		}
	}
}
