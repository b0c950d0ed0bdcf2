package lab_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
)

// A hand is a session whose steps a person types.
type hand struct {
	*testing.T
	s *lab.Session
}

func openHand(t *testing.T, o lab.Options, h lab.Hand) hand {
	t.Helper()
	testenv.NeedRoot(t)
	h.Name, h.Command, h.Typed = t.Name(), "lab up", true
	s, err := lab.Open(h, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return hand{t, s}
}

func (h hand) try(text string) error {
	_, err := h.s.Do(h.Context(), "typed", 1, text)
	return err
}

func (h hand) do(lines ...string) {
	h.Helper()
	for _, text := range lines {
		if err := h.try(text); err != nil {
			h.Fatalf("%s: %v", text, err)
		}
	}
}

// connect starts the example server and client, and returns the process that
// serves the connection.
func (h hand) connect() (pid int) {
	h.Helper()
	h.do("start server echo-server {any:port}", "expect server socket LISTEN",
		"start client echo-client {server:port}", "expect client socket ESTABLISHED",
		"type client hello", "expect client prints hello", "expect client blocked read(stdin)")
	processes, err := h.s.Network().Server.Processes()
	if err != nil {
		h.Fatal(err)
	}
	for _, p := range processes {
		if p.Comm == "echo-child" {
			return p.PID
		}
	}
	h.Fatalf("who serves the connection? %+v", processes)
	return 0
}

// forces are the faults in force, in the form KIND HOST.
func (h hand) forces() []string {
	var list []string
	for _, f := range h.s.InForce() {
		list = append(list, strings.TrimSpace(f.Kind+" "+f.Host))
		if f.Text == "" || f.Since.IsZero() {
			h.Errorf("in force: %+v", f)
		}
	}
	return list
}

func (h hand) wantForces(want ...string) {
	h.Helper()
	if got := h.forces(); !slices.Equal(got, want) {
		h.Errorf("in force: %q, want %q", got, want)
	}
}

// A process is named by its id, and need not hold a connection.
func TestHandProcess(t *testing.T) {
	t.Parallel()
	h := openHand(t, lab.Options{Path: topology.Switch}, lab.Hand{})
	child := h.connect()
	h.do("start -as sleeper server sleep 1000")
	sleeper := 0
	for sleeper == 0 { // until it was executed
		processes, err := h.s.Network().Server.Processes()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range processes {
			if p.Comm == "sleep" {
				sleeper = p.PID
			}
		}
	}
	for _, c := range []struct{ text, err string }{
		{"fault kill server 4711", "no process 4711 on server"},
		{"fault kill 4711", "no process 4711 on server"},
		{fmt.Sprintf("fault kill client %d", sleeper+4000), "on client"},
		{"freeze server 4711", "no process 4711 on server"},
		{"fault crash server 4711", "crash is about a host, and no process"},
		{"fault kill server 1", "no program has that id"},
		{"fault kill moon 2", `no host "moon"`},
	} {
		if err := h.try(c.text); err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", c.text, err, c.err)
		}
	}
	h.do(fmt.Sprintf("freeze server %d", sleeper))
	h.wantForces("freeze server")
	if f := h.s.InForce()[0]; f.PID != sleeper || time.Since(f.Since) > time.Minute || !strings.Contains(f.Text, "sleep") {
		t.Errorf("frozen: %+v", f)
	}
	// A SIGTERM waits until it goes on.
	h.do(fmt.Sprintf("fault kill server %d", sleeper))
	h.wantForces("freeze server")
	h.do(fmt.Sprintf("thaw server %d", sleeper), "expect sleeper exits SIGTERM")
	h.wantForces()
	h.do(fmt.Sprintf("fault hang %d", child))
	h.wantForces("freeze server")
	h.do(fmt.Sprintf("fault kill-unread server %d", child), "expect server sends FIN")
	h.wantForces()
	r := h.s.Finish()
	if r.Fault.Kind != "kill" || r.Fault.PID != sleeper || len(r.Later) != 2 || r.Later[0].PID != child {
		t.Errorf("faults %+v, %+v", r.Fault, r.Later)
	}
	if i := slices.IndexFunc(r.Events, func(e record.Event) bool {
		return e.Kind == "kill" && strings.Contains(e.Text, "sleep; it is stopped")
	}); i < 0 {
		t.Error("no event tells that the process was stopped")
	}
	for _, c := range r.Signature.Checks { // nothing lay unread, and so it is not what it is called
		if want := !strings.HasPrefix(c.Name, "kill-unread: ") || strings.Contains(c.Name, "carrier"); c.OK != want {
			t.Errorf("%s: %v, %s", c.Name, c.OK, c.Seen)
		}
	}
}

// What was never said goes without saying: the server. The names of scenarios
// stand for their faults.
func TestHandWords(t *testing.T) {
	t.Parallel()
	h := openHand(t, lab.Options{Path: topology.Router}, lab.Hand{Build: []string{"arp answered"}})
	h.do("fault partition-to-server")
	h.wantForces("partition client")
	h.do("heal", "fault firewall-reject")
	h.wantForces("reject-prohibited")
	h.do("heal", "fault unreachable-host", "fault partition", "fault partition client")
	h.wantForces("unreachable-host", "partition server", "partition client")
	h.do("fault unreachable-net", "fault unreachable-net")
	h.wantForces("partition server", "partition client", "unreachable-net")
	h.do("heal")
	h.wantForces()
	for _, c := range []struct{ text, err string }{
		{"fault half-close", "it has no fault"},
		{"fault crash-idle server", "stands for fault crash server: nothing follows it"},
		{"fault explode", `no fault "explode": there are kill`},
	} {
		if err := h.try(c.text); err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", c.text, err, c.err)
		}
	}
	for text, build := range map[string][]string{
		"fault nat-expiry": {"path router", "firewall drop"}, "fault failover": {"path switch", "standby"},
	} {
		err := h.try(text)
		if need, ok := errors.AsType[*scenarios.NeedError](err); !ok || !slices.Equal(need.Build, build) {
			t.Errorf("%s: %v, %+v", text, err, need)
		}
	}
	direct := openHand(t, lab.Options{Path: topology.Direct}, lab.Hand{})
	err := direct.try("fault partition-to-server")
	if need, ok := errors.AsType[*scenarios.NeedError](err); !ok || !slices.Equal(need.Build, []string{"path router"}) {
		t.Errorf("on a direct path: %v, %+v", err, need)
	}
}

// A host that is down is booted, and dies no second time.
func TestHandBoot(t *testing.T) {
	t.Parallel()
	for _, path := range topology.Paths {
		t.Run(string(path), func(t *testing.T) {
			t.Parallel()
			h := openHand(t, lab.Options{Path: path}, lab.Hand{Build: []string{"arp answered"}})
			h.connect()
			h.do("fault crash")
			h.wantForces("crash server")
			for text, want := range map[string]string{
				"fault kill": "server is down", "fault shutdown server": "server is down",
				"fault crash server": "server is down", "freeze server": "server is down", "start -as x server sleep 1": "server is down",
			} {
				if err := h.try(text); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %v, want %q", text, err, want)
				}
			}
			h.do("fault power-off client")
			h.wantForces("crash server", "power-off client")
			h.do("fault reboot client", "fault reboot")
			h.wantForces()
			if server, client := h.s.Network().Server.Boot(), h.s.Network().Client.Boot(); server != 2 || client != 2 {
				t.Errorf("boots: server %d, client %d", server, client)
			}
			h.do("start -as server2 server echo-server {any:port}", "expect server socket LISTEN",
				"start -as client2 client echo-client {server:port}", "type client2 again", "expect client2 prints again")
			h.do("fault reboot")
			if n := h.s.Network().Server.Boot(); n != 3 {
				t.Errorf("boot %d of the server", n)
			}
			r := h.s.Finish()
			var kinds []string
			for _, f := range append([]record.FaultInfo{r.Fault}, r.Later...) {
				if kinds = append(kinds, f.Kind); f.Back == 0 {
					t.Errorf("%s is in force yet", f.Kind)
				}
			}
			if !slices.Equal(kinds, []string{"crash", "power-off", "reboot"}) {
				t.Errorf("faults %q", kinds)
			}
			if !slices.ContainsFunc(r.Events, func(e record.Event) bool {
				return e.Source == record.Fault && e.Kind == "boot" && e.Text == "link up"
			}) {
				t.Error("no event tells of the boot")
			}
			if path != topology.Direct && !r.Signature.OK { // there the other host loses its carrier
				t.Errorf("signature %+v", r.Signature)
			}
		})
	}
}

// After a failover the server's address is the standby's.
func TestHandFailover(t *testing.T) {
	t.Parallel()
	h := openHand(t, lab.Options{Path: topology.Switch}, lab.Hand{Build: []string{"standby"}})
	h.connect()
	if err := h.try("fault failover client"); err == nil || !strings.Contains(err.Error(), "takes over from the server") {
		t.Errorf("failover of the client: %v", err)
	}
	h.do("fault failover")
	h.wantForces("failover server")
	if err := h.try("fault reboot"); !errors.Is(err, lab.ErrScenario) || !strings.Contains(err.Error(), "the standby has the address of the server") {
		t.Errorf("reboot: %v", err)
	}
	h.do("fault crash standby")
	h.wantForces("failover server", "crash standby")
	h.do("fault reboot standby", "start -as second standby echo-server {any:port}", "expect standby socket LISTEN",
		"start -as client2 client echo-client {server:port}", "type client2 hello", "expect client2 prints hello")
	h.wantForces("failover server")
}

// Faults come on top of each other, and heal is of the network alone.
func TestHandOnTop(t *testing.T) {
	t.Parallel()
	for _, family := range []topology.Family{topology.IPv4, topology.IPv6} {
		t.Run(fmt.Sprint("ipv", family), func(t *testing.T) {
			t.Parallel()
			h := openHand(t, lab.Options{
				Path: topology.Router, Family: family,
				Sysctls: map[string]map[string]string{"router": {"net.ipv4.icmp_ratelimit": "0"}}, // it answers each SYN
			}, lab.Hand{Build: []string{"arp answered"}})
			h.connect()
			h.do("fault partition server", "fault crash server")
			h.wantForces("partition server", "crash server")
			h.do("heal")
			h.wantForces("crash server")
			h.do("fault unreachable-host", "fault reboot server")
			h.wantForces("unreachable-host")
			// The last decides what the router answers.
			serve := func(n int) {
				t.Helper()
				h.do(fmt.Sprintf("start -as server%d server echo-server {any:port}", n), "expect server socket LISTEN")
			}
			client := 0
			refused := func(fault, errno string) {
				t.Helper()
				h.do(fault)
				client++
				name := fmt.Sprintf("client%d", client)
				h.do(fmt.Sprintf("start -as %s client echo-client {server:port}", name), fmt.Sprintf("expect -within 10s %s connect() = %s", name, errno))
			}
			serve(2)
			net := "ENETUNREACH"
			prohibited := "EHOSTUNREACH"
			if family == topology.IPv6 {
				prohibited = "EACCES"
			}
			client++
			h.do("start -as client1 client echo-client {server:port}", "expect -within 10s client1 connect() = EHOSTUNREACH")
			refused("fault unreachable-net", net)
			refused("fault unreachable-host", "EHOSTUNREACH")
			refused("fault reject-reset", "ECONNREFUSED")
			refused("fault reject-prohibited", prohibited)
			h.wantForces("reject-prohibited")
			refused("fault unreachable-net", net)
			h.wantForces("unreachable-net")
			h.do("fault crash client", "fault crash server", "heal")
			h.wantForces("crash client", "crash server")
			h.do("fault reboot server", "fault reboot client")
			serve(3)
			h.do("start -as last client echo-client {server:port}", "type last hello", "expect last prints hello")
			h.wantForces()
		})
	}
}

// A shutdown ends those, too, that are stopped.
func TestHandShutdownFrozen(t *testing.T) {
	t.Parallel()
	h := openHand(t, lab.Options{Path: topology.Switch, Grace: 300 * time.Millisecond}, lab.Hand{})
	h.connect()
	h.do("freeze server")
	h.wantForces("freeze server")
	h.do("fault shutdown")
	h.wantForces()
	if left, err := h.s.Network().Server.Processes(); err != nil || len(left) != 0 {
		t.Errorf("left: %+v, %v", left, err)
	}
}

// A session that keeps only what came last goes on for as long as one likes.
func TestHandKeep(t *testing.T) {
	t.Parallel()
	h := openHand(t, lab.Options{Path: topology.Switch}, lab.Hand{Keep: 5000})
	h.do("start -as many client sh -c 'seq 12000; exec sleep 1000'", "expect many prints 11999")
	for i := range 110 {
		h.do(fmt.Sprintf("start -as p%d client true", i), fmt.Sprintf("expect p%d exits 0", i))
		if err := h.try("fault shutdown server"); !errors.Is(err, lab.ErrScenario) {
			t.Fatal(err)
		}
	}
	r := h.s.Finish()
	if n := len(r.Events); n < 5000 || n > 12000 {
		t.Errorf("%d events are kept", n)
	}
	if r.Outcome != record.Inconclusive || len(r.Reasons) != 1 || !strings.Contains(r.Reasons[0], "events were not kept") {
		t.Errorf("%s %q", r.Outcome, r.Reasons)
	}
	if n := len(r.Programs); n < 101 || n > 102 {
		t.Errorf("%d programs are remembered", n)
	}
}

// A fault that was gone through is what it is called, whatever else is done.
func TestHandSignature(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		build []string
		lines []string
	}{
		{"crash and boot", nil, []string{"fault crash", "type client more", "expect client sends data", "fault reboot", "expect client exits 1"}},
		{"forgotten flow, and a new one", []string{"firewall reset"}, []string{
			"fault forget-flow", "type client more", "expect client exits 1",
			"start -as again client echo-client {server:port}", "type again hello", "expect again prints hello",
		}},
		{"both ways, and healed", nil, []string{"fault partition", "fault partition client", "type client more", "expect client sends data", "heal", "expect client prints more"}},
		{"without traffic", nil, []string{"fault unreachable-net", "heal", "fault partition", "heal", "fault shutdown"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := openHand(t, lab.Options{Path: topology.Router, Grace: 300 * time.Millisecond}, lab.Hand{Build: append(c.build, "arp answered")})
			h.connect()
			h.do(c.lines...)
			r := h.s.Finish()
			if r.Outcome != record.AsExpected {
				t.Errorf("%s %q", r.Outcome, r.Reasons)
			}
			checkReports(t, r)
		})
	}
}

// Only what a fault has stopped is a fault in force, and goes on when one is healed.
func TestHandFreeze(t *testing.T) {
	t.Parallel()
	h := openHand(t, lab.Options{Path: topology.Switch}, lab.Hand{})
	h.connect()
	state := func(host, comm string) (pid int, state byte) {
		t.Helper()
		at, err := h.s.Network().Host(host)
		if err != nil {
			t.Fatal(err)
		}
		processes, err := at.Processes()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range processes {
			if p.Comm == comm {
				return p.PID, p.State
			}
		}
		t.Fatalf("no %s on %s", comm, host)
		return 0, 0
	}
	pid, _ := state("client", "echo-client")
	if _, err := h.s.Network().Client.Signal(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	h.wantForces()
	for _, text := range []string{"thaw", "thaw client"} {
		if err := h.try(text); !errors.Is(err, lab.ErrScenario) || !strings.Contains(err.Error(), "no fault has stopped a process") {
			t.Errorf("%s: %v", text, err)
		}
	}
	h.do(fmt.Sprintf("thaw client %d", pid))
	h.do("freeze client", "fault hang")
	h.wantForces("freeze client", "freeze server")
	h.do("thaw client")
	h.wantForces("freeze server")
	h.do("freeze client", "thaw")
	h.wantForces()
	for host, comm := range map[string]string{"client": "echo-client", "server": "echo-child"} {
		if _, state := state(host, comm); state == 'T' {
			t.Errorf("%s is stopped yet", comm)
		}
	}
	// Somebody lets it go on, and stops it again.
	h.do("freeze client")
	for _, signal := range []unix.Signal{unix.SIGCONT, unix.SIGSTOP} {
		if _, err := h.s.Network().Client.Signal(pid, signal); err != nil {
			t.Fatal(err)
		}
		h.wantForces()
	}
}

// Who might take a forgotten flow for one that is healed is told; so is who kills a
// process for its unread octets, of which there are none.
func TestHandTold(t *testing.T) {
	t.Parallel()
	h := openHand(t, lab.Options{Path: topology.Router}, lab.Hand{Build: []string{"arp answered", "firewall drop"}})
	h.connect()
	did := func(text, want string, is bool) {
		t.Helper()
		done, err := h.s.Do(t.Context(), "typed", 1, text)
		if err != nil {
			t.Fatal(err)
		}
		if told := slices.ContainsFunc(done.Did, func(e record.Event) bool { return strings.Contains(e.Text, want) }); told != is {
			t.Errorf("%s did %+v", text, done.Did)
		}
	}
	const forgotten = "the flows that the firewall forgot stay forgotten"
	did("heal", forgotten, false)
	did("fault forget-flow", "no heal brings it back", true)
	did("heal", forgotten, true)
	did("heal", forgotten, false)
	did("fault kill-unread", "no octet lies unread in a connection of its own", true)
}
