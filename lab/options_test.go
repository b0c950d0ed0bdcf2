package lab

import (
	"errors"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
)

type sysctls = map[string]map[string]string

func find(t *testing.T, name string) *scenarios.Source {
	t.Helper()
	s, _ := scenarios.Find(name)
	if s == nil {
		t.Fatalf("no scenario %q", name)
	}
	return s
}

func compiled(t *testing.T, name string, o Options) *scenarios.Scenario {
	t.Helper()
	s, err := find(t, name).Compile(o.variant())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParseSysctl(t *testing.T) {
	for _, c := range []struct {
		in   string
		want sysctls
		err  string
	}{
		{in: "net.ipv4.tcp_retries2=3", want: sysctls{"client": {"net.ipv4.tcp_retries2": "3"}, "server": {"net.ipv4.tcp_retries2": "3"}}},
		{in: "client:net.ipv4.tcp_retries2=3", want: sysctls{"client": {"net.ipv4.tcp_retries2": "3"}}},
		{in: "router:net.ipv4.icmp_ratelimit=0", want: sysctls{"router": {"net.ipv4.icmp_ratelimit": "0"}}},
		{in: "net.ipv4.tcp_rmem=4096 8192 16384", want: sysctls{
			"client": {"net.ipv4.tcp_rmem": "4096 8192 16384"}, "server": {"net.ipv4.tcp_rmem": "4096 8192 16384"},
		}},
		{in: "net.ipv4.tcp_retries2", err: "not of the form"},
		{in: "net.ipv4.tcp_retries2=", err: "not of the form"},
		{in: "=3", err: "not of the form"},
		{in: "switch:net.ipv4.tcp_retries2=3", err: `no host "switch"`},
		{in: "kernel.panic=1", err: "below net."},
		{in: "net/ipv4/tcp_retries2=1", err: "below net."},
		{in: "net.ipv4/../../kernel/panic=1", err: "below net."},
		{in: "net..kernel.panic=1", err: "below net."},
	} {
		got := sysctls{}
		err := ParseSysctl(c.in, got)
		switch {
		case c.err == "" && err != nil:
			t.Errorf("%s: %v", c.in, err)
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%s: error %v, want one with %q", c.in, err, c.err)
		case c.err == "":
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.in, diff)
			}
		}
	}
}

func TestOptionsCheck(t *testing.T) {
	for _, c := range []struct {
		scenario string
		options  Options
		err      string
	}{
		{"crash", Options{}, ""},
		{"kill", Options{Path: topology.Switch}, ""},
		{"kill", Options{Path: topology.Router}, ""},
		{"kill", Options{Path: "wire"}, `path "wire"`},
		{"unreachable-net", Options{Path: topology.Switch}, "on the path router only"},
		{"kill", Options{Without: []string{"wire", "ebpf"}}, ""},
		{"kill", Options{Without: []string{"eyes"}}, `observer "eyes"`},
		{"kill", Options{Grace: -time.Second}, "negative"},
		{"kill", Options{Timeout: -time.Second}, "negative"},
		{"kill", Options{Delay: -time.Second}, "negative"},
		{"kill", Options{Delay: 3 * time.Second}, "delay 3s: 2s at most"},
		{"kill", Options{Delay: 2 * time.Second, Loss: 0.99}, ""},
		{"kill", Options{Loss: 1}, "loss 1: "},
		{"kill", Options{Loss: -0.1}, "loss -0.1: "},
		{"kill", Options{Loss: math.NaN()}, "loss NaN: "},
		{"kill", Options{Family: topology.IPv6}, ""},
		{"kill", Options{Family: 5}, "family 5: there are 4 and 6"},
		{"failover", Options{Path: topology.Router}, "on the path switch only"},
		{"failover", Options{Sysctls: sysctls{"standby": {"net.ipv4.tcp_retries2": "3"}}}, ""},
		{"kill", Options{Sysctls: sysctls{"router": {"net.ipv4.icmp_ratelimit": "0"}}}, "the path direct has none"},
		{"kill", Options{Sysctls: sysctls{"client": {"net.ipv4.tcp_nonsense": "0"}}}, "this kernel has none of that name"},
		{"kill", Options{Sysctls: sysctls{"client": {"net.ipv4.conf.eth0.nonsense": "0"}}}, "this kernel has none of that name"},
		{"kill", Options{Sysctls: sysctls{"client": {"net.ipv4.neigh.eth0.retrans_time_ms": "500"}}}, ""},
	} {
		_, err := New(find(t, c.scenario), c.options)
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s with %+v: error %v, want %q", c.scenario, c.options, err, c.err)
		}
	}
}

// A delay that is asked for is that of the run, also if it is none.
func TestDelay(t *testing.T) {
	s, err := scenarios.Read("my.lab", "delay 300ms\nzero here\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		options Options
		want    time.Duration
		command string
	}{
		{Options{}, 300 * time.Millisecond, "lab run my.lab"},
		{Options{Delay: time.Second}, time.Second, "lab run my.lab --delay 1s"},
		{Options{DelaySet: true}, 0, "lab run my.lab --delay 0s"},
	} {
		e, err := New(s, c.options)
		if err != nil {
			t.Fatal(err)
		}
		r := e.Preview()
		if r.Delay.Time != int64(c.want) || r.Command != c.command {
			t.Errorf("%+v: delay %v, command %q; want %v, %q", c.options, time.Duration(r.Delay.Time), r.Command, c.want, c.command)
		}
	}
}

// The first mistake is always the same one.
func TestCheckIsDeterministic(t *testing.T) {
	s, err := scenarios.Read("my.lab", "sysctl server net.ipv4.z=1\nsysctl client net.ipv4.b=1\nsysctl client net.ipv4.a=1\nzero here\n")
	if err != nil {
		t.Fatal(err)
	}
	wrong := Options{Sysctls: sysctls{"server": {"net.ipv4.c": "1"}, "client": {"net.ipv4.f": "1", "net.ipv4.e": "1", "net.ipv4.d": "1"}}}
	for range 20 {
		if _, err := New(s, Options{}); err == nil || !scenarios.IsSyntax(err) || !strings.HasPrefix(err.Error(), "my.lab:1: sysctl net.ipv4.z for server") {
			t.Fatal(err)
		}
		if _, err := New(find(t, "kill"), wrong); err == nil || !strings.HasPrefix(err.Error(), "sysctl net.ipv4.d for client") {
			t.Fatal(err)
		}
	}
}

// A scenario from a file is right in all of its variants, or is not taken.
func TestEveryVariantIsChecked(t *testing.T) {
	for script, want := range map[string]string{
		"[real] sysctl client net.ipv4.tcp_nosuch=5\nzero x\n":                             "my.lab:1: sysctl net.ipv4.tcp_nosuch for client: ",
		"zero x\n[ipv6] start client echo-client -set NOSUCH=1 {server:port}\n":            "my.lab:2: start: echo-client: ",
		"zero x\n[real] start client echo-clientx\n":                                       `my.lab:2: start: program "echo-clientx": not found in PATH`,
		"zero x\n[path:router] start client nosuchd\n":                                     `my.lab:2: start: program "nosuchd": not found in PATH`,
		"zero x\n[ipv6] [real] [path:switch] start client echo-client\n":                   "my.lab:2: start: echo-client: no ADDRESS:PORT",
		"zero x\nstart server echo-server nonsense\n":                                      "my.lab:2: start: echo-server: ",
		"zero x\nstart server echo-server {any:port}\nstart client echo-client {any:port}": "",
	} {
		s, err := scenarios.Read("my.lab", script)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = New(s, Options{}); want == "" && err == nil {
			continue
		}
		if err == nil || !scenarios.IsSyntax(err) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %q", script, err, want)
		}
	}
}

// A built-in scenario that cannot be made on a path says that it is not what
// it says there, and nothing else is wrong with it.
func TestBuiltInsOnEveryPath(t *testing.T) {
	for _, s := range scenarios.All() {
		for _, path := range topology.Paths {
			for _, family := range []topology.Family{topology.IPv4, topology.IPv6} {
				_, err := New(s, Options{Path: path, Family: family})
				if _, elsewhere := errors.AsType[*PathError](err); err != nil && !elsewhere {
					t.Errorf("%s on %s: %v", s.Name, path, err)
				}
			}
		}
	}
}

// The command in a record makes the same run again.
func TestCommand(t *testing.T) {
	o := Options{
		Path: topology.Switch, Family: topology.IPv6, Delay: 20 * time.Millisecond, Loss: 0.015, Real: true, Grace: time.Second, Timeout: time.Minute, Without: []string{"wire", "ebpf"},
		Sysctls: sysctls{"client": {"net.ipv4.tcp_rmem": "4096 8192 16384", "net.ipv4.tcp_retries2": "3"}},
	}
	want := "lab run kill --path switch --family 6 --delay 20ms --loss 1.5% --real --sysctl client:net.ipv4.tcp_retries2=3" +
		" --sysctl client:net.ipv4.tcp_rmem='4096 8192 16384' --grace 1s --timeout 1m0s --without wire,ebpf"
	if got := o.command(compiled(t, "kill", o)); got != want {
		t.Errorf("command\n%s, want\n%s", got, want)
	}
}

// Quoted is what a shell would change, and no more.
func TestQuote(t *testing.T) {
	for value, want := range map[string]string{
		"{port}": "{port}", "http://{server}:{port}/": "http://{server}:{port}/", "a{b,c}": "'a{b,c}'", "{1..3}": "'{1..3}'", "a b": "'a b'", "it's": `'it'\''s'`, "": "''",
	} {
		if got := quote(value); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}

// A check that a fault brings along and the scenario asks for, too, is made
// once.
func TestNoCheckTwice(t *testing.T) {
	v := newView(&record.Record{Fault: record.FaultInfo{Kind: "kill", Host: "server"}}, netip.MustParseAddrPort("10.0.0.2:9998"))
	s := v.signature(&scenarios.Scenario{Verify: []string{"end-before-fin", "carrier", "reset-answers-data"}})
	if len(s.Checks) != 3 {
		t.Errorf("checks: %+v", s.Checks)
	}
}

func TestSysctlPlan(t *testing.T) {
	for _, c := range []struct {
		name    string
		options Options
		want    string
		changed []string
	}{
		{"quick", Options{}, "5", []string{"client net.ipv4.tcp_retries2=5 (kernel default 15)"}},
		{"real", Options{Real: true}, "15", nil},
		{"asked for", Options{Sysctls: sysctls{"client": {"net.ipv4.tcp_retries2": "3"}}}, "3", []string{"client net.ipv4.tcp_retries2=3 (kernel default 15)"}},
	} {
		plan, changed := sysctlPlan(compiled(t, "crash", c.options), c.options)
		if got := plan["client"]["net.ipv4.tcp_retries2"]; got != c.want {
			t.Errorf("%s: tcp_retries2=%s, want %s", c.name, got, c.want)
		}
		if got := plan["server"]["net.ipv4.tcp_retries2"]; got != "15" {
			t.Errorf("%s: the server's tcp_retries2=%s, want 15", c.name, got)
		}
		if diff := cmp.Diff(c.changed, changed); diff != "" {
			t.Errorf("%s: changed -want +got\n%s", c.name, diff)
		}
	}
}

// The preview's prediction is what the header of a run says.
func TestPreviewPredicts(t *testing.T) {
	for _, c := range []struct {
		scenario string
		options  Options
		err      string
		min, max time.Duration
	}{
		{"crash", Options{}, "ETIMEDOUT", 13 * time.Second, 14 * time.Second},
		{"crash", Options{Real: true}, "ETIMEDOUT", 924 * time.Second, 960 * time.Second},
		{"crash", Options{Sysctls: sysctls{"client": {"net.ipv4.tcp_retries2": "3"}}}, "ETIMEDOUT", 6 * time.Second, 8 * time.Second},
		{"crash-lan", Options{}, "EHOSTUNREACH", 12 * time.Second, 15 * time.Second},
		{"unreachable-host", Options{}, "EHOSTUNREACH", 12 * time.Second, 15 * time.Second},
		{"unreachable-net", Options{}, "ENETUNREACH", 12 * time.Second, 15 * time.Second},
		{"kill", Options{}, "EOF", 0, time.Second},
		{"kill", Options{Delay: time.Second}, "EOF", 0, 4 * time.Second},
		{"firewall-reject", Options{}, "EHOSTUNREACH", 12 * time.Second, 15 * time.Second},
		{"firewall-reject", Options{Family: topology.IPv6}, "EACCES", 12 * time.Second, 15 * time.Second},
		{"keepalive", Options{Real: true}, "ETIMEDOUT", 2 * time.Hour, 3 * time.Hour},
		{"connect-silent", Options{Real: true}, "ETIMEDOUT", 127 * time.Second, 140 * time.Second},
		{"crash-idle", Options{}, "", 0, 0},
		{"zombies", Options{}, "", 0, 0},
		{"kill-unread", Options{}, "ECONNRESET", 0, time.Second},
		{"reboot", Options{}, "ECONNRESET", 0, time.Second},
		{"shutdown", Options{}, "EOF", 0, time.Second},
	} {
		e, err := New(find(t, c.scenario), c.options)
		if err != nil {
			t.Fatal(err)
		}
		p := e.Preview().Prediction
		if p.Error != c.err || p.Min < int64(c.min) || p.Max > int64(c.max) || p.Min > p.Max {
			t.Errorf("%s: %s after %v to %v, want %s within %v to %v", c.scenario, p.Error,
				time.Duration(p.Min), time.Duration(p.Max), c.err, c.min, c.max)
		}
	}
}

// A scenario that needs a delay keeps it.
func TestDelayIsNotLessThanTheScenarios(t *testing.T) {
	for scenario, want := range map[string]time.Duration{"simultaneous-close": 100 * time.Millisecond, "kill": time.Millisecond} {
		if got := (Options{Delay: time.Millisecond}).delay(compiled(t, scenario, Options{})).Time; got != want {
			t.Errorf("%s: delay %v, want %v", scenario, got, want)
		}
	}
}
