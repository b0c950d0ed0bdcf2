package scenarios

import (
	"errors"
	"strings"
	"testing"
)

// By hand a line is what it is in a file: it is checked against those before.
func TestLines(t *testing.T) {
	l := NewLines("by-hand", "by-hand", Variant{Family: 4, Path: "switch"})
	for _, text := range []string{"arp answered", "standby", "# nothing"} {
		if step, err := l.Add("build", 1, text); err != nil || step != nil {
			t.Fatalf("%s: %v, %v", text, step, err)
		}
	}
	s := l.Built()
	if !s.AnswerARP || !s.Standby || s.Path != "switch" || !s.ByHand {
		t.Errorf("built %+v", s)
	}
	for _, c := range []struct{ text, err string }{
		{"start server echo-server {any:port}", ""},
		{"path router", "x_test.go:7: path: belongs before the first step"},
		{"expect -since fault client receives RST", "x_test.go:7: expect: -since fault: there was none yet"},
		{"start server echo-server", "x_test.go:7: start: there is a program server already: -as gives another name"},
		{"expect client exits", `x_test.go:7: expect: no program "client" was started`},
		{"fault crash client server", "x_test.go:7: usage: fault KIND"},
		{"fault crash nobody", `x_test.go:7: fault: no host "nobody"`},
		{"fault unreachable-host", "x_test.go:7: fault unreachable-host: it takes a router (path); the path is switch"},
		{"explode", `x_test.go:7: unknown command "explode"`},
		{"type server 'hello", "x_test.go:7: unterminated quoted argument"},
		{"sockets\nsockets", "x_test.go:7: more than one line"},
		{"[ipv6] sockets", ""},
		{"fault failover server", ""},
		{"! expect -since fault client receives RST", ""},
		{"type server hello", ""},
		{"fault crash server", "x_test.go:7: fault: server is down by then"},
	} {
		step, err := l.Add("x_test.go", 7, c.text)
		switch {
		case c.err == "" && err != nil, c.err != "" && (err == nil || !strings.HasPrefix(err.Error(), c.err)):
			t.Errorf("%s: error %v, want %q", c.text, err, c.err)
		case err == nil && c.text[0] != '[' && (step.Place() != "x_test.go:7" || step.String() != c.text):
			t.Errorf("%s: is %s at %s", c.text, step, step.Place())
		case err == nil && c.text[0] == '[' && step != nil:
			t.Errorf("%s: %v", c.text, step)
		}
	}
	if s.File != "by-hand" || len(s.Steps) != 0 {
		t.Errorf("file %s, %d steps", s.File, len(s.Steps))
	}
}

// A program that no line starts is one of the scenario's, too.
func TestLinesProgram(t *testing.T) {
	l := NewLines("by-hand", "by-hand", Variant{Family: 4})
	if s := l.Built(); s.Path != "direct" {
		t.Errorf("path %s", s.Path)
	}
	for _, name := range []string{"client", "curl", "curl"} {
		if err := l.Program(name, "client"); err != nil {
			t.Error(err)
		}
	}
	if err := l.Program("x", "standby"); err == nil {
		t.Error("a program of a host that there is not")
	}
	if _, err := l.Add("x", 1, "expect curl exits 0"); err != nil {
		t.Error(err)
	}
	if _, err := l.Add("x", 2, "fault crash client"); err != nil {
		t.Fatal(err)
	}
	if err := l.Program("late", "client"); err == nil || !strings.Contains(err.Error(), "client is down") {
		t.Errorf("on a dead host: %v", err)
	}
}

// A person leaves out what goes without saying, and is told how things are.
func TestLinesTyped(t *testing.T) {
	l := NewLines("by-hand", "by-hand", Variant{Family: 4, Path: "router"})
	l.Typed()
	l.Built()
	for _, c := range []struct {
		text string
		want Fault
	}{
		{"fault crash", Fault{Kind: "crash", Host: "server"}},
		{"fault kill 12", Fault{Kind: "kill", Host: "server", PID: 12}},
		{"fault hang client 7", Fault{Kind: "hang", Host: "client", PID: 7}},
		{"fault partition-to-server", Fault{Kind: "partition", Host: "client"}},
		{"fault firewall-reject", Fault{Kind: "reject-prohibited"}},
		{"fault socket-destroyed", Fault{Kind: "destroy", Host: "server"}},
	} {
		l.Power("server", false)
		step, err := l.Add("typed", 1, c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		got := step.(Fault)
		if got.line = (line{}); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.text, got, c.want)
		}
	}
	l.Power("server", true)
	_, err := l.Add("typed", 1, "fault kill")
	if down, ok := errors.AsType[*DownError](err); !ok || down.Host != "server" {
		t.Errorf("of a host that is down: %v", err)
	}
	if _, err := l.Add("typed", 1, "fault reboot"); err != nil {
		t.Error(err)
	}
	_, err = l.Add("typed", 1, "fault nat-expiry")
	if need, ok := errors.AsType[*NeedError](err); !ok || need.Path != "router" || len(need.Build) != 2 {
		t.Errorf("without a firewall: %v, %+v", err, need)
	}
}
