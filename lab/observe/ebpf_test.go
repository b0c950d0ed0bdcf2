package observe

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/topology"
)

// tracedEnv makes the test binary play a host: "init" is process 1, which
// starts "program" when it reads a line.
const tracedEnv = "OBSERVE_TEST_TRACED"

// tracedBlockedEnv makes "program" read what never comes.
const tracedBlockedEnv = "OBSERVE_TEST_BLOCKED"

// tracedRoundsEnv makes "program" an echo of so many rounds.
const tracedRoundsEnv = "OBSERVE_TEST_ROUNDS"

// testOpenTracer is a tracer of the test's own.
func testOpenTracer(t testing.TB) *Tracer {
	t.Helper()
	return testOpenTracerOf(t, false)
}

func testOpenTracerOf(t testing.TB, virtual bool) *Tracer {
	t.Helper()
	testenv.NeedRoot(t)
	began := time.Now()
	tracer, missing, err := openTracer(true, virtual)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("opened in %v", time.Since(began))
	t.Cleanup(func() {
		if err := tracer.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, m := range missing {
		t.Logf("missing: %s: %s", m.Observer, m.Why)
	}
	return tracer
}

func testWatch(t testing.TB, tracer *Tracer, clock Clock, sink Sink, hosts ...Host) *Tracing {
	t.Helper()
	tracing, err := tracer.Watch(clock, sink)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if dropped, err := tracing.Close(); err != nil || dropped != 0 {
			t.Errorf("Close() = %d, %v, want 0, nil", dropped, err)
		}
	})
	for _, h := range hosts {
		if err := tracing.Add(h); err != nil {
			t.Fatal(err)
		}
	}
	return tracing
}

func testTracer(t testing.TB, clock Clock, sink Sink, hosts ...Host) *Tracing {
	t.Helper()
	return testWatch(t, testOpenTracer(t), clock, sink, hosts...)
}

func testTracerFlush(t testing.TB, tracing *Tracing) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := tracing.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

// playTracedHost is the host of TestTracerReportsProgram, in a process that
// was executed to be one; in any other it does nothing.
func playTracedHost() {
	switch os.Getenv(tracedEnv) {
	case "init":
		if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
			os.Exit(1)
		}
		cmd := exec.Command("/proc/self/exe", "traced")
		cmd.Env = append(os.Environ(), tracedEnv+"=program")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		_ = cmd.Run() // its exit is what the test looks at
		os.Exit(0)
	case "program":
		if rounds, err := strconv.Atoi(os.Getenv(tracedRoundsEnv)); err == nil {
			if err := tracedEcho(rounds); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
			os.Exit(0)
		}
		if addrs := os.Getenv(tracedConnectEnv); addrs != "" {
			tracedConnect(strings.Fields(addrs))
			os.Exit(0)
		}
		if act := tracedActs()[os.Getenv(tracedActEnv)]; act != nil {
			if err := act(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
		if os.Getenv(tracedBlockedEnv) != "" {
			fmt.Fprintln(os.Stderr, tracedBlocked())
			os.Exit(1)
		}
		if err := tracedProgram(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(3)
	}
}

// tracedProgram talks to itself with plain blocking calls.
func tracedProgram() error {
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	addr := &unix.SockaddrInet4{Port: 7000, Addr: [4]byte{127, 0, 0, 1}}
	if err := unix.Bind(l, addr); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if err := unix.Listen(l, 5); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	if err := unix.Connect(c, addr); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	a, _, err := unix.Accept(l)
	if err != nil {
		return fmt.Errorf("accept: %w", err)
	}
	buf := make([]byte, 100)
	if _, err := unix.Write(c, []byte("hello")); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if _, err := unix.Poll([]unix.PollFd{{Fd: int32(a), Events: unix.POLLIN}}, 1000); err != nil {
		return fmt.Errorf("poll: %w", err)
	}
	if _, err := unix.Read(a, buf); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if err := unix.Shutdown(c, unix.SHUT_WR); err != nil {
		return fmt.Errorf("shutdown: %w", err)
	}
	if _, err := unix.Read(a, buf); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if _, err := unix.GetsockoptInt(c, unix.SOL_SOCKET, unix.SO_ERROR); err != nil {
		return fmt.Errorf("getsockopt: %w", err)
	}
	for _, fd := range []int{l, a, c} {
		if err := unix.Close(fd); err != nil {
			return fmt.Errorf("close: %w", err)
		}
	}
	r, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	if err := unix.Connect(r, addr); err != unix.ECONNREFUSED {
		return fmt.Errorf("connect to a closed port: %w", err)
	}
	return nil
}

// testTracedHost starts a host in namespaces of its own.
func testTracedHost(t testing.TB) (h Host, start func(), cmd *exec.Cmd) {
	t.Helper()
	testenv.NeedRoot(t)
	cmd = exec.Command("/proc/self/exe", "traced")
	cmd.Env = append(os.Environ(), tracedEnv+"=init")
	cmd.Stdout, cmd.Stderr = &strings.Builder{}, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNET}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	ns, err := topology.OpenNamespace(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	info, err := os.Stat(filepath.Join("/proc", fmt.Sprint(cmd.Process.Pid), "ns", "pid"))
	if err != nil {
		t.Fatal(err)
	}
	h = Host{Name: "host", Boot: 1, Net: ns, PIDNS: uint32(info.Sys().(*syscall.Stat_t).Ino)}
	return h, func() {
		if _, err := io.WriteString(stdin, "go\n"); err != nil {
			t.Fatal(err)
		}
	}, cmd
}

// testProgram observes a program in a host of its own, from its start to its end.
func testProgram(t *testing.T, text bool) (*eventLog, *Tracing) {
	t.Helper()
	h, start, cmd := testTracedHost(t)
	h.Text = text
	var log eventLog
	tracing := testTracer(t, testClock(t), log.add, h)
	start()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	testTracerFlush(t, tracing)
	return &log, tracing
}

func TestTracerReportsProgram(t *testing.T) {
	log, _ := testProgram(t, false)

	var calls, states, tcp, procs []string
	pid := 0
	for _, e := range log.sorted() {
		if e.Host != "host" || e.Boot != 1 {
			t.Fatalf("event of host %q, boot %d", e.Host, e.Boot)
		}
		switch {
		case e.Process != nil && e.Kind == record.KindExec:
			pid = e.PID
			procs = append(procs, fmt.Sprintf("exec %s", e.Process.Argv[1:]))
		case e.Process != nil && e.Kind == record.KindExit && e.PID == pid:
			procs = append(procs, fmt.Sprintf("exit %d %s", e.Process.Status, e.Process.Signal))
		case e.Kind == record.KindEnter:
			t.Errorf("the sink got the beginning of %s", e.Syscall.Name)
		case e.Kind == record.KindCall && e.PID == pid:
			c := e.Syscall
			if !c.Socket && c.Name != "poll" && c.Name != "ppoll" {
				continue // the Go runtime's own
			}
			if c.Duration <= 0 {
				t.Errorf("%s took %d ns", c.Name, c.Duration)
			}
			calls = append(calls, strings.TrimRight(fmt.Sprintf("%s(%d %s) = %d %s %s",
				c.Name, c.FD, c.Arg+c.Data, c.Ret, c.Error, c.Remote), " "))
		case e.State != nil:
			s := e.State
			states = append(states, fmt.Sprintf("%d %s %s", s.Sock, s.From, s.To))
		case e.TCP != nil && e.Kind != record.KindDrop:
			tcp = append(tcp, strings.TrimRight(e.Kind+" "+e.TCP.State+" "+e.TCP.Error, " "))
		}
	}
	// The descriptors are not what matters.
	lowest := fds(calls)
	for i, c := range calls {
		calls[i] = lowest.Replace(c)
	}
	t.Log(strings.Join(calls, "\n"))

	want := []string{
		"bind(L 127.0.0.1:7000) = 0",
		"listen(L 5) = 0",
		"connect(C 127.0.0.1:7000) = 0  127.0.0.1:7000",
		"accept4(L ) = A  127.0.0.1:PORT",
		"write(C hello) = 5  127.0.0.1:7000",
		"POLL(-1 A:POLLIN) = 1",
		"read(A hello) = 5  127.0.0.1:PORT",
		"shutdown(C SHUT_WR) = 0  127.0.0.1:7000",
		"read(A ) = 0  127.0.0.1:PORT",
		"getsockopt(C SO_ERROR 0) = 0  127.0.0.1:7000",
		"close(L ) = 0",
		"close(A ) = 0  127.0.0.1:PORT",
		"close(C ) = 0  127.0.0.1:7000",
		"connect(L 127.0.0.1:7000) = -111 ECONNREFUSED",
	}
	if diff := cmp.Diff(want, calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"exec [traced]", "exit 3 "}, procs); diff != "" {
		t.Errorf("process (-want +got):\n%s", diff)
	}
	wantStates := []string{
		"1 CLOSE LISTEN",
		"2 CLOSE SYN_SENT",
		"3 LISTEN SYN_RECV",
		"3 SYN_RECV ESTABLISHED",
		"2 SYN_SENT ESTABLISHED",
	}
	sub := states
	if len(sub) > len(wantStates) {
		sub = sub[:len(wantStates)]
	}
	slices.Sort(sub)
	slices.Sort(wantStates)
	if diff := cmp.Diff(wantStates, sub); diff != "" {
		t.Errorf("states (-want +got):\n%s\nall: %s", diff, strings.Join(states, "; "))
	}
	// The refused connection: a reset by nobody, received, and the error.
	wantTCP := []string{"error CLOSE ECONNREFUSED", "rst-received SYN_SENT", "rst-sent"}
	slices.Sort(tcp)
	if diff := cmp.Diff(wantTCP, tcp); diff != "" {
		t.Errorf("TCP (-want +got):\n%s", diff)
	}
}

// A SIGCONT that its process does not catch is told, though the kernel calls it
// ignored; what is ignored indeed is not.
func TestTracerReportsSignals(t *testing.T) {
	events, _ := testAct(t, "signals")
	var got []string
	for _, e := range events {
		if e.Kind == record.KindSignal && e.Process.Sender == e.PID {
			got = append(got, e.Process.Signal)
		}
	}
	if diff := cmp.Diff([]string{"SIGCONT"}, got); diff != "" {
		t.Errorf("signals of the process to itself (-want +got):\n%s", diff)
	}
}

func TestInFlight(t *testing.T) {
	t.Setenv(tracedBlockedEnv, "1")
	h, start, cmd := testTracedHost(t)
	var log eventLog
	tracer := testTracer(t, testClock(t), log.add, h)
	start()
	reads := func() (calls []record.Event) {
		events, err := tracer.InFlight()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e.Syscall.Name == "read" && e.Syscall.Socket {
				calls = append(calls, e)
			}
		}
		return calls
	}
	testEventually(t, "a read in progress", func() bool { return len(reads()) == 1 })
	got := reads()[0]
	if got.Kind != record.KindEnter || got.Host != "host" || got.Boot != 1 || got.PID <= 1 || got.Time <= 0 ||
		got.Comm == "" || got.Syscall.Local != "127.0.0.1:7000" || got.Syscall.Remote == "" {
		t.Errorf("in flight: %+v, %+v", got, *got.Syscall)
	}
	testTracerFlush(t, tracer)
	if n := log.count(func(e record.Event) bool { return e.Kind == record.KindEnter }); n != 0 {
		t.Errorf("the sink got %d beginnings of calls", n)
	}
	// A killed thread does not return. With its init the whole host dies.
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	testEventually(t, "no read in progress", func() bool { return len(reads()) == 0 })
}

// fds names the descriptors and the port of tracedProgram's calls.
func fds(calls []string) *strings.Replacer {
	var l, c, a, port int
	for _, call := range calls {
		fmt.Sscanf(call, "bind(%d 127.0.0.1:7000)", &l)
		fmt.Sscanf(call, "accept4(%d ) = %d  127.0.0.1:%d", &l, &a, &port)
		if c == 0 {
			fmt.Sscanf(call, "connect(%d ", &c)
		}
	}
	r := []string{
		fmt.Sprintf("1:%d", port), "1:PORT", fmt.Sprintf("= %d  ", a), "= A  ",
		"ppoll(", "POLL(", "poll(", "POLL(", fmt.Sprintf(" %d:POLLIN", a), " A:POLLIN",
	}
	for name, fd := range map[string]int{"L": l, "C": c, "A": a} {
		r = append(r, fmt.Sprintf("(%d ", fd), "("+name+" ")
	}
	return strings.NewReplacer(r...)
}

func TestTracerTellsProbeFromTimeout(t *testing.T) {
	client, server := testPair(t)
	var log eventLog
	tracer := testTracer(t, testClock(t), log.add, client)
	l := testListen(t, server.Net, "10.77.0.2:7000")
	c := testDial(t, client.Net, "10.77.0.2:7000")
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	// A round trip, or the kernel has no RTT and sends no probe.
	buf := make([]byte, 1)
	for range 3 {
		mustIO(t)(c.Write([]byte("x")))
		mustIO(t)(s.Read(buf))
		mustIO(t)(s.Write([]byte("x")))
		mustIO(t)(c.Read(buf))
	}
	nl := testNetlink(t, server.Net)
	addrs, err := nl.AddrList(testFind(t, server.Net, "eth0"), unix.AF_INET)
	if err != nil || len(addrs) != 1 {
		t.Fatalf("addresses of the server: %v, %v", addrs, err)
	}
	// Nobody has the address any more: the segments are lost.
	if err := nl.AddrDel(testFind(t, server.Net, "eth0"), &addrs[0]); err != nil {
		t.Fatal(err)
	}
	mustIO(t)(c.Write([]byte("lost")))
	resent := func(e record.Event) bool {
		return e.Source == record.TCP && (e.Kind == record.KindRetransmit || e.Kind == record.KindTLP)
	}
	testEventually(t, "a probe and two timeouts", func() bool { return log.count(resent) >= 3 })
	testTracerFlush(t, tracer)

	var got []string
	var rto int64
	for _, e := range log.sorted() {
		if !resent(e) || len(got) == 3 {
			continue
		}
		t.Logf("%.6f %s %+v %s", float64(e.Time)/1e9, e.Kind, *e.TCP, e.Text)
		if rto == 0 {
			rto = e.TCP.RTO
		}
		got = append(got, fmt.Sprintf("%s %d %d RTO*%d", e.Kind, e.TCP.Retransmits, e.TCP.Backoff, e.TCP.RTO/rto))
	}
	if rto < int64(200*time.Millisecond) || rto > int64(300*time.Millisecond) {
		t.Errorf("RTO is %v, want 200 to 300 ms", time.Duration(rto))
	}
	// Each is told with the RTO before it is doubled.
	want := []string{"tlp 0 0 RTO*1", "retransmit 1 0 RTO*1", "retransmit 2 1 RTO*2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func mustIO(t testing.TB) func(int, error) {
	return func(_ int, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestTracerForgetsRemovedHost(t *testing.T) {
	client, server := testPair(t)
	var log eventLog
	tracer := testTracer(t, testClock(t), log.add, client, server)
	if err := tracer.Remove(server); err != nil {
		t.Fatal(err)
	}
	testListen(t, server.Net, "10.77.0.2:7000")
	testDial(t, client.Net, "10.77.0.2:7000")
	testTracerFlush(t, tracer)
	of := func(host string) int {
		return log.count(func(e record.Event) bool { return e.Host == host })
	}
	if of("client") == 0 || of("server") != 0 {
		t.Errorf("%d events of the client, %d of the server that was removed", of("client"), of("server"))
	}
	if _, err := tracer.Close(); err != nil {
		t.Error(err)
	}
	if err := tracer.Add(client); err == nil {
		t.Error("Add after Close succeeded")
	}
	if err := tracer.Flush(t.Context()); err != nil {
		t.Errorf("Flush after Close: %v", err)
	}
}

// BenchmarkTracedEcho is what observing costs a program: round trips between
// two threads with plain blocking calls over loopback, timed by the program.
func BenchmarkTracedEcho(b *testing.B) {
	for _, traced := range []bool{false, true} {
		b.Run(fmt.Sprintf("traced=%v", traced), func(b *testing.B) {
			b.Setenv(tracedRoundsEnv, fmt.Sprint(b.N))
			h, start, cmd := testTracedHost(b)
			events := 0
			if traced {
				tracer := testTracer(b, testClock(b), func(record.Event) { events++ }, h)
				defer func() {
					testTracerFlush(b, tracer)
					b.ReportMetric(float64(events)/float64(b.N), "events/op")
				}()
			}
			start()
			if err := cmd.Wait(); err != nil {
				b.Fatal(err)
			}
			var took int64
			if _, err := fmt.Sscan(cmd.Stdout.(*strings.Builder).String(), &took); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(took)/float64(b.N), "ns/op")
		})
	}
}

// tracedBlocked does not return.
func tracedBlocked() error {
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	addr := &unix.SockaddrInet4{Port: 7000, Addr: [4]byte{127, 0, 0, 1}}
	if err := errors.Join(unix.Bind(l, addr), unix.Listen(l, 5)); err != nil {
		return err
	}
	c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	if err := unix.Connect(c, addr); err != nil {
		return err
	}
	a, _, err := unix.Accept(l)
	if err != nil {
		return err
	}
	_, err = unix.Read(a, make([]byte, 1))
	return fmt.Errorf("read returned: %w", err)
}

// tracedEcho prints how many nanoseconds so many round trips took.
func tracedEcho(rounds int) error {
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	addr := &unix.SockaddrInet4{Port: 7000, Addr: [4]byte{127, 0, 0, 1}}
	if err := errors.Join(unix.Bind(l, addr), unix.Listen(l, 5)); err != nil {
		return err
	}
	go func() {
		a, _, err := unix.Accept(l)
		buf := make([]byte, 32)
		for err == nil {
			n, _ := unix.Read(a, buf) // an error reads nothing
			if n <= 0 {
				return
			}
			_, err = unix.Write(a, buf[:n])
		}
	}()
	c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	if err := unix.Connect(c, addr); err != nil {
		return err
	}
	buf := make([]byte, 32)
	began := time.Now()
	for range rounds {
		if _, err := unix.Write(c, buf); err != nil {
			return err
		}
		if _, err := unix.Read(c, buf); err != nil {
			return err
		}
	}
	fmt.Println(time.Since(began).Nanoseconds())
	return nil
}
