package tutorial

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/byhand"
	"github.com/seed-6fefc909/tcplab/lab/predict"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
)

// A fake is a lab whose state and events a test decides.
type fake struct {
	mu     sync.Mutex
	status *byhand.Status
	events map[string]int64
	since  map[string]lab.Since // from where on they were waited for
	grown  chan struct{}
}

var errDown = errors.New("the lab is not up")

func (f *fake) Status() (*byhand.Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.status == nil {
		return nil, errDown
	}
	return f.status, nil
}

func (f *fake) Await(ctx context.Context, event string, since lab.Since) (*lab.Seen, error) {
	for {
		f.mu.Lock()
		f.since[event] = since
		at, come := f.events[event]
		grown, up := f.grown, f.status != nil
		f.mu.Unlock()
		switch {
		case !up:
			return nil, errDown
		case come:
			return &lab.Seen{Awaited: event, Event: record.Event{Time: at, Host: "client", Text: "it"}}, nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// come lets an event come.
func (f *fake) come(event string, at time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events[event] = int64(at)
	close(f.grown)
	f.grown = make(chan struct{})
}

func (f *fake) is(s *byhand.Status) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status = s
	close(f.grown)
	f.grown = make(chan struct{})
}

// status is a lab with a server that listens and, if argv is that of one, a
// client whose connection is in a state.
func status(state string, argv ...string) *byhand.Status {
	s := &byhand.Status{Path: "router", Hosts: []byhand.Host{
		{Name: "client", Processes: []byhand.Process{}},
		{Name: "server", Sockets: []record.SocketRow{{State: "LISTEN", PIDs: []int{7}}}},
	}}
	if len(argv) > 0 {
		s.Hosts[0].Processes = []byhand.Process{{PID: 7, Argv: argv}}
		s.Hosts[0].Sockets = []record.SocketRow{{State: state, Local: "c", Remote: "s", PIDs: []int{7}}}
		s.Hosts[1].Sockets = append(s.Hosts[1].Sockets, record.SocketRow{State: state, Local: "s", Remote: "c", PIDs: []int{8}})
	}
	return s
}

const example = `# X. A case
The book

How it begins.

---
@3 $ sudo lab up
@have lab

---
@have whole

---
@1 $ sudo lab exec server -- echo-server {any:port}
@have listening

---
## Connect

@2 $ sudo lab exec client -- echo-client {server:port}
@have connected

It is connected.

---
## Kill

@3 $ sudo lab fault kill
@ends connected
@await kill: fault kill
@await fin: client receives FIN

After {kill..fin|1 ms} and {silence}.

---
@3 $ sudo lab status
@enter

Seen.
`

// A walker walks through the example.
type walker struct {
	*testing.T
	f    *fake
	keys chan string
	mu   sync.Mutex
	out  bytes.Buffer
	said int // up to where it was looked at
	end  chan error
}

func (w *walker) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(p)
}

// says wants that the guide has said something new, with the texts in it.
func (w *walker) says(wants ...string) {
	w.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	said := w.out.String()[w.said:]
	w.said = w.out.Len()
	for _, want := range wants {
		if !strings.Contains(said, want) {
			w.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	if len(wants) == 0 && said != "" {
		w.Errorf("it says %q", said)
	}
}

// walk begins the example, and lets play decide what happens.
func walk(t *testing.T, begin *byhand.Status, play func(w *walker)) {
	walkThrough(t, example, begin, play)
}

// walkThrough begins a part.
func walkThrough(t *testing.T, part string, begin *byhand.Status, play func(w *walker)) {
	synctest.Test(t, func(t *testing.T) {
		p, err := parse(part)
		if err != nil {
			t.Fatal(err)
		}
		w := &walker{T: t, f: &fake{status: begin, events: map[string]int64{}, since: map[string]lab.Since{}, grown: make(chan struct{})}, keys: make(chan string), end: make(chan error, 1)}
		ctx, cancel := context.WithCancel(t.Context())
		defer func() { cancel(); synctest.Wait() }()
		g := Guide{
			Lab: w.f, Name: "n", Keys: w.keys, Params: predict.Defaults(),
			Voice: &Voice{W: w, Screen: func() report.Screen { return report.Screen{} }},
		}
		go func() { w.end <- g.Walk(ctx, []Part{p}) }()
		play(w)
	})
}

// ends wants the end of the walk.
func (w *walker) ends(want error) {
	w.Helper()
	synctest.Wait()
	select {
	case err := <-w.end:
		if !errors.Is(err, want) {
			w.Errorf("it ended with %v, want %v", err, want)
		}
	default:
		w.Error("it goes on")
	}
}

func TestWalk(t *testing.T) {
	walk(t, nil, func(w *walker) {
		w.says("Open three terminals", "X. A CASE", "How it begins.", "terminal 3  $ sudo lab up --name n")
		time.Sleep(10 * time.Second)
		w.says()
		s := status("")
		s.Hosts[1].Sockets = nil
		w.f.is(s)
		time.Sleep(lookEvery)
		w.says("terminal 1  $ sudo lab exec --name n server -- echo-server {any:port}")
		w.f.is(status(""))
		time.Sleep(lookEvery)
		w.says("Connect", "terminal 2")
		w.f.is(status("ESTABLISHED", "echo-client", "10.0.1.2:9998"))
		time.Sleep(lookEvery)
		w.says("It is connected.", "Kill", "sudo lab fault --name n kill")
		w.f.come("fault kill", time.Second)
		w.f.is(status("CLOSE_WAIT", "echo-client", "10.0.1.2:9998"))
		w.f.come("client receives FIN", time.Second+2*time.Millisecond)
		w.says("After 2 ms and 15 min 38 s to 15 min 40 s.", "here        Enter")
		if got, want := w.f.since["client receives FIN"], lab.Since(time.Second); got != want {
			w.Errorf("the FIN is waited for since %v, want the step's first event, %v", got, want)
		}
		w.keys <- "what?"
		w.says("(Waiting: Enter, when you have seen it.")
		w.keys <- ""
		w.says("Seen.")
		w.ends(nil)
	})
}

// Who does something else is told, and led back.
func TestAstray(t *testing.T) {
	connected := func() *byhand.Status { return status("ESTABLISHED", "echo-client", "10.0.1.2:9998") }
	for _, wrong := range []struct {
		name string
		to   *byhand.Status
		says []string
	}{
		{"the client has ended", status(""), []string{"! No client runs.", "terminal 2  $ sudo lab exec --name n client"}},
		{"its connection is no more", status("CLOSE_WAIT", "echo-client", "10.0.1.2:9998"), []string{"! The client that runs is not connected.", "terminal 2  Ctrl-D"}},
		{"the other end is gone", func() *byhand.Status {
			s := connected()
			s.Hosts[1].Sockets = s.Hosts[1].Sockets[:1]
			return s
		}(), []string{"! The client's connection is half-open: it is ESTABLISHED at this end", "terminal 2  Ctrl-D"}},
		{"another client", status("ESTABLISHED", "echo-client", "-poll", "10.0.1.2:9998"), []string{"is another, echo-client -poll 10.0.1.2:9998", "terminal 2  Ctrl-D"}},
		{"the lab is down", nil, []string{"! The lab is not up.", "terminal 3  $ sudo lab up --name n"}},
		{"the server has ended", func() *byhand.Status {
			s := connected()
			s.Hosts[1].Sockets = nil
			return s
		}(), []string{"! No server listens.", "terminal 1  $ sudo lab exec"}},
		{"a host is down", func() *byhand.Status {
			s := connected()
			s.Hosts[1].Down, s.Faults = true, []lab.Force{{Kind: "crash", Host: "server", Text: "server is down: crash"}}
			return s
		}(), []string{"! Server is down: crash.", "terminal 3  $ sudo lab fault --name n reboot\n"}},
		{"a path is broken", func() *byhand.Status {
			s := connected()
			s.Faults = []lab.Force{{Kind: "partition", Host: "client", Text: "nothing gets through"}}
			return s
		}(), []string{"! Nothing gets through.", "sudo lab fault --name n heal"}},
		{"a process is stopped", func() *byhand.Status {
			s := connected()
			s.Faults = []lab.Force{{Kind: "freeze", Host: "server", PID: 12, Text: "process 12, \x1b[31m\u009b, is stopped"}}
			return s
		}(), []string{`! Process 12, \x1b[31m\x9b, is stopped.`, "sudo lab fault --name n thaw server 12"}},
		{"the client is stopped", func() *byhand.Status {
			s := connected()
			s.Hosts[0].Processes[0].State = "T"
			return s
		}(), []string{"! The client is stopped, as by Ctrl-Z.", "terminal 2  $ fg\n"}},
	} {
		t.Run(wrong.name, func(t *testing.T) {
			walk(t, connected(), func(w *walker) {
				w.says("Kill")
				w.f.is(wrong.to)
				time.Sleep(lookEvery)
				w.says() // it may come by what is waited for
				time.Sleep(3 * lookEvery)
				w.says(wrong.says...)
				w.f.is(connected())
				time.Sleep(3 * lookEvery)
				w.says("Kill", "sudo lab fault --name n kill")
				w.keys <- "q"
				w.ends(ErrQuit)
			})
		})
	}
}

// A client that has begun to run is not one that has lost its connection, unless it
// goes on without.
func TestConnecting(t *testing.T) {
	starting := func() *byhand.Status {
		s := status("SYN_SENT", "echo-client", "10.0.1.2:9998")
		s.Hosts[0].Sockets = nil
		return s
	}
	walk(t, status(""), func(w *walker) {
		w.says("Connect")
		time.Sleep(lookEvery / 2) // between the looks
		w.f.is(starting())
		time.Sleep(lookEvery)
		w.f.is(status("ESTABLISHED", "echo-client", "10.0.1.2:9998"))
		time.Sleep(lookEvery)
		w.says("It is connected.\n\nKill")
		w.keys <- "q"
		w.ends(ErrQuit)
	})
	walk(t, status(""), func(w *walker) {
		w.says("Connect")
		w.f.is(starting())
		time.Sleep(3 * lookEvery)
		w.says("! The client that runs is not connected.", "terminal 2  Ctrl-D")
		w.keys <- "q"
		w.ends(ErrQuit)
	})
}

// A key makes no look of its own: what is so only for a moment is not taken for
// what stays, however often the reader presses one.
func TestKeysBetweenLooks(t *testing.T) {
	starting, noServer := status("", "echo-client", "10.0.1.2:9998"), status("")
	starting.Hosts[0].Sockets = nil
	noServer.Hosts[1].Sockets = nil
	for what, now := range map[string]*byhand.Status{"the client connects": starting, "no server listens": noServer} {
		walk(t, status(""), func(w *walker) {
			w.says("Connect")
			w.f.is(now)
			time.Sleep(lookEvery)
			for range 3 {
				w.keys <- ""
				w.says("(Waiting: ")
			}
			w.f.is(status("ESTABLISHED", "echo-client", "10.0.1.2:9998"))
			time.Sleep(lookEvery)
			w.says("It is connected.\n\nKill")
			if said := w.out.String(); strings.Contains(said, "! ") {
				t.Errorf("%s: it says\n%s", what, said)
			}
			w.keys <- "q"
			w.ends(ErrQuit)
		})
	}
}

// Of nothing the guide makes hints, ever seldomer; Enter asks for one.
func TestKeys(t *testing.T) {
	walk(t, status("ESTABLISHED", "echo-client", "10.0.1.2:9998"), func(w *walker) {
		w.says("Kill")
		time.Sleep(hintAfter + time.Second)
		w.says("(Waiting: fault kill. The client's connection: ESTABLISHED. s and Enter skips", "sudo lab fault --name n kill")
		time.Sleep(hintAfter)
		w.says()
		time.Sleep(hintAfter)
		w.says("(Waiting: fault kill")
		w.keys <- ""
		w.says("(Waiting: fault kill")
		close(w.keys) // nobody is there who could press a key
		w.says("Ctrl-C ends the tutorial.")
		time.Sleep(8 * hintAfter)
		w.says("The client's connection: ESTABLISHED. Ctrl-C ends")
		w.f.come("fault kill", time.Second)
		w.f.come("client receives FIN", time.Second)
		w.says("sudo lab status --name n", "Seen.")
		w.ends(nil)
	})
}

// A step can be skipped; what it would have measured is not known.
func TestSkip(t *testing.T) {
	walk(t, status("ESTABLISHED", "echo-client", "10.0.1.2:9998"), func(w *walker) {
		w.says("Kill")
		w.keys <- "s"
		w.says("sudo lab status --name n")
		w.keys <- "s"
		w.says()
		w.ends(nil)
	})
}

// What was done before a step was skipped is not taken for what is done after it.
func TestSkipThenAwait(t *testing.T) {
	const part = example + `
---
@2 > more
@await client write() = ok

---
@2 > and more
@await client read() = ok
`
	walkThrough(t, part, status("ESTABLISHED", "echo-client", "10.0.1.2:9998"), func(w *walker) {
		since := func(event string, want lab.Since) {
			w.Helper()
			if got := w.f.since[event]; got != want {
				w.Errorf("%s is waited for since %v, want %v", event, got, want)
			}
		}
		w.says("Kill")
		w.keys <- "s"
		w.says("Enter, when you have seen it")
		w.keys <- ""
		w.says("> more")
		since("client write() = ok", lab.Now)
		w.f.come("client write() = ok", time.Second)
		w.says("> and more")
		since("client read() = ok", lab.LastAct)
		w.f.come("client read() = ok", time.Second)
		w.says("client it")
		w.ends(nil)
	})
}

// Events are told of by their times, whichever was waited for first, and at the
// next look though another is still waited for.
func TestOrder(t *testing.T) {
	const part = `# X. A case
The book

---
@3 $ sudo lab fault kill
@await fault kill
@await client receives FIN
@await server gets SIGCHLD
@await client exits
`
	walkThrough(t, part, status(""), func(w *walker) {
		w.says("sudo lab fault")
		w.f.come("fault kill", time.Second)
		w.f.come("client receives FIN", time.Second+3*time.Millisecond)
		w.f.come("server gets SIGCHLD", time.Second+2*time.Millisecond)
		time.Sleep(lookEvery)
		w.says("0.000000  client it\n     0.002000  client it\n     0.003000  client it\n")
		w.f.come("client exits", time.Second+4*time.Millisecond)
		w.says("0.004000  client it\n")
		w.ends(nil)
	})
}

// A lab that will not do is told of.
func TestUnsuitable(t *testing.T) {
	s := status("")
	s.Path = "direct"
	walk(t, s, func(w *walker) {
		w.says("(path direct)", "sudo lab down --name n")
		w.f.is(nil)
		time.Sleep(lookEvery)
		w.f.is(status(""))
		time.Sleep(lookEvery)
		w.says("Connect")
		w.keys <- "q"
		w.ends(ErrQuit)
	})
}
