package topology_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/topology"
)

func TestMain(m *testing.M) {
	topology.RunInit()
	switch os.Args[0] {
	case borrowedName:
		holdSocket()
	case tracerName:
		traceInit()
	case entrantName:
		enterAndStop()
	}
	flag.Parse()
	// Most of these tests wait: for a timer, or for silence. More of them at
	// once than there are processors, unless somebody says otherwise.
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", "8"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	os.Exit(testenv.Main(m))
}

// newNetwork builds a network for one test, and checks that it is gone afterwards.
func newNetwork(t *testing.T, c topology.Config) *topology.Network {
	t.Helper()
	testenv.NeedRoot(t)
	n, err := topology.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error("close:", err)
		}
	})
	return n
}

var families = []topology.Family{topology.IPv4, topology.IPv6}

// dial connects from the client's namespace to the server's address, at which
// this process listens.
func dial(t *testing.T, n *topology.Network) (client, server net.Conn) {
	t.Helper()
	addr := netip.AddrPortFrom(n.Server.NIC.Address.Addr(), 9998).String()
	var l net.Listener
	if err := n.Server.Namespace().Do(func() (err error) {
		l, err = net.Listen("tcp", addr)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	client, err := connect(n, addr)
	if err != nil {
		l.Close()
		<-accepted
		t.Fatal(err)
	}
	server = <-accepted
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// connect does so from the client's namespace. A plain dial connects on this
// thread: the socket is made here.
func connect(n *topology.Network, addr string) (c net.Conn, err error) {
	err = n.Client.Namespace().Do(func() error {
		c, err = net.DialTimeout("tcp", addr, 10*time.Second)
		return err
	})
	return c, err
}

func TestPathsCarryTraffic(t *testing.T) {
	for _, family := range families {
		for _, path := range topology.Paths {
			for _, answer := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s,%s,answerARP=%v", family, path, answer), func(t *testing.T) {
					t.Parallel()
					n := newNetwork(t, topology.Config{Path: path, Family: family, AnswerARP: answer})
					client, server := dial(t, n)
					if _, err := fmt.Fprintln(client, "hello"); err != nil {
						t.Fatal(err)
					}
					line, err := bufio.NewReader(server).ReadString('\n')
					if err != nil || line != "hello\n" {
						t.Errorf("server read %q, %v", line, err)
					}
				})
			}
		}
	}
}

func TestUnreachableFailsConnect(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		family topology.Family
		addr   string
		name   string
		make   func(*topology.Network) error
		want   error
	}{
		{topology.IPv4, "10.0.1.2:9998", "host", (*topology.Network).HostUnreachable, unix.EHOSTUNREACH},
		{topology.IPv4, "10.0.1.2:9998", "net", (*topology.Network).NetUnreachable, unix.ENETUNREACH},
		{topology.IPv6, "[fd00:0:0:1::2]:9998", "host", (*topology.Network).HostUnreachable, unix.EHOSTUNREACH},
		{topology.IPv6, "[fd00:0:0:1::2]:9998", "net", (*topology.Network).NetUnreachable, unix.ENETUNREACH},
	} {
		t.Run(fmt.Sprint(c.family, ",", c.name), func(t *testing.T) {
			n := newNetwork(t, topology.Config{Path: topology.Router, Family: c.family})
			if err := c.make(n); err != nil {
				t.Fatal(err)
			}
			conn, err := connect(n, c.addr)
			if err == nil {
				conn.Close()
			}
			if !errors.Is(err, c.want) {
				t.Errorf("connect: %v, want %v", err, c.want)
			}
		})
	}
}

func TestUnreachableNeedsRouter(t *testing.T) {
	n := newNetwork(t, topology.Config{Path: topology.Direct})
	if err := n.HostUnreachable(); err == nil || !strings.Contains(err.Error(), "without a router") {
		t.Errorf("error %v", err)
	}
}

func TestCrashKeepsClientsCarrierBehindSwitch(t *testing.T) {
	n := newNetwork(t, topology.Config{Path: topology.Switch, AnswerARP: true})
	dial(t, n)
	var notes []string
	if err := n.Crash(n.Server, func(s string) { notes = append(notes, s) }); err != nil {
		t.Fatal(err)
	}
	if len(notes) != 2 || notes[0] != "link down" {
		t.Errorf("notes %q", notes)
	}
	var carrier string
	if err := n.Client.Namespace().Do(func() error {
		i, err := net.InterfaceByName("eth0")
		if err == nil {
			carrier = i.Flags.String()
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(carrier, "running") {
		t.Errorf("client's eth0 is %s, want running", carrier)
	}
}

func TestRebootKeepsCard(t *testing.T) {
	for _, family := range families {
		for _, path := range topology.Paths {
			t.Run(fmt.Sprint(family, ",", path), func(t *testing.T) {
				n := newNetwork(t, topology.Config{Path: path, Family: family})
				// Held open, or its number might be given to the next one.
				old, err := unix.FcntlInt(uintptr(n.Server.Namespace().FD()), unix.F_DUPFD_CLOEXEC, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer unix.Close(old)
				before := n.Server.Namespace().Inode()
				if err := n.Crash(n.Server, func(string) {}); err != nil {
					t.Fatal(err)
				}
				if err := n.Boot(n.Server, func(string) {}); err != nil {
					t.Fatal(err)
				}
				if after := n.Server.Namespace().Inode(); after == before {
					t.Errorf("still in network namespace %d", after)
				}
				if n.Server.Boot() != 2 {
					t.Errorf("boot %d, want 2", n.Server.Boot())
				}
				var mac string
				if err := n.Server.Namespace().Do(func() error {
					i, err := net.InterfaceByName("eth0")
					if err == nil {
						mac = i.HardwareAddr.String()
					}
					return err
				}); err != nil {
					t.Fatal(err)
				}
				if mac != n.Server.NIC.MAC.String() {
					t.Errorf("hardware address %s, want %s", mac, n.Server.NIC.MAC)
				}
				dial(t, n) // it carries traffic again
			})
		}
	}
}

// The kernel gives a namespace's number to another within milliseconds: a
// crashed host keeps its own, or its observers would report a stranger's
// processes as its own.
func TestCrashedHostKeepsItsNumber(t *testing.T) {
	n := newNetwork(t, topology.Config{Path: topology.Switch})
	mine := fmt.Sprintf("pid:[%d]", n.Server.PIDNamespace())
	if err := n.Crash(n.Server, func(string) {}); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		stranger := exec.Command("readlink", "/proc/self/ns/pid_for_children")
		stranger.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
		out, err := stranger.Output()
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(string(out)); got == mine {
			t.Fatalf("a stranger's namespace is %s, as the crashed host's", got)
		}
	}
}

func TestProcessStatusAndOutput(t *testing.T) {
	n := newNetwork(t, topology.Config{Path: topology.Direct})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p, err := n.Server.Start(topology.Command{Path: "/bin/sh", Argv: []string{"sh", "-c", "hostname; echo $$; exit 3"}, Env: []string{"PATH=/bin:/usr/bin"}, Stdout: w})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	status, ok := p.Status()
	if !ok || status.ExitStatus() != 3 {
		t.Errorf("status %v, %v; want exit 3", status, ok)
	}
	lines := bufio.NewScanner(r)
	lines.Scan()
	if lines.Text() != "server" {
		t.Errorf("host name %q, want server", lines.Text())
	}
	lines.Scan()
	if lines.Text() != fmt.Sprint(p.PID) {
		t.Errorf("its own process id is %s, lab's is %d", lines.Text(), p.PID)
	}
}

func TestShutdownOrder(t *testing.T) {
	n := newNetwork(t, topology.Config{Path: topology.Direct})
	ready := func(script string) *topology.Process {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		p, err := n.Server.Start(topology.Command{
			Path: "/bin/sh", Argv: []string{"sh", "-c", script}, Env: []string{"PATH=/bin:/usr/bin"}, Stdout: w,
		})
		w.Close()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(r).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		return p
	}
	polite := ready("echo; while :; do sleep 0.01; done")
	stubborn := ready("trap '' TERM; echo; while :; do sleep 0.01; done")
	var stages []topology.Stage
	start := time.Now()
	const grace = 300 * time.Millisecond
	if err := n.Server.Shutdown(context.Background(), grace, func(s topology.Stage) { stages = append(stages, s) }); err != nil {
		t.Fatal(err)
	}
	if len(stages) != 2 || stages[0].Signal != unix.SIGTERM || stages[1].Signal != unix.SIGKILL || stages[1].Left == 0 {
		t.Errorf("stages %+v, want SIGTERM and, with processes left, SIGKILL", stages)
	}
	if took := time.Since(start); took < grace {
		t.Errorf("took %v, less than the grace of %v", took, grace)
	}
	for p, want := range map[*topology.Process]unix.Signal{polite: unix.SIGTERM, stubborn: unix.SIGKILL} {
		<-p.Done()
		if status, ok := p.Status(); !ok || status.Signal() != want {
			t.Errorf("process %d: %v, want %v", p.PID, status.Signal(), want)
		}
	}
}

func TestMainThreadStaysHome(t *testing.T) {
	ns := namespace(t)
	home, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if err := ns.Do(func() error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		link, err := os.Readlink("/proc/self/task/" + task.Name() + "/ns/net")
		if err == nil && link != home {
			t.Errorf("thread %s is in %s, not %s", task.Name(), link, home)
		}
	}
}

func namespace(t *testing.T) *topology.Namespace {
	t.Helper()
	testenv.NeedRoot(t)
	ns, err := topology.NewNamespace()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	return ns
}

// linkState is what the interface was set to, up or down.
func linkState(t *testing.T, ns *topology.Namespace, name string) string {
	t.Helper()
	state := "down"
	if err := ns.Do(func() error {
		i, err := net.InterfaceByName(name)
		if err == nil && i.Flags&net.FlagUp != 0 {
			state = "up"
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return state
}
