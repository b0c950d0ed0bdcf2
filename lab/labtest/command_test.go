package labtest_test

import (
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/labtest"
)

// A command is run as it is, and its host is its own.
func TestCmd(t *testing.T) {
	t.Parallel()
	n := labtest.New(t, labtest.Options{})
	for _, c := range []struct {
		script, stdout, stderr, err string
	}{
		{"echo one; echo two >&2", "one\n", "two\n", ""},
		{"printf 'no newline'", "no newline", "", ""},
		{"cat", "", "", ""}, // from /dev/null
		{"hostname", "client\n", "", ""},
		{"getent hosts server | cut -d ' ' -f 1", n.Server.Addr().String() + "\n", "", ""},
		{"echo $0 $COLOUR; pwd", "sh blue\n/proc\n", "", ""},
		{"echo {server} {any:port}", n.Server.Addr().String() + " 0.0.0.0:9998\n", "", ""},
		{"echo first >&2; echo why >&2; exit 3", "", "first\nwhy\n", "sh: exit status 3: why"},
		{"kill -9 $$", "", "", "sh: ended by SIGKILL"},
	} {
		cmd := n.Client.Command("sh", "-c", c.script)
		cmd.Env, cmd.Dir = append(os.Environ(), "COLOUR=blue"), "/proc"
		said := ""
		if err := cmd.Run(); err != nil {
			said = err.Error()
		}
		if said != c.err || cmd.Stdout() != c.stdout || cmd.Stderr() != c.stderr {
			t.Errorf("%s: %q, %q, error %q; want %q, %q, %q", c.script, cmd.Stdout(), cmd.Stderr(), said, c.stdout, c.stderr, c.err)
		}
	}
	programs := n.Record().Programs
	if len(programs) != 9 || programs[8].Signal != "SIGKILL" || programs[7].Exit != 3 {
		t.Errorf("the record has the programs %+v", programs)
	}
}

func TestCmdMistakes(t *testing.T) {
	t.Parallel()
	n := labtest.New(t, labtest.Options{})
	never := n.Client.Command("true")
	in := never.StdinPipe()
	_, write := io.WriteString(in, "x")
	for what, err := range map[string]error{
		"wait": never.Wait(), "signal": never.Signal(syscall.SIGTERM), "write": write, "close": in.Close(),
		"unknown signal": never.Signal(noSignal{}),
	} {
		if err == nil {
			t.Errorf("%s of what was not started: no error", what)
		}
	}
	if err := n.Client.Command("no-such-program").Run(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of a program that there is not: %v", err)
	}
	cmd := n.Client.Command("true")
	if err := errors.Join(cmd.Run(), cmd.Wait()); err != nil {
		t.Error(err)
	}
	if err := cmd.Start(); err == nil {
		t.Error("started twice")
	}
	n.Fault("crash", n.Client)
	if err := n.Client.Command("true").Run(); err == nil || !strings.Contains(err.Error(), "client is down") {
		t.Errorf("on a dead host: %v", err)
	}
}

type noSignal struct{}

func (noSignal) String() string { return "no signal" }
func (noSignal) Signal()        {}

// Input and signals reach a command; its host's end is its own.
func TestCmdLives(t *testing.T) {
	t.Parallel()
	n := labtest.New(t, labtest.Options{})
	start := func(c *labtest.Cmd) *labtest.Cmd {
		t.Helper()
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		return c
	}
	cat := n.Server.Command("cat")
	in := cat.StdinPipe()
	start(cat)
	io.WriteString(in, "hello\n")
	n.Expect("server prints hello")
	if err := errors.Join(in.Close(), cat.Wait()); err != nil || cat.Stdout() != "hello\n" {
		t.Errorf("%q, %v", cat.Stdout(), err)
	}

	trap := start(n.Server.Command("sh", "-c", "trap 'echo got it; exit 4' TERM; echo ready; while :; do sleep 0.01; done"))
	n.Expect("server prints ready") // its name is free again
	if err := trap.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	n.Expect("server exits 4")
	if ended, ok := errors.AsType[*labtest.ExitError](trap.Wait()); !ok || ended.Status != 4 || trap.PID() == 0 {
		t.Errorf("ended with %+v", ended)
	}

	// Several at a time have names of their own.
	first, second := start(n.Server.Command("sleep", "600")), start(n.Server.Command("sleep", "600"))
	third := n.Server.Command("sleep", "600")
	third.As = "nap"
	start(third)
	for i, c := range []*labtest.Cmd{first, second, third} {
		select {
		case <-c.Done():
			t.Errorf("the %d. has ended", i+1)
		default:
		}
	}
	if err := second.Signal(syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	n.Expect("sleep exits SIGKILL")
	n.Fault("crash", n.Server)
	for _, c := range []*labtest.Cmd{first, third} {
		within(t, "the end of a command with its host", patient, func() {
			if ended, ok := errors.AsType[*labtest.ExitError](c.Wait()); !ok || ended.Signal != "SIGKILL" {
				t.Errorf("ended with %+v", ended)
			}
		})
	}
}

// A shutdown ends commands in good order.
func TestShutdown(t *testing.T) {
	t.Parallel()
	n := labtest.New(t, labtest.Options{Grace: 200 * time.Millisecond})
	stubborn, polite := n.Client.Command("stubborn"), n.Client.Command("sleep", "600")
	if err := stubborn.Start(); err != nil {
		t.Fatal(err)
	}
	n.Expect("client prints ready") // it counts from the last start
	if err := polite.Start(); err != nil {
		t.Fatal(err)
	}
	n.Fault("shutdown", n.Client)
	for c, signal := range map[*labtest.Cmd]string{polite: "SIGTERM", stubborn: "SIGKILL"} {
		if ended, ok := errors.AsType[*labtest.ExitError](c.Wait()); !ok || ended.Signal != signal {
			t.Errorf("ended with %+v, want %s", ended, signal)
		}
	}
}

// A record can be made in between; it is what was seen until then.
func TestRecord(t *testing.T) {
	t.Parallel()
	n := labtest.New(t, labtest.Options{})
	cat := n.Client.Command("cat")
	cat.StdinPipe()
	if err := cat.Start(); err != nil {
		t.Fatal(err)
	}
	n.Expect("client blocked read(stdin)")
	first, second := n.Record(), n.Record()
	if len(first.Events) == 0 || len(first.Events) != len(second.Events) {
		t.Errorf("%d events, and then %d", len(first.Events), len(second.Events))
	}
	n.Fault("reboot", n.Server)
	if third := n.Record(); len(third.Events) <= len(first.Events) || third.Fault.Kind != "reboot" || first.Fault.Kind != "" || third.Outcome != "as-expected" {
		t.Errorf("%d events after a fault; %s, and before %q", len(third.Events), third.Outcome, first.Fault.Kind)
	}
}
