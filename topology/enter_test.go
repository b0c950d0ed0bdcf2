package topology_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/topology"
)

// doorOf is a host's, until the end of the test.
func doorOf(t *testing.T, h *topology.Host) *os.File {
	t.Helper()
	door, err := h.Door()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { door.Close() })
	return door
}

// enter runs a script on a host from this process, adopted unless the test
// wants to do that.
func enter(t *testing.T, h *topology.Host, c topology.Command) (*topology.Entrant, *topology.Process) {
	t.Helper()
	e, err := topology.Enter(doorOf(t, h), c)
	if err != nil {
		t.Fatal(err)
	}
	p, err := h.Adopt(h.Boot(), e.PID)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Leave(); err != nil {
		t.Fatal(err)
	}
	return e, p
}

func script(text string) topology.Command {
	return topology.Command{Path: "/bin/sh", Argv: []string{"sh", "-c", text}, Env: []string{shellPath}, Dir: "/"}
}

// What enters a host is its init's child, in all of its namespaces, but in the
// session and the process group of whoever entered.
func TestEnter(t *testing.T) {
	n := newNetwork(t, topology.Config{Path: topology.Direct})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c := script(`cat <&0 >/dev/null; hostname; readlink /proc/self/ns/net; while grep -q '^PPid:\s*[^1]$' /proc/$$/status; do sleep 0.01; done; awk '/^PPid/{print $2}' /proc/$$/status; cut -d ' ' -f 5,6 /proc/$$/stat; exit 7`)
	c.Stdout, c.Stderr = w, w
	_, p := enter(t, n.Server, c)
	w.Close()
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	status, ok := p.Status()
	want := "server\n" + strings.TrimSpace(shell(t, n.Server, "readlink /proc/self/ns/net")) + "\n1\n0 0\n"
	if string(out) != want || !ok || status.ExitStatus() != 7 {
		t.Errorf("it wrote\n%swant\n%sand ended with %v, %v; want 7", out, want, status, ok)
	}
}

// The end of what ended before it was adopted is told all the same.
func TestEnterBriefly(t *testing.T) {
	n := newNetwork(t, topology.Config{Path: topology.Direct})
	door := doorOf(t, n.Client)
	for want := range 20 {
		e, err := topology.Enter(door, script("exit "+string(rune('0'+want%10))))
		if err != nil {
			t.Fatal(err)
		}
		for !n.Client.Ended(e.PID) {
			time.Sleep(time.Millisecond)
		}
		p, err := n.Client.Adopt(1, e.PID)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Leave(); err != nil {
			t.Fatal(err)
		}
		<-p.Done()
		if status, ok := p.Status(); !ok || status.ExitStatus() != want%10 {
			t.Errorf("status %v, %v; want %d", status, ok, want%10)
		}
	}
}

func TestEnterReportsWhatPreventedIt(t *testing.T) {
	n := newNetwork(t, topology.Config{Path: topology.Direct})
	door := doorOf(t, n.Client)
	noDir := script("true")
	noDir.Dir = "/no/such/directory"
	for what, test := range map[string]struct {
		c    topology.Command
		want error
	}{
		"no program":   {topology.Command{Path: "/no/such/program", Argv: []string{"x"}, Dir: "/"}, fs.ErrNotExist},
		"no directory": {noDir, topology.ErrDirectory},
		"no program's": {topology.Command{Path: "/etc/hosts", Argv: []string{"x"}, Dir: "/"}, fs.ErrPermission},
	} {
		if _, err := topology.Enter(door, test.c); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", what, err, test.want)
		}
	}
	if all, err := n.Client.Processes(); err != nil || len(all) != 0 {
		t.Errorf("left on the host: %v, %v", all, err)
	}
	if err := n.Crash(n.Client, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if _, err := topology.Enter(door, script("true")); err == nil || !strings.Contains(err.Error(), "init is gone") {
		t.Errorf("of a host that is down: %v", err)
	}
	if _, err := n.Client.Door(); err == nil {
		t.Error("a host that is down has a door")
	}
}

// What nobody adopts is killed, and so is what entered a host that crashes.
func TestEnterEnds(t *testing.T) {
	n := newNetwork(t, topology.Config{Path: topology.Direct})
	door := doorOf(t, n.Server)
	e, err := topology.Enter(door, script("exec sleep 1000"))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Abandon(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for !n.Server.Ended(e.PID) {
		if time.Now().After(deadline) {
			t.Fatal("it was abandoned, and lives")
		}
		time.Sleep(time.Millisecond)
	}
	_, p := enter(t, n.Server, script("exec sleep 1000"))
	if err := n.Crash(n.Server, func(string) {}); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if status, ok := p.Status(); ok && status.Signal() != unix.SIGKILL {
		t.Errorf("it ended with %v", status)
	}
}

// A usher that is killed is not taken for its host.
func TestUsherKilled(t *testing.T) {
	n := newNetwork(t, topology.Config{Path: topology.Direct})
	door := doorOf(t, n.Server)
	for deadline := time.Now().Add(10 * time.Second); ; {
		type entered struct {
			e   *topology.Entrant
			err error
		}
		done := make(chan entered, 1)
		go func() {
			e, err := topology.Enter(door, script("exec sleep 1000"))
			done <- entered{e, err}
		}()
		killUsher(t, deadline)
		got := <-done
		if got.err != nil {
			if !errors.Is(got.err, topology.ErrUsherKilled) || errors.Is(got.err, topology.ErrDown) {
				t.Errorf("it was not started: %v", got.err)
			}
			return
		}
		_ = got.e.Abandon() // it was killed too late
	}
}

// The end of what was killed with its usher, before it was adopted, is told.
func TestEnterKilled(t *testing.T) {
	n := newNetwork(t, topology.Config{Path: topology.Direct})
	e, err := topology.Enter(doorOf(t, n.Server), script("exec sleep 1000"))
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	if _, err := n.Server.Signal(e.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	killUsher(t, deadline)
	for there := true; there; {
		all, err := n.Server.Processes()
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("it is there still: %v, %v", all, err)
		}
		there = len(all) > 0
	}
	shell(t, n.Server, "true") // whose end is told after its
	p, err := n.Server.Adopt(n.Server.Boot(), e.PID)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("its end is not told")
	}
	if status, ok := p.Status(); !ok || !status.Signaled() || status.Signal() != unix.SIGKILL {
		t.Errorf("it ended with %v, %v", status, ok)
	}
	if err := e.Leave(); err != nil {
		t.Error(err)
	}
}

// killUsher kills this process's usher as soon as there is one.
func killUsher(t *testing.T, deadline time.Time) {
	t.Helper()
	for time.Now().Before(deadline) {
		lists, err := filepath.Glob("/proc/self/task/*/children")
		if err != nil || len(lists) == 0 {
			t.Fatalf("no list of children: %v", err)
		}
		for _, list := range lists {
			children, _ := os.ReadFile(list)
			for _, child := range strings.Fields(string(children)) {
				argv, _ := os.ReadFile("/proc/" + child + "/cmdline")
				pid, err := strconv.Atoi(child)
				if err == nil && string(argv) == topology.UsherName+"\x00" {
					if err := unix.Kill(pid, unix.SIGKILL); err != nil {
						t.Error(err)
					}
					return
				}
			}
		}
	}
	t.Fatal("there is no usher")
}

// A host that goes down does not wait for whoever has entered it and does nothing
// further.
func TestEnterAndWait(t *testing.T) {
	n := newNetwork(t, topology.Config{Path: topology.Direct})
	door := doorOf(t, n.Server)
	e, err := topology.Enter(door, script("exec sleep 1000"))
	if err != nil {
		t.Fatal(err)
	}
	crashed := make(chan error, 1)
	go func() { crashed <- n.Crash(n.Server, func(string) {}) }()
	select {
	case err := <-crashed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second): // an init gives up after 15
		t.Error("the host waits for the usher")
	}
	if err := e.Abandon(); err != nil {
		t.Error(err)
	}
}

// entrantName is Argv[0] of this executable where it enters a host.
const entrantName = "entrant"

// enterAndStop runs a program behind the door at descriptor 3, and is stopped before
// it leaves that.
func enterAndStop() {
	e, err := topology.Enter(os.NewFile(3, "door"), script("exec sleep 1000"))
	if err == nil {
		err = unix.Kill(os.Getpid(), unix.SIGSTOP)
	}
	if err == nil {
		err = e.Leave()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Who was stopped before its usher had ended is let go on when the network is taken
// down.
func TestEntrantStopped(t *testing.T) {
	n := newNetwork(t, topology.Config{Path: topology.Direct})
	entrant := exec.Command(topology.Self)
	entrant.Args = []string{entrantName}
	entrant.ExtraFiles = []*os.File{doorOf(t, n.Server)}
	entrant.Stderr = os.Stderr
	if err := entrant.Start(); err != nil {
		t.Fatal(err)
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(entrant.Process.Pid, &status, unix.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("it is not stopped: %v, %v", status, err)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
		_ = entrant.Process.Kill()
	}
	if err := entrant.Wait(); err != nil {
		t.Error(err)
	}
}

// What nsenter started in a host, and does not wait for while it is stopped, keeps
// no host up. Who takes the network down is told of it.
func TestStoppedOutside(t *testing.T) {
	testenv.NeedRoot(t)
	n, err := topology.New(topology.Config{Path: topology.Direct})
	if err != nil {
		t.Fatal(err)
	}
	closeIt := sync.OnceValue(n.Close)
	defer closeIt()
	ns := exec.Command("nsenter", "-a", "-t", strconv.Itoa(n.Server.InitPID()), "sleep", "1000")
	if err := ns.Start(); err != nil {
		t.Fatal(err)
	}
	awaited := make(chan struct{})
	go func() { _ = ns.Wait(); close(awaited) }()
	defer func() { _ = ns.Process.Kill(); <-awaited }()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		all, err := n.Server.Processes()
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("nsenter starts nothing: %v, %v", all, err)
		}
		if len(all) == 1 && all[0].Comm == "sleep" {
			break
		}
	}
	if err := ns.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := n.Crash(n.Server, func(string) {}); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the crash took %v", took)
	}
	if err := n.Boot(n.Server, func(string) {}); err != nil {
		t.Error(err)
	}
	err = closeIt()
	if want := fmt.Sprintf("process %d, nsenter, does not wait for its child", ns.Process.Pid); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("taken down: %v, want %q", err, want)
	}
}
