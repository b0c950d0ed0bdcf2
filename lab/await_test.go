package lab_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
)

// await waits for an event beside the test.
func (h hand) await(ctx context.Context, event string, since lab.Since) func() (*lab.Seen, error) {
	type outcome struct {
		seen *lab.Seen
		err  error
	}
	come := make(chan outcome, 1)
	go func() {
		seen, err := h.s.Await(ctx, event, since)
		come <- outcome{seen, err}
	}()
	return func() (*lab.Seen, error) { o := <-come; return o.seen, o.err }
}

// awaited is one that must have come, or must come soon.
func (h hand) awaited(event string, since lab.Since) *lab.Seen {
	h.Helper()
	ctx, cancel := context.WithTimeout(h.Context(), 20*time.Second)
	defer cancel()
	seen, err := h.s.Await(ctx, event, since)
	if err != nil {
		h.Fatalf("%s: %v", event, err)
	}
	return seen
}

var errSeen = errors.New("not seen")

// unseen is one that must not have come.
func (h hand) unseen(event string, since lab.Since) {
	h.Helper()
	ctx, cancel := context.WithTimeoutCause(h.Context(), 300*time.Millisecond, errSeen)
	defer cancel()
	if seen, err := h.s.Await(ctx, event, since); !errors.Is(err, errSeen) {
		h.Errorf("%s: %v, %v", event, seen, err)
	}
}

// What came since the last act is seen, what comes later is waited for, and
// steps are performed meanwhile.
func TestAwait(t *testing.T) {
	h := openHand(t, lab.Options{Path: topology.Switch}, lab.Hand{})
	h.connect()
	exit := h.await(t.Context(), "client exits", lab.LastAct)
	h.unseen("fault kill", lab.LastAct)
	h.do("fault kill server")
	kill := h.awaited("fault kill", lab.LastAct)
	if kill.After != 0 || kill.Event.Source != record.Fault || kill.Event.Host != "server" {
		t.Errorf("the fault: %+v", kill)
	}
	fin := h.awaited("client receives FIN", lab.LastAct)
	if fin.After <= 0 || fin.Event.Time-kill.Event.Time != fin.After || fin.String() != "client receives FIN" {
		t.Errorf("the FIN: %+v", fin)
	}
	h.unseen("client receives FIN", lab.Now)
	h.unseen("client receives FIN", lab.Since(fin.Event.Time+1))
	h.unseen("fault kill client", lab.LastAct)
	h.do("type client more")
	write := h.awaited("client write() = ok", lab.LastAct)
	if write.String() != "client write() = 5" || write.Start() >= write.Event.Time {
		t.Errorf("the write: %v, from %d to %d", write, write.Start(), write.Event.Time)
	}
	h.awaited("client receives RST", lab.Since(write.Start()))
	if seen, err := exit(); err != nil || seen.Event.Process.Status != 1 {
		t.Errorf("the end: %v, %v", seen, err)
	}
	// Another client may come, which is waited for.
	h.unseen("client read() = EOF", lab.Now)
	again := h.await(t.Context(), "client prints hello", lab.Now)
	h.do("start -as again client echo-client {server:port}", "type again hello")
	if seen, err := again(); err != nil {
		t.Errorf("the next client: %v, %v", seen, err)
	}
	// What was seen stays as it was, whatever a record says of it.
	sent := h.awaited("server sends FIN", lab.Since(kill.Start()))
	h.s.Finish()
	later := h.awaited("server sends FIN", lab.Since(kill.Start()))
	if sent.Event.Packet.Fate != "" || later.Event.Packet.Fate != record.FateArrived {
		t.Errorf("the FIN's fate was %q, and is %q", sent.Event.Packet.Fate, later.Event.Packet.Fate)
	}
}

// The end of a program is waited for that is not started yet.
func TestAwaitExit(t *testing.T) {
	h := openHand(t, lab.Options{Path: topology.Direct}, lab.Hand{})
	h.unseen("server exits", lab.LastAct)
	exit := h.await(t.Context(), "client exits 3", lab.Now)
	h.do("start client sh -c 'exit 3'")
	if seen, err := exit(); err != nil || seen.Event.Process.Status != 3 {
		t.Errorf("the end: %v, %v", seen, err)
	}
}

// An event is seen while a step takes its time, and in the next experiment.
func TestAwaitBeside(t *testing.T) {
	h := openHand(t, lab.Options{Path: topology.Router, Grace: time.Second}, lab.Hand{})
	h.connect()
	h.do("start -as s server stubborn", "expect s prints ready")
	term, last := h.await(t.Context(), "server gets SIGTERM", lab.Now), h.await(t.Context(), "server gets SIGKILL", lab.Now)
	over := make(chan struct{})
	go func() { h.do("fault shutdown server"); close(over) }()
	if _, err := term(); err != nil {
		t.Error(err)
	}
	select {
	case <-over:
		t.Error("the shutdown was over before its first signal was told of")
	default:
	}
	if _, err := last(); err != nil {
		t.Error(err)
	}
	<-over
	boot := h.await(t.Context(), "fault reboot server", lab.Now)
	h.renew("next", 0, false)
	h.do("fault reboot server")
	if _, err := boot(); err != nil {
		t.Error(err)
	}
}

// What the kernel is asked for while it is waited for is not asked of observers
// that another experiment took over, nor of those of a session that was closed.
func TestAwaitAsks(t *testing.T) {
	h := openHand(t, lab.Options{Path: topology.Switch}, lab.Hand{Build: []string{"arp answered"}})
	h.connect()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	last := h.await(ctx, "client blocked read(stdin)", lab.Now)
	var waits []func() (*lab.Seen, error)
	for _, event := range []string{
		"client blocked accept()", "server blocked connect()", "client socket TIME_WAIT", "client socket gone", "client timer keepalive", "server zombies 3",
	} {
		waits = append(waits, h.await(ctx, event, lab.Now))
	}
	for range 10 {
		h.renew("next", 0, false)
	}
	h.do("type client again") // after which it reads on
	if seen, err := last(); err != nil || seen.Event.Host != "client" {
		t.Errorf("in the last experiment: %v, %v", seen, err)
	}
	if err := h.s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, wait := range waits {
		if seen, err := wait(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("of a session that was closed: %v, %v", seen, err)
		}
	}
}

// A program's end is seen though an experiment ends just then.
func TestAwaitRenew(t *testing.T) {
	h := openHand(t, lab.Options{Path: topology.Switch}, lab.Hand{})
	for after := time.Duration(0); after < 12*time.Millisecond; after += 200 * time.Microsecond {
		name := fmt.Sprintf("after-%d", after.Microseconds())
		h.do(fmt.Sprintf("start -as %s client sleep %f", name, after.Seconds()))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		exit := h.await(ctx, name+" exits 0", lab.LastAct)
		h.renew("next", 0, false)
		if _, err := exit(); err != nil && !scenarios.IsSyntax(err) { // the wait began too late: no such program is left
			t.Fatalf("%s: %v", name, err)
		}
		cancel()
	}
}

func TestAwaitErrors(t *testing.T) {
	h := openHand(t, lab.Options{Path: topology.Router}, lab.Hand{})
	for _, event := range []string{
		"", "fault", "fault nonsense", "fault kill server 1", "nobody receives RST", "client receives nonsense", "client nonsense",
		"-told client read() = EOF", "-within 1s client receives RST", "-by silence client receives RST", "client receives RST\nheal",
	} {
		if seen, err := h.s.Await(t.Context(), event, lab.Now); !scenarios.IsSyntax(err) {
			t.Errorf("%q: %v, %v", event, seen, err)
		}
	}
	wait := h.await(t.Context(), "client receives RST", lab.Now)
	h.unseen("client receives RST", lab.Now) // so that the other waits, too
	if err := h.s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := wait(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("of a session that was closed: %v", err)
	}
}
