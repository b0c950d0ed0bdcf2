package main

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// What cannot be built as it was asked for is a mistake of who asked, and leaves
// nothing.
func TestHandUpUsage(t *testing.T) {
	t.Parallel()
	h := newHand(t)
	for _, c := range []struct{ says, flags string }{
		{`path "ring": there are direct, switch, router`, "--path ring"},
		{`path "ring"`, "--fg --path ring"},
		{"sysctl net.ipv4.nosuch for client: this kernel has none of that name", "--sysctl client:net.ipv4.nosuch=5"},
		{"hint: the kernel refuses net.ipv4.tcp_retries2 = many", "--sysctl client:net.ipv4.tcp_retries2=many"},
		{"sysctl for the router: the path switch has none", "--path switch --sysctl router:net.ipv4.ip_forward=1"},
		{"lab: firewall drop: it takes a router (path); the path is switch\nhint: see lab up --help\n", "--path switch --firewall drop"},
		{"lab: usage: firewall drop | reset\n", "--firewall open"},
		{"a negative time", "--delay -1s"},
		{"unknown argument \"extra\" of lab up\nhint: see lab up --help\n", "extra"},
	} {
		h.refused(exitUsage, c.says, append([]string{"up"}, strings.Fields(c.flags)...)...)
	}
}

// A hint is about the lab that was named, and what is wrong is told in lab's words.
func TestHandUsage(t *testing.T) {
	t.Parallel()
	h := newHandUp(t)
	named := func(text string) string { return fmt.Sprintf(text, "--name "+h.name) }
	for _, c := range []struct{ says, command string }{
		{named("hint: for example sudo lab exec %s server -- echo-server {any:port}\n"), "exec"},
		{named("hint: for example sudo lab exec %s server -- "), "exec client"},
		{named("hint: options come before the host: sudo lab exec %s --user ... client -- PROGRAM\n"), "exec client --user root true"},
		{named("hint: for example sudo lab await %s client receives RST\n"), "await"},
		{named("--within=1s is behind the event\nhint: options come before it: sudo lab await %s --within ... client prints; "), "await client prints x --within=1s"},
		{named("a shell on which host?\nhint: for example sudo lab shell %s client\n"), "shell"},
		{`unknown argument "ls" behind the host` + "\n", "shell client ls"},
		{"unknown argument \"client\" of lab status\nhint: see lab status --help\n", "status client"},
		{"unknown argument \"foo\" of lab watch\nhint: see lab watch --help\n", "watch foo"},
		{"unknown argument \"foo\" of lab tutorial\nhint: see lab tutorial --help\n", "tutorial foo"},
		{named("start or stop?\nhint: sudo lab record start %[1]s, and later sudo lab record stop %[1]s\n"), "record"},
		{named("hint: sudo lab down %[1]s; sudo lab up %[1]s --path switch --standby\n"), "fault failover"},
		{named("hint: sudo lab down %[1]s; sudo lab up %[1]s --path router --firewall drop\n"), "fault forget-flow"},
		{named("hint: for example sudo lab fault %s crash; see lab fault --help\n"), "fault"},
		{`"abc" is no process id: that is a number, which lab status tells`, "fault kill server abc"},
		{"a host and a process id follow, one each", "fault kill 12 13"},
		{`unknown argument "y" behind a process id`, "fault kill server 12 y"},
		{"crash is about a host, and no process: 12 does not belong there", "fault crash server 12"},
		{"unreachable-host is about the network, and no host", "fault unreachable-host client"},
	} {
		h.refused(exitUsage, c.says, strings.Fields(c.command)...)
	}
	for _, c := range []struct{ says, command string }{
		{"unknown argument \"foo\" of lab ls\nhint: see lab ls --help\n", "ls foo"},
		{"start or stop?\nhint: sudo lab record start, ", "record sideways"},
		{"start or stop?\nhint: sudo lab record start, ", "record --out x"},
		{"hint: a lab is named by an option: sudo lab status --name two; see lab status --help\n", "status two"},
		{"unknown argument \"client\" of lab status\nhint: see lab status --help\n", "status client"},
		{"unknown argument \"router\" of lab watch\nhint: see lab watch --help\n", "watch router"},
	} {
		out, status := h.inOwnRun(1000, "lab "+c.command+" 2>&1")
		if status != exitUsage || !strings.Contains(out, c.says) {
			t.Errorf("lab %s: exit status %d, it says %q, not %q", c.command, status, out, c.says)
		}
	}
	if out := h.must("status"); strings.Count(out, "  sudo nsenter ") != 3 {
		t.Errorf("how to enter the namespaces: %s", out)
	}
}

// Where there is nobody to act upon the hint names who could be.
func TestHandNobody(t *testing.T) {
	t.Parallel()
	h := newHandUp(t)
	h.refused(exitNotOK, "hint: programs are started by sudo lab exec --name "+h.name+" HOST -- PROGRAM\n", "fault", "kill")
	c := h.command("exec", "server", "--", "sleep", "1000")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.do("down"); _ = c.Wait() })
	p := h.runs("server", "sleep 1000")
	shows := "sudo lab status --name " + h.name + " shows the processes\n"
	for _, kind := range []string{"kill", "freeze"} {
		h.refused(exitNotOK, fmt.Sprintf("server has no connection with a client\nhint: sudo lab fault --name %s %s server %d is about sleep; %s", h.name, kind, p.PID, shows), "fault", kind)
	}
	h.refused(exitNotOK, "no process 4711 on server\nhint: "+shows, "fault", "kill", "server", "4711")
}

// A process that is stopped by its user is no fault; who wants it thawed as one is
// told how.
func TestHandStopped(t *testing.T) {
	t.Parallel()
	h := newHandUp(t)
	c := h.command("exec", "client", "--", "sleep", "1000")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.do("down"); _ = c.Wait() })
	pid := strconv.Itoa(h.runs("client", "sleep 1000").PID)
	h.must("exec", "client", "--", "kill", "-STOP", pid)
	if out := h.must("status"); !strings.Contains(out, "no fault is in force") {
		t.Errorf("status: %s", out)
	}
	want := "hint: sudo lab fault --name " + h.name + " thaw client " + pid + " is about sleep; "
	for _, args := range [][]string{{"thaw"}, {"thaw", "client"}, {"thaw", "server"}} {
		h.refused(exitNotOK, want, append([]string{"fault"}, args...)...)
	}
	h.must("fault", "thaw", "client", pid)
	h.refused(exitNotOK, "no fault has stopped a process\n", "fault", "thaw")
	h.must("fault", "freeze", "client", pid)
	if out := h.must("fault", "thaw"); out != "thaw: SIGCONT to process "+pid+"\n" {
		t.Errorf("thaw: %q", out)
	}
}

// A lab in the place of one that cannot do something has the other's options.
func TestHandAnew(t *testing.T) {
	t.Parallel()
	h := newHandUp(t, "--delay", "5ms")
	name := " --name " + h.name
	h.refused(exitUsage, "hint: sudo lab down"+name+"; sudo lab up"+name+" --delay 5ms --path switch --standby\n", "fault", "failover")
	h.must("down")
	h.must("up", "--path", "switch", "--standby")
	h.must("fault", "failover")
	for _, args := range [][]string{{"exec", "server", "--", "true"}, {"fault", "kill"}, {"fault", "failover"}} {
		h.refused(1, "hint: sudo lab down"+name+"; sudo lab up"+name+" --path switch --standby makes a lab in which it is up\n", args...)
	}
}
