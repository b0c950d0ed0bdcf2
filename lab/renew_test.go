package lab_test

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
	"github.com/seed-6fefc909/tcplab/lab/report/page"
	"github.com/seed-6fefc909/tcplab/topology"
)

func (h hand) renew(title string, keep int, frames bool) {
	h.Helper()
	if err := h.s.Renew(lab.Hand{Name: "lab", Title: title, Command: "lab record start", Keep: keep}, frames); err != nil {
		h.Fatal(err)
	}
}

// checkReports wants a record that is one, and that every report can be made of.
func checkReports(t *testing.T, r *record.Record, captures ...*record.Capture) {
	t.Helper()
	if err := validate(r); err != nil {
		t.Error(err)
	}
	for _, c := range captures {
		if c == nil || len(c.Frames) == 0 {
			t.Error("a capture without frames")
			continue
		}
		if err := report.PCAPNG(io.Discard, r, c); err != nil {
			t.Error(err)
		}
		if first := c.Frames[0].Time; first < 0 || first > r.Duration {
			t.Errorf("a frame at %d", first)
		}
	}
	if err := errors.Join(report.Text(io.Discard, r, report.Screen{}), report.JUnit(io.Discard, []*record.Record{r}), page.Write(io.Discard, r, page.Options{})); err != nil {
		t.Error(err)
	}
	for _, e := range r.Events {
		if e.Time > r.Duration+int64(time.Second) || e.Time < 0 && e.Kind != record.KindEnter {
			t.Errorf("event at %v of a record of %v: %s", time.Duration(e.Time), time.Duration(r.Duration), e.String())
		}
	}
}

// A record of a part of a session is as that of a run: what began before is
// known, and what was going on is seen to its end.
func TestRenewRecord(t *testing.T) {
	t.Parallel()
	for _, path := range []topology.Path{topology.Router, topology.Switch} {
		t.Run(string(path), func(t *testing.T) {
			t.Parallel()
			h := openHand(t, lab.Options{Path: path}, lab.Hand{Keep: 5000, Build: []string{"arp answered"}})
			child := h.connect()
			h.do("fault partition client", "heal") // is none of the record's
			h.renew("the server's process is killed", 0, true)
			h.do("fault kill server", "expect client receives FIN", "type client again", "expect client read() = EOF", "expect client exits 1")
			r := h.s.Finish()
			if r.Outcome != record.AsExpected || !r.Signature.OK || len(r.Signature.Checks) == 0 {
				t.Errorf("%s %q, signature %+v", r.Outcome, r.Reasons, r.Signature)
			}
			checkReports(t, r, h.s.Capture("client"), h.s.Capture("server"))
			if r.Title != "the server's process is killed" || r.Scenario != "lab" || r.Command != "lab record start" || !r.ByHand || r.Timers != "real" {
				t.Errorf("%s: %s, %s, by hand %v, timers %s", r.Scenario, r.Title, r.Command, r.ByHand, r.Timers)
			}
			if r.Fault.Kind != "kill" || r.Fault.PID != child || len(r.Later) != 0 || r.Detection.Error != "EOF" || len(r.Connections) != 1 {
				t.Errorf("fault %+v, later %+v, detection %+v, connections %+v", r.Fault, r.Later, r.Detection, r.Connections)
			}
			if took := time.Duration(r.Duration); took > 20*time.Second {
				t.Errorf("it took %v", took)
			}
			var programs []string
			for _, p := range r.Programs {
				programs = append(programs, p.Host+" "+p.Argv[0])
				if p.Running != (p.Host == "server") || p.Host == "client" && (p.Exit != 1 || p.Ended <= 0 || p.Ended > r.Duration) {
					t.Errorf("%+v", p)
				}
			}
			if want := []string{"server echo-server", "client echo-client"}; !slices.Equal(programs, want) {
				t.Errorf("programs %q, want %q", programs, want)
			}
			table, running := false, 0
			interrupted := false // the child's read, which began before the record
			for _, e := range r.Events {
				switch {
				case e.Kind == record.KindSnapshot && e.Host == "client":
					table = slices.ContainsFunc(e.Sockets, func(s record.SocketRow) bool { return s.State == "ESTABLISHED" && len(s.PIDs) == 1 })
				case e.Kind == record.KindRunning && e.PID > 1:
					running++
				case e.Kind == record.KindCall && e.Host == "server" && e.PID == child && e.Syscall.Name == "read":
					interrupted = e.Syscall.Duration > e.Time
				}
				if e.Kind == "partition" || e.Kind == "heal" {
					t.Errorf("of before: %s", e.String())
				}
			}
			if !table || running != 3 || !interrupted {
				t.Errorf("the connection in a table: %v, %d processes running, the read that was under way: %v", table, running, interrupted)
			}

			r.Expectations = nil // as a person's has none
			if said := report.Answer(r); !strings.HasPrefix(said, "read() = EOF, ") || !strings.HasSuffix(said, " after the fault") {
				t.Errorf("the answer is %q", said)
			}

			// Nothing was done: nothing is wrong.
			h.renew("nothing", 0, false)
			r = h.s.Finish()
			checkReports(t, r)
			if r.Outcome != record.AsExpected || r.Fault.Kind != "" || len(r.Programs) != 1 || h.s.Capture("client") != nil {
				t.Errorf("nothing: %s %q, fault %q, programs %+v", r.Outcome, r.Reasons, r.Fault.Kind, r.Programs)
			}
			if said := report.Answer(r); said != "no fault came meanwhile" {
				t.Errorf("nothing: the answer is %q", said)
			}
		})
	}
}

// What is in force stays so, and is noted.
func TestRenewInForce(t *testing.T) {
	t.Parallel()
	h := openHand(t, lab.Options{Path: topology.Router}, lab.Hand{Build: []string{"arp answered"}})
	h.connect()
	h.do("fault unreachable-host", "freeze client", "fault crash server")
	want := []string{"unreachable-host", "freeze client", "crash server"}
	h.wantForces(want...)
	h.renew("of before", 0, true)
	h.wantForces(want...)
	h.do("heal", "fault reboot server", "thaw client")
	r := h.s.Finish()
	checkReports(t, r)
	var noted []string
	for _, e := range r.Events {
		switch {
		case e.Kind == "in-force":
			noted = append(noted, e.Text)
		case e.Host == "server" && e.Boot == 1 && e.Source != record.Step:
			t.Errorf("of a dead boot: %s", e.String())
		}
	}
	for i, text := range []string{
		"in force: the router answers that it cannot reach the server's host, for ", "in force: process ", "in force: server is down: crash, for ",
	} {
		if len(noted) != 3 || !strings.HasPrefix(noted[i], text) {
			t.Errorf("noted %q", noted)
		}
	}
	if r.Outcome != record.AsExpected || r.Fault.Kind != "" {
		t.Errorf("%s %q, fault %q", r.Outcome, r.Reasons, r.Fault.Kind)
	}
	h.wantForces()
	h.renew("another", 0, false)
	h.do("start -as again server echo-server {any:port}", "expect server socket LISTEN", "fault crash server")
	if r := h.s.Finish(); r.Outcome != record.AsExpected || len(r.Signature.Checks) != 2 {
		t.Errorf("%s %q, signature %+v", r.Outcome, r.Reasons, r.Signature)
	}
}

// Who follows is told everything, once, from one record to the next.
func TestRenewFollow(t *testing.T) {
	t.Parallel()
	h := openHand(t, lab.Options{Path: topology.Switch}, lab.Hand{Keep: 5000})
	const followers = 20
	type told struct {
		mu    sync.Mutex
		ended int      // records
		texts []string // what happened
	}
	all := make([]told, followers)
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	for i := range all {
		one := &all[i]
		started, upTo := "", int64(math.MinInt64)
		done.Go(func() {
			h.s.Follow(ctx, func(r *record.Record, until int64) {
				one.mu.Lock()
				defer one.mu.Unlock()
				if r.Started != started {
					started, upTo = r.Started, math.MinInt64
				}
				for _, e := range r.Events {
					if e.Time > upTo && e.Time <= until && (e.Source == record.Output || e.Source == record.Fault) {
						one.texts = append(one.texts, e.Text)
					}
				}
				if upTo = until; until == math.MaxInt64 {
					one.ended++
				}
			})
		})
	}
	wait := func(what string, until func(*told) bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			n := 0
			for i := range all {
				all[i].mu.Lock()
				if until(&all[i]) {
					n++
				}
				all[i].mu.Unlock()
			}
			if n == followers {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %d of %d", what, n, followers)
			}
		}
	}
	says := func(text string) func(*told) bool {
		return func(one *told) bool { return slices.Contains(one.texts, text) }
	}
	h.do("start -as first client echo first", "expect first exits 0")
	wait("first", says("first"))
	h.do("start -as second client echo second", "expect second exits 0") // not settled at once
	h.renew("r", 0, true)
	h.do("start -as third client echo third", "expect third exits 0")
	wait("third", says("third")) // who reads what it wrote may come to it after the crash
	h.do("fault crash server")
	h.s.Finish()
	h.renew("after", 5000, false)
	h.do("start -as fourth client echo fourth", "expect fourth exits 0")
	wait("fourth", says("fourth"))
	h.do("start -as fifth client echo fifth")
	wait("fifth", says("fifth"))
	if err := h.s.Close(); err != nil {
		t.Error(err)
	}
	done.Wait() // without cancel
	cancel()
	for i := range all {
		want := []string{"first", "second", "third", "link down", "every process killed, every socket destroyed", "fourth", "fifth"}
		if !slices.Equal(all[i].texts, want) || all[i].ended != 3 {
			t.Errorf("told %q, want %q; %d records", all[i].texts, want, all[i].ended)
		}
	}
	if err := h.s.Renew(lab.Hand{}, false); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// What is done while a record is made is in that one, or in the next.
func TestConclude(t *testing.T) {
	t.Parallel()
	h := openHand(t, lab.Options{Path: topology.Switch}, lab.Hand{Build: []string{"arp answered"}})
	h.renew("recorded", 0, true)
	h.connect()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	marked := make(chan []string)
	go func() {
		pace := time.NewTicker(time.Millisecond)
		defer pace.Stop()
		var marks []string
		for ctx.Err() == nil {
			<-pace.C
			marks = append(marks, strconv.Itoa(len(marks)))
			h.s.Mark("client", marks[len(marks)-1])
		}
		marked <- marks
	}()
	var recorded []string
	add := func(r *record.Record) {
		for _, e := range r.Events {
			if e.Kind == "mark" {
				recorded = append(recorded, e.Text)
			}
		}
	}
	for i := range 10 {
		r, captures, err := h.s.Conclude(lab.Hand{Name: "lab", Command: "lab record start"})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 && len(captures) != 2 || i > 0 && captures != nil {
			t.Errorf("record %d has %d captures", i, len(captures))
		}
		add(r)
	}
	cancel()
	marks := <-marked
	add(h.s.Finish())
	if !slices.Equal(recorded, marks) {
		t.Errorf("of %d marks the records have %d: %.300q", len(marks), len(recorded), recorded)
	}
}

// The next experiment is observed while the record of the last one is judged.
func TestConcludeSoon(t *testing.T) {
	h := openHand(t, lab.Options{Path: topology.Switch}, lab.Hand{})
	h.renew("recorded", 0, true)
	for range 200_000 { // which takes its time to judge
		h.s.Mark("client", "somebody acts")
	}
	began := time.Now()
	r, _, err := h.s.Conclude(lab.Hand{Name: "lab", Command: "lab record start"})
	took := time.Since(began)
	if err != nil {
		t.Fatal(err)
	}
	if gap := started(t, h.s.Finish()).Sub(started(t, r)) - time.Duration(r.Duration); gap < 0 || gap > took/2 {
		t.Errorf("nothing was observed for %v of the %v that it took", gap, took)
	}
}

func started(t *testing.T, r *record.Record) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, r.Started)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// What a step did is told, and nothing of what others did while it waited.
func TestDone(t *testing.T) {
	t.Parallel()
	h := openHand(t, lab.Options{Path: topology.Router, Grace: 500 * time.Millisecond}, lab.Hand{Build: []string{"arp answered"}})
	h.do("start -as s server stubborn", "expect s prints ready")
	begun := h.await(t.Context(), "fault shutdown", lab.LastAct)
	var steps sync.WaitGroup
	step := func(line string, want ...string) {
		steps.Go(func() {
			done, err := h.s.Do(t.Context(), "typed", 1, line)
			var did []string
			for _, e := range done.Did {
				did = append(did, e.Kind+" "+e.Host+": "+e.Text)
			}
			if err != nil || !slices.Equal(did, want) {
				t.Errorf("%s did %q, %v; want %q", line, did, err, want)
			}
		})
	}
	step("fault shutdown server", "shutdown server: SIGTERM to every process: 1", "shutdown server: SIGKILL to every process: 1")
	if _, err := begun(); err != nil {
		t.Error(err)
	}
	step("fault partition client", "partition client: nothing that the client sends gets through any more")
	step("fault unreachable-net", "unreachable-net : the router has no route to the network any more")
	step("start -as other client sleep 1000", "start client: start -as other client sleep 1000")
	steps.Go(func() { h.s.Mark("client", "somebody acts") })
	steps.Wait()
}

// How things are is told while a step waits: here for what only comes when it
// was told.
func TestSessionLook(t *testing.T) {
	t.Parallel()
	h := openHand(t, lab.Options{Path: topology.Switch}, lab.Hand{})
	server := h.s.Network().Server
	step := make(chan error)
	go func() { step <- h.try("expect -within 1m server socket LISTEN") }()
	var l net.Listener
	for range 100 {
		if list := h.s.InForce(); len(list) > 0 {
			t.Errorf("in force: %+v", list)
		}
		if _, err := h.s.Sockets(server); err != nil {
			t.Error(err)
		}
	}
	err := h.s.Inside(server, func(func()) (err error) {
		var c net.ListenConfig
		c.SetMultipathTCP(false)
		l, err = c.Listen(t.Context(), "tcp4", ":80")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := <-step; err != nil {
		t.Error(err)
	}
	rows, err := h.s.Sockets(server)
	if err != nil || len(rows) != 1 || rows[0].State != "LISTEN" {
		t.Errorf("sockets %+v, %v", rows, err)
	}
	h.do("fault crash server")
	if _, err := h.s.Sockets(server); !errors.Is(err, lab.ErrDown) {
		t.Errorf("sockets of a dead host: %v", err)
	}
}

// Any number may do anything at once.
func TestSessionConcurrent(t *testing.T) {
	t.Parallel()
	h := openHand(t, lab.Options{Path: topology.Router, Grace: 10 * time.Millisecond}, lab.Hand{Keep: 5000, Build: []string{"arp answered"}})
	h.do("start -as sleeper client sleep 1000")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var lookers sync.WaitGroup
	for range 4 {
		lookers.Go(func() {
			for ctx.Err() == nil {
				h.s.InForce()
				for _, host := range h.s.Network().Hosts() {
					if _, err := h.s.Sockets(host); err != nil && !errors.Is(err, lab.ErrDown) {
						t.Error(err)
					}
					h.s.Alive(host, host.Boot())
				}
			}
		})
		lookers.Go(func() { h.s.Follow(ctx, func(*record.Record, int64) {}) })
	}
	var steps sync.WaitGroup
	for range 3 {
		steps.Go(func() {
			for range 3 {
				for _, text := range []string{
					"start -as a server echo-server {any:port}", "fault shutdown", "fault crash", "fault partition", "fault reboot", "fault unreachable-net", "heal",
					"freeze sleeper", "thaw sleeper",
				} {
					_ = h.try(text) // another may have been there before
				}
				if err := h.s.Renew(lab.Hand{Name: "lab", Keep: 5000}, false); err != nil {
					t.Error(err)
				}
			}
		})
	}
	steps.Wait()
	cancel()
	lookers.Wait()
	_ = h.try("fault reboot")
	h.do("heal", "thaw sleeper")
	h.wantForces()
}
