package testenv

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/seed-6fefc909/tcplab/topology"
)

// A fakeT notes what a test would have done.
type fakeT struct{ skipped, failed string }

func (*fakeT) Helper()                          {}
func (t *fakeT) Skipf(format string, a ...any)  { t.skipped = fmt.Sprintf(format, a...) }
func (t *fakeT) Fatalf(format string, a ...any) { t.failed = fmt.Sprintf(format, a...) }

func TestLackSkipsOrFails(t *testing.T) {
	for _, c := range []struct {
		require         string
		skipped, failed bool
	}{{"", true, false}, {"0", true, false}, {"1", false, true}} {
		t.Setenv(RequireEnv, c.require)
		var f fakeT
		Lack(&f, "needs a %s", "moon")
		if said := f.skipped + f.failed; (f.skipped != "") != c.skipped || (f.failed != "") != c.failed || !strings.Contains(said, "needs a moon") {
			t.Errorf("%s=%q: skipped %q, failed %q", RequireEnv, c.require, f.skipped, f.failed)
		}
	}
}

// Each kind of a leak is found, and only while it is there.
func TestLeft(t *testing.T) {
	for name, leak := range map[string]struct {
		make func(t *testing.T) (undo func())
		says string
	}{
		"file": {func(t *testing.T) func() {
			f, err := os.Open("/proc/self/status")
			if err != nil {
				t.Fatal(err)
			}
			return func() { f.Close() }
		}, "1 descriptors of /proc/"},
		"socket": {func(t *testing.T) func() {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			return func() { l.Close() }
		}, "1 descriptors of socket"},
		"goroutine": {func(*testing.T) func() {
			stop := make(chan struct{})
			go func() { <-stop }()
			return func() { close(stop) }
		}, "TestLeft"},
		"thread": {func(t *testing.T) func() {
			ns, err := topology.NewNamespace()
			if err != nil {
				t.Fatal(err)
			}
			inside, stop, ended := make(chan struct{}), make(chan struct{}), make(chan error)
			go func() {
				ended <- ns.Do(func() error {
					close(inside)
					<-stop
					return nil
				})
			}()
			<-inside
			return func() {
				close(stop)
				if err := errors.Join(<-ended, ns.Close()); err != nil {
					t.Error(err)
				}
			}
		}, "in network namespace net:["},
		"child": {func(t *testing.T) func() {
			c := exec.Command("sleep", "60")
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			return func() { c.Process.Kill(); c.Wait() }
		}, "(sleep)"},
		"zombie": {func(t *testing.T) func() {
			c := exec.Command("true")
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			return func() { c.Wait() }
		}, "(true)"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "thread" {
				NeedRoot(t)
			}
			before := take()
			if left := before.waitClean(time.Second); len(left) > 0 {
				t.Fatalf("before anything: %q", left)
			}
			undo := leak.make(t)
			if left := strings.Join(before.waitClean(50*time.Millisecond), "\n"); !strings.Contains(left, leak.says) {
				t.Errorf("found %q, not %q", left, leak.says)
			}
			undo()
			if left := before.waitClean(time.Second); len(left) > 0 {
				t.Errorf("afterwards: %q", left)
			}
		})
	}
}

func TestProcessesFindsItsOwnExecutable(t *testing.T) {
	c := exec.Command("sleep", "60")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	found := Processes(c.Path)
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	c.Wait()
	if all := strings.Join(found, "\n"); !strings.Contains(all, fmt.Sprintf("process %d: sleep 60", c.Process.Pid)) {
		t.Errorf("found %q", all)
	}
}
