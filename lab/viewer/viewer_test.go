package viewer

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// A screen is what a program prints to. If held is not nil, nothing is taken
// until it is closed.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
	held chan struct{}
}

func newScreen() *screen { return &screen{more: make(chan struct{}, 1)} }

func (s *screen) Write(p []byte) (int, error) {
	if s.held != nil {
		<-s.held
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.more <- struct{}{}:
	default:
	}
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// await waits until the screen shows a number of octets.
func (s *screen) await(t *testing.T, n int) {
	t.Helper()
	for deadline := time.After(10 * time.Second); len(s.String()) < n; {
		select {
		case <-s.more:
		case <-deadline:
			t.Fatalf("%d octets after 10 s, want %d", len(s.String()), n)
		}
	}
}

// A said is what was said of a viewer.
type said struct {
	mu    sync.Mutex
	lines []string
	more  chan struct{}
}

func newSaid() *said { return &said{more: make(chan struct{}, 16)} }

func (s *said) say(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, err.Error())
	s.more <- struct{}{}
}

// want waits for the line that must be said, alone.
func (s *said) want(t *testing.T, parts ...string) {
	t.Helper()
	select {
	case <-s.more:
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was said in 10 s")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, part := range parts {
		if len(s.lines) != 1 || !strings.Contains(s.lines[0], part) {
			t.Errorf("it was said %q, want %q", s.lines, part)
		}
	}
}

func (s *said) wantNothing(t *testing.T) {
	t.Helper()
	if len(s.lines) > 0 {
		t.Errorf("it was said %q", s.lines)
	}
}

// shell is a program that is a script, and prints.
func shell(script string) Program {
	return Program{Name: "sh", Argv: []string{"/bin/sh", "-c", script}}
}

func start(t *testing.T, p Program, o Options) *Viewer {
	t.Helper()
	o.Host, o.Err = "client", os.Stderr
	v, err := Start(p, o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// run is a record with its client's frames, each of size octets.
func run(t *testing.T, size int) (*record.Record, *record.Capture) {
	t.Helper()
	r, err := record.ReadFile(filepath.Join("..", "testdata", "crash.json"))
	if err != nil {
		t.Fatal(err)
	}
	c := &record.Capture{Host: "client", Interfaces: []record.Interface{{Name: "eth0", Boot: 1}}}
	for _, e := range r.Events {
		if e.Packet != nil && e.Host == "client" {
			c.Frames = append(c.Frames, record.Frame{Time: e.Time, Boot: e.Boot, Out: e.Kind == record.KindOut, Length: size, Data: make([]byte, size)})
		}
	}
	return r, c
}

// written is what a viewer is to be given.
func written(t *testing.T, r *record.Record, c *record.Capture, until ...int64) string {
	t.Helper()
	var b bytes.Buffer
	w := report.NewCaptureWriter(&b, "client")
	for _, until := range until {
		if err := w.Write(r, c, until); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// What happened is shown while the run goes on, and the rest at its end.
func TestShownMeanwhile(t *testing.T) {
	r, c := run(t, 100)
	out, said := newScreen(), newSaid()
	v := start(t, shell("cat"), Options{Out: out, Say: said.say})
	before := written(t, r, c, r.Fault.Time)
	v.Show(r, c, r.Fault.Time-1)
	out.await(t, len(before))
	if out.String() != before {
		t.Error("before the fault it shows something else")
	}
	v.Finish(r, c)
	if out.String() != written(t, r, c, r.Fault.Time, math.MaxInt64) {
		t.Error("in the end it shows something else")
	}
	said.wantNothing(t)
}

// A program that ends is said to have ended, once, with its last words.
func TestEndsEarly(t *testing.T) {
	r, c := run(t, 100)
	said := newSaid()
	v := start(t, shell(`echo first >&2; echo no such thing >&2; echo 'Running as user "root" and group "root".' >&2; exit 3`), Options{Out: newScreen(), Say: said.say})
	<-v.exited
	v.Show(r, c, 0)
	said.want(t, "sh ended before the run did: exit status 3: no such thing")
	for until := range r.Duration / 1e9 {
		v.Show(r, c, until*1e9)
	}
	v.Finish(r, c)
	if len(said.lines) != 1 {
		t.Errorf("it was said %q", said.lines)
	}
}

// One that fails at its end is said not to have shown all.
func TestFails(t *testing.T) {
	r, c := run(t, 100)
	said := newSaid()
	v := start(t, shell("cat >/dev/null; echo what is this >&2; exit 2"), Options{Out: newScreen(), Say: said.say})
	v.Finish(r, c)
	said.want(t, "sh did not show all: exit status 2: what is this")
}

// That something came too late for its place is said.
func TestLate(t *testing.T) {
	r, c := run(t, 100)
	less := *c
	less.Frames = c.Frames[1:]
	said := newSaid()
	v := start(t, shell("cat"), Options{Out: newScreen(), Say: said.say})
	v.Show(r, &less, r.Fault.Time)
	v.Finish(r, c)
	said.want(t, "sh lacks what became known too late for its place: of the packets 1, of the events 0")
}

// One that never reads holds nothing up, neither meanwhile nor in the end, and
// does not stay.
func TestNeverReads(t *testing.T) {
	r, c := run(t, 40_000) // more than a pipe holds
	said := newSaid()
	v := start(t, shell("exec sleep 1000"), Options{Out: newScreen(), Say: said.say, Patience: 100 * time.Millisecond})
	for until := range r.Duration / 1e8 {
		v.Show(r, c, until*1e8)
	}
	v.Finish(r, c)
	said.want(t, "sh takes nothing more: it did not read for 100ms")
	select {
	case <-v.exited:
	default:
		t.Error("it is still there")
	}
}

// One that reads and does not end is ended.
func TestNeverEnds(t *testing.T) {
	r, c := run(t, 100)
	said := newSaid()
	v := start(t, shell("cat >/dev/null; exec sleep 1000"), Options{Out: newScreen(), Say: said.say, Patience: 100 * time.Millisecond})
	v.Finish(r, c)
	said.want(t, "sh did not end: it did nothing for 100ms")
}

// If it is the reader of its output who takes the time, nothing is lost.
func TestReadSlowly(t *testing.T) {
	r, c := run(t, 40_000)
	out, said := newScreen(), newSaid()
	out.held = make(chan struct{})
	v := start(t, shell("cat"), Options{Out: out, Say: said.say, Patience: 50 * time.Millisecond})
	v.Show(r, c, r.Duration)
	timer := time.AfterFunc(time.Second, func() { close(out.held) }) // twenty times the patience
	defer timer.Stop()
	v.Finish(r, c)
	if got, want := out.String(), written(t, r, c, r.Duration+1, math.MaxInt64); got != want {
		t.Errorf("%d octets are shown, want %d", len(got), len(want))
	}
	said.wantNothing(t)
}

// What nobody reads any more is for whoever printed it to tell.
func TestOutputLost(t *testing.T) {
	r, c := run(t, 40_000)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close()
	read.Close()
	said := newSaid()
	v := start(t, shell("cat"), Options{Out: write, Say: said.say})
	v.Finish(r, c)
	said.wantNothing(t)
}

// A window stays when all was handed to it.
func TestWindow(t *testing.T) {
	r, c := run(t, 100)
	file := filepath.Join(t.TempDir(), "capture")
	said := newSaid()
	p := shell(`cat >"$FILE"; exec sleep 1000`)
	p.Window = true
	v := start(t, p, Options{Env: append(os.Environ(), "FILE="+file), Say: said.say})
	v.Show(r, c, r.Fault.Time)
	v.Finish(r, c)
	select {
	case <-v.exited:
		t.Error("the window is gone:", v.status)
	default:
	}
	said.wantNothing(t)
	want := written(t, r, c, r.Fault.Time+1, math.MaxInt64)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if got, err := os.ReadFile(file); err == nil && string(got) == want {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("it was handed %d octets (%v), want %d", len(got), err, len(want))
		}
	}
	if err := v.cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	<-v.exited
}

// Of a run that did not begin nothing is shown, or said.
func TestNotBegun(t *testing.T) {
	out, said := newScreen(), newSaid()
	v := start(t, shell("cat; exit 2"), Options{Out: out, Say: said.say})
	v.Show(&record.Record{}, nil, 0)
	v.Finish(&record.Record{}, nil)
	if out.String() != "" {
		t.Errorf("it shows %q", out.String())
	}
	said.wantNothing(t)
}

func TestStartFails(t *testing.T) {
	if _, err := Start(Program{Name: "x", Argv: []string{"/nonexistent"}}, Options{}); err == nil || !strings.HasPrefix(err.Error(), "start x: ") {
		t.Errorf("error %v", err)
	}
}

func TestFind(t *testing.T) {
	bin := t.TempDir()
	add := func(name string) {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	want := func(display, name string) {
		t.Helper()
		t.Setenv("DISPLAY", display)
		t.Setenv("WAYLAND_DISPLAY", "")
		p, err := Find()
		if p.Name != name || p.Window != (name == "Wireshark") || (err == nil) != (name != "") {
			t.Errorf("with display %q: %+v, error %v, want %s", display, p, err, name)
		}
	}
	want(":0", "")
	add("wireshark")
	want("", "")
	want(":0", "Wireshark")
	add("tshark")
	want("", "tshark")
	want(":0", "Wireshark")
	if err := os.Remove(filepath.Join(bin, "wireshark")); err != nil {
		t.Fatal(err)
	}
	want(":0", "tshark")
}
