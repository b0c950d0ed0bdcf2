package lab_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
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

// openSession opens one that is closed with the test.
func openSession(t *testing.T, o lab.Options, build ...string) *lab.Session {
	t.Helper()
	testenv.NeedRoot(t)
	s, err := lab.Open(lab.Hand{Name: t.Name(), Command: "go test -run " + t.Name(), Build: build}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// By hand a scenario's lines come to what they come to in a file.
func TestSession(t *testing.T) {
	t.Parallel()
	s := openSession(t, lab.Options{Path: topology.Switch}, "arp answered")
	do := func(text string) *record.Event {
		t.Helper()
		done, err := s.Do(t.Context(), "here_test.go", 42, text)
		if err != nil {
			t.Fatal(err)
		}
		return done.Seen
	}
	for _, text := range []string{
		"start server echo-server {any:port}", "expect server socket LISTEN",
		"start client echo-client {server:port}", "expect client socket ESTABLISHED",
		"type client hello", "expect client prints hello", "expect client blocked read(stdin)",
		"fault kill server", "expect client receives FIN", "type client again",
	} {
		do(text)
	}
	if seen := do("expect client read() = EOF"); seen == nil || s.AfterFault(seen) <= 0 || s.AfterFault(seen) > time.Minute {
		t.Errorf("seen %v", seen)
	}
	if seen := do("! expect -since fault client retransmits"); seen != nil {
		t.Errorf("seen %v, which must not have been", seen)
	}
	r := s.Finish()
	if r.Outcome != record.AsExpected || !r.ByHand || r.File != "" || r.Scenario != t.Name() || !strings.HasPrefix(r.Command, "go test") || r.Timers != "real" {
		t.Errorf("%s: %s %q, by hand %v, file %q, command %q, timers %s", r.Scenario, r.Outcome, r.Reasons, r.ByHand, r.File, r.Command, r.Timers)
	}
	if len(r.Signature.Checks) == 0 || !r.Signature.OK || r.Expectations[0].Place != "here_test.go:42" {
		t.Errorf("signature %+v, first expectation at %s", r.Signature, r.Expectations[0].Place)
	}
}

func TestSessionErrors(t *testing.T) {
	t.Parallel()
	s := openSession(t, lab.Options{Path: topology.Switch})
	do := func(text string) error { _, err := s.Do(t.Context(), "x", 1, text); return err }
	if r := s.Finish(); r.Outcome != record.AsExpected { // nothing was asked for
		t.Errorf("before anything: %s %q", r.Outcome, r.Reasons)
	}
	if err := do("expect -within 50ms server socket LISTEN"); err == nil || err.Error() != "expect -within 50ms server socket LISTEN (within 50ms): not seen" {
		t.Errorf("not met: %v", err)
	} else if unmet, ok := errors.AsType[*lab.UnmetError](err); !ok || unmet.Unseen {
		t.Errorf("not met: a %T, %+v", err, unmet)
	}
	if err := do("expect server socket NONE"); !scenarios.IsSyntax(err) {
		t.Errorf("wrong line: %v", err)
	}
	for _, text := range []string{"expect client read() = EOF", "fault shutdown server", "fault kill server"} {
		if err := do(text); !errors.Is(err, lab.ErrScenario) {
			t.Errorf("%s: %v", text, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Do(ended, "x", 1, "expect server socket LISTEN"); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	for _, build := range []string{"firewall drop", "standby", "path router"} {
		if s, err := lab.Open(lab.Hand{Name: "x", Build: []string{build}}, lab.Options{Path: topology.Direct}); err == nil && build != "path router" {
			t.Errorf("%s on a direct path: no error", build)
			s.Close()
		} else if err == nil {
			s.Close()
		}
	}
	if _, err := lab.Open(lab.Hand{Name: "x"}, lab.Options{Path: "round"}); err == nil {
		t.Error("an unknown path: no error")
	}
	if r := s.Finish(); r.Outcome != record.NotAsExpected {
		t.Errorf("at the end: %s %q", r.Outcome, r.Reasons)
	}
}

// What an observer that is not there would tell is not known, and so not met.
func TestSessionBlind(t *testing.T) {
	t.Parallel()
	s := openSession(t, lab.Options{Path: topology.Switch, Without: []string{lab.ObserveWire}})
	_, err := s.Do(t.Context(), "x", 1, "expect client receives RST")
	unmet, ok := errors.AsType[*lab.UnmetError](err)
	if !ok || !unmet.Unseen || !strings.Contains(err.Error(), "not observed: wire") {
		t.Errorf("error %v", err)
	}
}

// A command runs as it is; its name and its end are known to the steps.
func TestSessionCommand(t *testing.T) {
	t.Parallel()
	s := openSession(t, lab.Options{Path: topology.Switch})
	var wrote strings.Builder // read after it was drained
	p, err := s.Start(lab.Command{
		Host: "client", Name: "shell", Argv: []string{"/bin/sh", "-c", "read line; echo got $line; exit 3"},
		Stdin: true, Tee: func(kind string, line []byte) { wrote.WriteString(kind + " " + string(line)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(p.Stdin(), "hello\n"); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"expect shell prints got", "expect shell exits 3"} {
		if _, err := s.Do(t.Context(), "x", 1, text); err != nil {
			t.Fatal(err)
		}
	}
	<-p.Done()
	p.Drained(10 * time.Second)
	if status, signal := p.Ended(); status != 3 || signal != "" || wrote.String() != "stdout got hello\n" {
		t.Errorf("status %d, signal %q, wrote %q", status, signal, wrote.String())
	}
	if _, err := s.Start(lab.Command{Host: "client", Name: "x", Argv: []string{"/no/such"}}); err == nil {
		t.Error("what is not there was started")
	}
	if _, err := s.Start(lab.Command{Host: "moon", Name: "x", Argv: []string{"/bin/true"}}); err == nil {
		t.Error("started on no host")
	}
}

// A socket of this process is on the host, and its end is the kernel's.
func TestSessionInside(t *testing.T) {
	t.Parallel()
	s := openSession(t, lab.Options{Path: topology.Switch})
	server := s.Network().Server
	var l net.Listener
	err := s.Inside(server, func(func()) (err error) {
		var c net.ListenConfig
		c.SetMultipathTCP(false) // of which SOCK_DESTROY knows nothing
		l, err = c.Listen(t.Context(), "tcp4", server.NIC.Address.Addr().String()+":80")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, text := range []string{"expect server socket LISTEN", "fault crash server"} {
		if _, err := s.Do(t.Context(), "x", 1, text); err != nil {
			t.Fatal(err)
		}
	}
	if s.Alive(server, 1) || !s.Alive(s.Network().Client, 1) {
		t.Error("which of the hosts is alive?")
	}
	if c, err := l.Accept(); err == nil {
		c.Close()
		t.Error("the crash left the listener as it was")
	}
	if err := s.Inside(server, func(func()) error { return nil }); !errors.Is(err, lab.ErrDown) {
		t.Errorf("inside of a dead host: %v", err)
	}
}

// A fault waits for who makes something on the host, until that is released.
func TestSessionInsideRelease(t *testing.T) {
	t.Parallel()
	s := openSession(t, lab.Options{Path: topology.Switch})
	inside, next, left := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		left <- s.Inside(s.Network().Server, func(release func()) error {
			close(inside)
			<-next
			release()
			<-next
			return nil
		})
	}()
	<-inside
	done := make(chan error)
	go func() {
		_, err := s.Do(t.Context(), "x", 1, "fault reboot server")
		done <- err
	}()
	select {
	case err := <-done:
		t.Errorf("the fault did not wait: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	next <- struct{}{}
	if err := <-done; err != nil {
		t.Error(err)
	}
	next <- struct{}{}
	if err := <-left; err != nil {
		t.Error(err)
	}
	if !s.Alive(s.Network().Server, 2) || s.Alive(s.Network().Server, 1) {
		t.Error("which boot of the server is alive?")
	}
}

// A signal to a program that has ended is not another's, which has its id by then.
func TestSendAfterReboot(t *testing.T) {
	t.Parallel()
	s := openSession(t, lab.Options{Path: topology.Switch}, "arp answered")
	// An init's own threads take some of the first ids, not always the same.
	start := func(boot string) map[int]*lab.Program {
		programs := map[int]*lab.Program{}
		for i := range 10 {
			p, err := s.Start(lab.Command{Host: "server", Name: fmt.Sprint(boot, i), Argv: []string{"sleep", "1000"}})
			if err != nil {
				t.Fatal(err)
			}
			programs[p.PID()] = p
		}
		return programs
	}
	first := start("first")
	if _, err := s.Do(t.Context(), "here_test.go", 1, "fault reboot server"); err != nil {
		t.Fatal(err)
	}
	same := 0
	for pid, p := range start("second") {
		if first[pid] == nil {
			continue
		}
		same++
		first[pid].Send(unix.SIGTERM)
		p.Send(unix.SIGKILL)
		<-p.Done()
		if _, signal := p.Ended(); signal != "SIGKILL" {
			t.Errorf("process %d of the second boot ended by %s, want SIGKILL", pid, signal)
		}
	}
	if same == 0 {
		t.Error("no id was used in both boots")
	}
}
