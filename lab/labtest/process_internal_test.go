package labtest

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/topology"
)

// The networks of a process share the eBPF programs, from the first to the
// last.
func TestSharedTracer(t *testing.T) {
	var p process
	first, number := p.join("A")
	if first == nil || number != 1 {
		t.Fatalf("tracer %p, number %d", first, number)
	}
	if second, number := p.join("A"); second != first || number != 2 {
		t.Errorf("the second network has tracer %p, not %p, and number %d", second, first, number)
	}
	if third, number := p.join("B"); third != first || number != 1 {
		t.Errorf("that of another test has tracer %p, not %p, and number %d", third, first, number)
	}
	for _, test := range []string{"A", "B", "A"} {
		if p.tracer != first {
			t.Error("given up early")
		}
		if err := p.leave(test); err != nil {
			t.Error(err)
		}
	}
	if p.tracer != nil || p.users != 0 {
		t.Errorf("afterwards: %+v", p.users)
	}
	if again, number := p.join("A"); again == first || again == nil || number != 1 {
		t.Errorf("the next has tracer %p, number %d", again, number)
	}
	if err := p.leave("A"); err != nil {
		t.Error(err)
	}
}

// Networks of tests that run beside each other, and inside of each other.
func TestParallel(t *testing.T) {
	testenv.NeedRoot(t)
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			for range 2 {
				n := New(t, Options{Family: topology.Family(4 + 2*(i%2))})
				if _, err := n.Server.Listen("tcp", ":80"); err != nil {
					t.Fatal(err)
				}
				if _, err := n.Client.DialContext(t.Context(), "tcp", "server:80"); err != nil {
					t.Error(err)
				}
				n.Fault("crash", n.Server)
				n.NotSeen(1, "client receives FIN")
			}
		})
	}
}

// A lackT notes how a test ended.
type lackT struct {
	TB
	skipped, failed string
}

func (*lackT) Helper()                          {}
func (t *lackT) Skipf(format string, a ...any)  { t.skipped = fmt.Sprintf(format, a...) }
func (t *lackT) Fatalf(format string, a ...any) { t.failed = fmt.Sprintf(format, a...) }

func TestLack(t *testing.T) {
	for _, require := range []string{"", "0", "1", "true"} {
		t.Setenv(RequireEnv, require)
		for want, reason := range map[string]error{
			"root (its effective user id is 1000)\nhint: go test -exec sudo":  &lab.PrivilegeError{Root: true, Lacks: []string{"root (its effective user id is 1000)"}},
			"CAP_X\nhint: in a container:":                                    &lab.PrivilegeError{Lacks: []string{"CAP_X"}},
			"this kernel seems to have no bridge\nhint: load the module":      &topology.MissingFeature{Feature: "bridge", Err: unix.EOPNOTSUPP},
			"make links: operation not permitted\nhint: something forbids it": fmt.Errorf("make links: %w", unix.EPERM),

			"what no hint is for": errors.New("what no hint is for"),
		} {
			var f lackT
			lack(&f, reason)
			said := f.skipped
			if require == "1" || require == "true" {
				if said = f.failed; !strings.HasPrefix(said, "must not be skipped ("+RequireEnv+"="+require+"): ") {
					t.Errorf("%s=%q: failed with %q", RequireEnv, require, said)
				}
			}
			if (f.skipped != "") == (f.failed != "") || !strings.Contains(said, want) {
				t.Errorf("%s=%q: skipped %q, failed %q, want %q", RequireEnv, require, f.skipped, f.failed, want)
			}
		}
	}
	n := &Network{t: &lackT{}}
	n.fail("expect x", &lab.UnmetError{Expectation: record.Expectation{What: "expect x", Actual: "not observed: ebpf"}, Unseen: true})
	if f := n.t.(*lackT); f.failed != "must not be skipped (LAB_REQUIRE=true): expect x: not observed: ebpf" && f.skipped != "expect x: not observed: ebpf" {
		t.Errorf("what cannot be seen: skipped %q, failed %q", f.skipped, f.failed)
	}
	if RequireEnv != testenv.RequireEnv {
		t.Errorf("%s here, %s in this module's own tests", RequireEnv, testenv.RequireEnv)
	}
}

// Of many sockets those that were closed are forgotten.
func TestSocketsForget(t *testing.T) {
	var s sockets
	for range 1000 {
		f, err := os.Open("/dev/null")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.add(socket{conn: f}); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	if len(s.all) > 100 {
		t.Errorf("%d are kept", len(s.all))
	}
}

func TestCommandLine(t *testing.T) {
	if got, want := command("TestA/b (c)"), `go test -run '^TestA$/^b \(c\)$'`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
