package byhand

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/report"
	"github.com/seed-6fefc909/tcplab/topology"
)

// up builds a lab, in this process, that is down at the end of the test.
func up(t *testing.T, c Config) *Lab {
	t.Helper()
	testenv.NeedRoot(t)
	d := newDir(t)
	if c.Name == "" {
		c.Name = "x"
	}
	if c.Path == "" {
		c.Path = topology.Router
	}
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- Run(context.Background(), d, c, func(*Status) error { close(ready); return nil })
	}()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	l := &Lab{c.Name, d}
	t.Cleanup(func() {
		if err := l.Down(); err != nil && !isRefused(err) {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(string(d)); err != nil || len(left) != 0 {
			t.Errorf("left: %v, %v", left, err)
		}
	})
	return l
}

func isRefused(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == Refused
}

// run runs a program in the lab, and tells when it is known there.
func run(t *testing.T, l *Lab, host string, argv ...string) (ended <-chan End) {
	t.Helper()
	done := make(chan End, 1)
	go func() {
		end, err := l.Exec(t.Context(), nil, host, lab.Execution{}, argv)
		if err != nil {
			t.Error(err)
		}
		done <- end
	}()
	return done
}

// do performs lines, up to the first that cannot be.
func do(l *Lab, lines ...string) error {
	for _, line := range lines {
		if _, err := l.Do(line); err != nil {
			return err
		}
	}
	return nil
}

// await waits until the lab's status is as wanted.
func await(t *testing.T, l *Lab, what string, is func(*Status) bool) *Status {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		s, err := l.Status()
		if err != nil {
			t.Fatal(err)
		}
		if is(s) {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("it never came to: %s\n%+v", what, s)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// has tells whether a host has a process of that command.
func has(s *Status, host, command string) (pid int, ok bool) {
	for _, h := range s.Hosts {
		for _, p := range h.Processes {
			if h.Name == host && strings.Join(p.Argv, " ") == command {
				return p.PID, true
			}
		}
	}
	return 0, false
}

// A program's end is told as it was, and a host's as what it is.
func TestExec(t *testing.T) {
	l := up(t, Config{})
	for script, want := range map[string]int{"exit 0": 0, "exit 42": 42, "kill -TERM $$": 143, "test $(hostname) = client": 0} {
		if end := <-run(t, l, "client", "sh", "-c", script); end.Status != want || end.Gone != "" {
			t.Errorf("%s: %+v, want %d", script, end, want)
		}
	}
	if _, err := l.Exec(t.Context(), nil, "client", lab.Execution{}, []string{"no-such-program"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of no program: %v", err)
	}
	if _, err := l.Exec(t.Context(), nil, "nowhere", lab.Execution{}, []string{"true"}); err == nil {
		t.Error("on no host: no error")
	}
	ended := run(t, l, "server", "sleep", "1000")
	await(t, l, "it runs", func(s *Status) bool { _, ok := has(s, "server", "sleep 1000"); return ok })
	if _, err := l.Do("fault crash server"); err != nil {
		t.Fatal(err)
	}
	if end := <-ended; end.Status != 137 || end.Gone != "server went down" {
		t.Errorf("of a crash: %+v", end)
	}
	if _, err := l.Exec(t.Context(), nil, "server", lab.Execution{}, []string{"true"}); !isRefused(err) {
		t.Errorf("on a host that is down: %v", err)
	}
	ended = run(t, l, "client", "sleep", "1000")
	await(t, l, "it runs", func(s *Status) bool { _, ok := has(s, "client", "sleep 1000"); return ok })
	if err := l.Down(); err != nil {
		t.Fatal(err)
	}
	if end := <-ended; end.Status != 137 || !strings.Contains(end.Gone, "taken down") {
		t.Errorf("of a lab that is taken down: %+v", end)
	}
}

// The status tells what is there.
func TestStatus(t *testing.T) {
	l := up(t, Config{})
	run(t, l, "server", "echo-server", "{any:port}")
	s := await(t, l, "it listens", func(s *Status) bool { return len(s.Hosts[1].Sockets) == 1 })
	row := s.Hosts[1].Sockets[0]
	if pid, ok := has(s, "server", "echo-server 0.0.0.0:9998"); !ok || row.State != "LISTEN" || !slices.Equal(row.PIDs, []int{pid}) {
		t.Errorf("the server's socket is %+v; processes %+v", row, s.Hosts[1].Processes)
	}
	if err := do(l, "fault unreachable-host", "freeze server 2"); err == nil {
		t.Error("a process that there is not was frozen")
	}
	if _, err := l.Do("fault crash client"); err != nil {
		t.Fatal(err)
	}
	s, err := l.Status()
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, f := range s.Faults {
		kinds = append(kinds, f.Kind)
	}
	slices.Sort(kinds)
	if !slices.Equal(kinds, []string{"crash", "unreachable-host"}) || !s.Hosts[0].Down || s.Hosts[1].Down {
		t.Errorf("in force: %+v; hosts %+v", s.Faults, s.Hosts)
	}
	for _, link := range s.Links {
		if wantUp := link.Node != "client"; link.Up != wantUp {
			t.Errorf("link %+v", link)
		}
	}
	var b strings.Builder
	if err := errors.Join(s.Write(&b), s.WriteUp(&b), WriteList(&b, []*Lab{l})); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"crash", "unreachable-host", "echo-server 0.0.0.0:9998", "LISTEN", "down"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, &b)
		}
	}
}

// What is recorded is what happened between start and stop.
func TestRecord(t *testing.T) {
	l := up(t, Config{})
	if _, err := stop(l); err == nil || !strings.Contains(err.Error(), "is not being recorded") {
		t.Errorf("what was not begun was ended: %v", err)
	}
	if end := <-run(t, l, "client", "true"); end.Status != 0 {
		t.Fatal(end)
	}
	if warning, err := l.Record("/somewhere"); err != nil || warning != "" {
		t.Fatal(err, warning)
	}
	if _, err := l.Record(""); err == nil || !strings.Contains(err.Error(), "is being recorded") {
		t.Errorf("it was begun twice: %v", err)
	}
	if end := <-run(t, l, "client", "sh", "-c", "exit 5"); end.Status != 5 {
		t.Fatal(end)
	}
	if _, err := l.Do("fault crash server"); err != nil {
		t.Fatal(err)
	}
	await(t, l, "some events are recorded", func(s *Status) bool { return s.Recording.Events > 0 && s.Recording.Room > s.Recording.Events })
	unable := errors.New("the disk is full")
	if err := l.Stop(func(*Recorded) error { return unable }); err != unable {
		t.Errorf("what could not be saved: %v", err)
	}
	if s, err := l.Status(); err != nil || s.Recording != nil || s.Unsaved == nil || s.Unsaved.Out != "/somewhere" {
		t.Errorf("after that: %+v, %v", s, err)
	}
	recorded, err := stop(l)
	if err != nil {
		t.Fatal(err)
	}
	r := recorded.Record
	if recorded.Out != "/somewhere" || len(recorded.Captures) != 2 || r.Fault.Kind != "crash" || len(r.Signature.Checks) == 0 {
		t.Errorf("recorded: %s, %d captures, fault %+v, signature %+v", recorded.Out, len(recorded.Captures), r.Fault, r.Signature)
	}
	if len(r.Programs) != 1 || r.Programs[0].Exit != 5 {
		t.Errorf("programs: %+v", r.Programs)
	}
	if s, err := l.Status(); err != nil || s.ToSave() != nil {
		t.Errorf("it is still being recorded: %+v, %v", s, err)
	}
	if _, err := stop(l); err == nil || !strings.Contains(err.Error(), "is not being recorded") {
		t.Errorf("what was saved was given again: %v", err)
	}
}

// stop ends a recording, and has it.
func stop(l *Lab) (made *Recorded, err error) {
	err = l.Stop(func(r *Recorded) error { made = r; return nil })
	return made, err
}

// A recording begins, and ends with all that was recorded, though the lab cannot be observed
// any more as it should.
func TestRecordUnobserved(t *testing.T) {
	l := up(t, Config{})
	inClient := func(script string) {
		t.Helper()
		if end := <-run(t, l, "client", "sh", "-c", script); end.Status != 0 {
			t.Fatalf("%s: %+v", script, end)
		}
	}
	if warning, err := l.Record(""); err != nil || warning != "" {
		t.Fatal(err, warning)
	}
	inClient("ip link set eth0 down && ip link set eth0 name gone")
	recorded, err := stop(l)
	if err != nil {
		t.Fatal(err)
	}
	if recorded.Warning == "" || recorded.Record == nil || len(recorded.Record.Programs) != 1 {
		t.Errorf("recorded: %+v", recorded)
	}
	if warning, err := l.Record(""); err != nil || warning == "" {
		t.Errorf("a recording without the client's packets began with %v, warning %q", err, warning)
	}
	inClient("true")
	if recorded, err = stop(l); err != nil {
		t.Fatal(err)
	}
	if r := recorded.Record; len(r.Programs) != 1 || len(r.Missing) == 0 {
		t.Errorf("recorded: programs %+v, missing %+v", r.Programs, r.Missing)
	}
}

// Whoever watches is told of what happens from then on; others do not mind one
// who does not read.
func TestWatch(t *testing.T) {
	l := up(t, Config{})
	stuck, err := l.ask(request{Op: opWatch, Watch: &Watch{Lines: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer stuck.close()
	seen := errors.New("seen")
	watched := make(chan error, 2)
	for _, lines := range []bool{false, true} {
		go func() {
			watched <- l.Watch(Watch{Lines: lines, Screen: report.Screen{Width: 100}}, nil, func(p *Piece) error {
				for _, line := range p.Lines {
					if line.Event.Kind == "crash" {
						return seen
					}
				}
				if strings.Contains(p.Text, "crash") {
					return seen
				}
				return nil
			})
		}()
	}
	await(t, l, "three watch", func(s *Status) bool { return s.Watchers == 3 })
	if _, err := l.Do("fault crash server"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-watched; err != seen {
			t.Errorf("the watch ended with %v", err)
		}
	}
	await(t, l, "one watches", func(s *Status) bool { return s.Watchers == 1 })
}

// Who watches is told what came just before the lab went down, and who waits that
// it did.
func TestLastWords(t *testing.T) {
	l := up(t, Config{})
	told := make(chan string, 2)
	for _, lines := range []bool{false, true} {
		go func() {
			var all strings.Builder
			err := l.Watch(Watch{Lines: lines}, nil, func(p *Piece) error {
				all.WriteString(p.Text)
				for _, line := range p.Lines {
					all.WriteString(line.Event.String())
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			told <- all.String()
		}()
	}
	waited := make(chan error, 1)
	go func() {
		_, err := l.Await(t.Context(), "client receives RST", lab.Now)
		waited <- err
	}()
	await(t, l, "two watch", func(s *Status) bool { return s.Watchers == 2 })
	if _, err := l.Do("fault crash server"); err != nil {
		t.Fatal(err)
	}
	if err := l.Down(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if all := <-told; !strings.Contains(all, "every process killed, every socket destroyed") {
			t.Errorf("told: %s", all)
		}
	}
	if err := <-waited; !isRefused(err) || !strings.Contains(err.Error(), "was taken down") && !strings.Contains(err.Error(), "is going down") {
		t.Errorf("who waited heard: %v", err)
	}
}

// A supervisor goes on, whatever it is told.
func TestRubbish(t *testing.T) {
	l := up(t, Config{})
	for _, say := range []string{"", "\n", "rubbish\n", "{}\n", `{"version":1,"op":"watch"}` + "\n", `{"version":1,"op":"exec"}` + "\n", `{"version":1,"op":"fly"}` + "\n", "{"} {
		c, err := net.Dial("unix", l.dir.socket(l.Name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte(say)); err != nil {
			t.Error(err)
		}
		c.Close()
	}
	silent, err := net.Dial("unix", l.dir.socket(l.Name))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	c, err := l.dir.dial(l.Name)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if err := c.send(request{Version: Version + 1, Op: opStatus}); err != nil {
		t.Fatal(err)
	}
	if err := l.hear(c, &done{}); err == nil || !strings.Contains(err.Error(), "version") {
		t.Errorf("asked in another version: %v", err)
	}
	if _, err := l.Status(); err != nil {
		t.Error(err)
	}
}

// A host that goes down does not wait for who is just entering it, who waits for
// it.
func TestExecBesideReboots(t *testing.T) {
	l := up(t, Config{})
	const tooLong = 5 * time.Second
	timed := func(what string, f func() error) {
		began := time.Now()
		if err := f(); err != nil && !isRefused(err) {
			t.Errorf("%s: %v", what, err)
		}
		if took := time.Since(began); took > tooLong {
			t.Errorf("%s took %v", what, took)
		}
	}
	over := make(chan struct{})
	var entering sync.WaitGroup
	for range 3 {
		entering.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
					timed("exec", func() error {
						_, err := l.Exec(t.Context(), nil, "server", lab.Execution{}, []string{"true"})
						return err
					})
				}
			}
		})
	}
	for range 30 {
		timed("reboot", func() error { return do(l, "fault reboot server") })
	}
	close(over)
	entering.Wait()
}

// A program that is started just when its host goes down is told how to have that
// again.
func TestHostDown(t *testing.T) {
	l := up(t, Config{})
	c, err := l.ask(request{Op: opExec, Exec: &exec{Host: "client", Argv: []string{"true"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if err := l.hear(c, &admission{}); err != nil {
		t.Fatal(err)
	}
	if err := do(l, "fault crash client"); err != nil {
		t.Fatal(err)
	}
	if err := c.send(note{PID: 4711}); err != nil {
		t.Fatal(err)
	}
	err = l.hear(c, &done{})
	if e, told := errors.AsType[*Error](err); !told || e.Kind != Refused || e.Hint != "sudo lab fault --name x reboot client boots it again" {
		t.Errorf("it was told %#v", err)
	}
}

// A fault tells what it did, and one that would be another here is refused.
func TestDo(t *testing.T) {
	l := up(t, Config{Command: "lab up --name x"})
	did, err := l.Do("fault crash")
	if err != nil || len(did) != 2 || did[0] != "crash: link down" {
		t.Errorf("a crash did %q, %v", did, err)
	}
	if did, err = l.Do("fault reboot"); err != nil || len(did) == 0 {
		t.Errorf("the boot did %q, %v", did, err)
	}
	_, err = l.Do("fault crash-lan")
	if e, ok := errors.AsType[*Error](err); !ok || e.Kind != Usage || e.Hint != "sudo lab down --name x; sudo lab up --name x --arp fails" {
		t.Errorf("crash-lan where ARP is answered: %v", err)
	}
	_, err = l.Do("fault kill")
	if e, ok := errors.AsType[*Error](err); !ok || e.Kind != Refused || !strings.Contains(e.Text, "server has no connection with a client") {
		t.Errorf("kill where nothing runs: %v", err)
	}
	for host, want := range map[string]string{"router": "sudo nsenter --net=/proc/", "nowhere": "client and server"} {
		_, err := l.Exec(context.Background(), nil, host, lab.Execution{}, []string{"true"})
		if e, ok := errors.AsType[*Error](err); !ok || !strings.Contains(e.Hint, want) {
			t.Errorf("exec on %s: %v", host, err)
		}
	}
}
