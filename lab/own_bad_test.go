package lab_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

// What can be said of a program before anything is built is said then.
func TestOwnProgramIsLookedFor(t *testing.T) {
	dir := everyonesDir(t)
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("no program"), 0o644); err != nil {
		t.Fatal(err)
	}
	source, _ := scenarios.Find("crash")
	for _, c := range []struct {
		program, want string
		cause         error
	}{
		{"nosuchprogram", `--client: start: program "nosuchprogram": not found in PATH`, os.ErrNotExist},
		{dir + "/nosuch", `--client: start: program "` + dir + `/nosuch": no such file or directory`, os.ErrNotExist},
		{plain, `--client: start: program "` + plain + `": not executable`, os.ErrPermission},
		{dir, `--client: start: program "` + dir + `": is a directory`, os.ErrPermission},
		{"./plain", `--client: start: program "./plain": not executable`, os.ErrPermission},
	} {
		o := lab.Options{Own: &scenarios.Own{Client: []string{c.program}}, Execution: lab.Execution{Dir: dir}}
		_, err := lab.New(source, o)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || !errors.Is(err, c.cause) {
			t.Errorf("%s: %v, want %s", c.program, err, c.want)
		}
	}
	for _, name := range []string{"close", "zombies", "recverr", "kill-unread", "syn-recv"} {
		source, _ := scenarios.Find(name)
		_, err := lab.New(source, lab.Options{Own: &scenarios.Own{Client: []string{"true"}}})
		if err == nil || !strings.HasPrefix(err.Error(), "not for programs of one's own: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOwnProgramsThatFail: what keeps a run from its fault is said in words,
// and of it nothing is left.
func TestOwnProgramsThatFail(t *testing.T) {
	testenv.NeedRoot(t)
	needPrograms(t, "python3")
	t.Parallel()
	tracer := sharedTracer(t)
	python := func(text string, args ...string) []string {
		return append([]string{"python3", "-c", "import os, signal, socket, sys, time\n" + text}, args...)
	}
	listen := func(address, port string) []string {
		return python("s = socket.create_server((sys.argv[1], int(sys.argv[2])))\ntime.sleep(1000)", address, port)
	}
	for _, c := range []struct {
		name           string
		server, client []string
		want           string // a reason
	}{
		{
			"the server dies at once",
			[]string{"sh", "-c", "echo bad luck >&2; exit 7"},
			nil,
			`^--server: the server listens: the server listens nowhere, and sh ended with exit 7; its last words: bad luck$`,
		},
		{"it is killed", []string{"sh", "-c", "kill -9 $$"}, nil, `listens nowhere, and sh was killed by SIGKILL$`},
		{"it cannot be executed", []string{script(t, "exit 0\n")}, nil, `program ".*run.sh": not executable`},
		{
			"it listens on another port than it was told", listen("0.0.0.0", "4711"),
			[]string{"true", "{port}"},
			`^--server: the server listens: the server listens on 0\.0\.0\.0:4711 only, not on port 9998 \(\{port\}\) after 2s$`,
		},
		{
			"it listens where the client cannot reach it", listen("127.0.0.1", "4711"), nil,
			`the server listens on 127\.0\.0\.1:4711 only, where the client cannot reach it: it is to listen on any address, or on 10\.0\.0\.2`,
		},
		{"it never listens", []string{"sleep", "1000"}, nil, `^--server: the server listens: the server listens nowhere after 2s$`},
		{
			"the client never connects", nil,
			[]string{"sleep", "1000"},
			`^--client: the client connects: the client made no connection; the server listens on 0\.0\.0\.0:9998 after 2s$`,
		},
		{
			"the client ends at once", nil,
			[]string{"sh", "-c", "echo nothing to do; exit 5"},
			`the client made no connection; the server listens on 0\.0\.0\.0:9998; sh ended with exit 5; its last words: nothing to do$`,
		},
		{
			"the client tries another port", nil, python("socket.create_connection((sys.argv[1], 4711))", "{server}"),
			`the client tried to connect to 10\.0\.0\.2:4711 \(ECONNREFUSED\); the server listens on 0\.0\.0\.0:9998; python3 ended with exit 1`,
		},
		{
			"the client was connected, and is no more", nil, python("socket.create_connection((sys.argv[1], 9998)).close()", "{server}"),
			`the client was connected, and is no more before the fault could come; python3 ended with exit 0|python3 ended with exit 0 before the fault could come`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			own := ownCase{scenario: "crash", server: c.server, client: c.client, when: "at:500ms"}
			own.options.Tracer, own.options.Patience = tracer, 2*time.Second
			if strings.HasPrefix(c.want, "program") {
				source, _ := scenarios.Find("crash")
				_, err := lab.New(source, lab.Options{Own: &scenarios.Own{Server: c.server}})
				if err == nil || !regexp.MustCompile(c.want).MatchString(err.Error()) {
					t.Errorf("%v, want %s", err, c.want)
				}
				return
			}
			r := runOwn(t, own)
			found := false
			for _, reason := range r.Reasons {
				found = found || regexp.MustCompile(c.want).MatchString(reason)
			}
			if r.Outcome != record.Inconclusive || !found {
				t.Errorf("%s, because %q, want %s", r.Outcome, r.Reasons, c.want)
			}
		})
	}
}

// TestOddOwnPrograms runs those that do what programs should not: the run has
// its result all the same, and ends.
func TestOddOwnPrograms(t *testing.T) {
	testenv.NeedRoot(t)
	needPrograms(t, "python3")
	t.Parallel()
	tracer := sharedTracer(t)
	const preamble = `import os, signal, socket, sys, time
def connect():
    s = socket.create_connection((sys.argv[1], 9998))
    s.sendall(b"hello\n")
    s.recv(100)
    return s
`
	python := func(text string) []string { return []string{"python3", "-c", preamble + text, "{server}"} }
	for _, c := range []struct {
		name, scenario string
		client         []string
		server         []string
		when           string
		want           func(t *testing.T, r *record.Record)
	}{
		{
			"it connects three times", "shutdown", python("s = [connect() for _ in range(3)]\nprint('ready', flush=True)\ns[0].recv(1)\nsys.exit(3)"), nil, "output:ready",
			func(t *testing.T, r *record.Record) {
				if len(r.Connections) != 3 {
					t.Errorf("connections: %+v, want 3", r.Connections)
				}
			},
		},
		{
			"it writes hundreds of megabytes", "kill", python("s = connect()\nfor _ in range(300): os.write(1, b'x' * 99 * 1000 + b'\\n' * 1000)\ns.recv(1)\nsys.exit(3)"), nil, "connected",
			func(t *testing.T, r *record.Record) {
				octets := 0
				for i := range r.Events {
					if r.Events[i].Source == record.Output {
						octets += len(r.Events[i].Text)
					}
				}
				if octets < 1<<19 || octets > 1<<21 {
					t.Errorf("%d octets of output are in the record, want about a MiB", octets)
				}
			},
		},
		{
			"it ignores SIGTERM, and so does the server", "shutdown",
			python("signal.signal(signal.SIGTERM, signal.SIG_IGN)\ns = connect()\ns.recv(1)\nsys.exit(3)"),
			[]string{"python3", "-c", preamble + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\ns = socket.create_server(('', 9998))\nc, _ = s.accept()\nwhile True: c.sendall(c.recv(100))"},
			"connected",
			func(t *testing.T, r *record.Record) {
				if d := r.Detection.AfterFault; d < int64(time.Second/2) {
					t.Errorf("told %v after the fault, before SIGKILL was due", time.Duration(d))
				}
			},
		},
		{
			"it forks twice, with a session of its own", "socket-destroyed",
			python("if os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\ns = connect()\nprint('ready', flush=True)\ntry:\n    s.recv(1)\nexcept OSError as e:\n    print('told', e, flush=True)\ntime.sleep(1000)"), nil, "output:ready",
			func(t *testing.T, r *record.Record) { acted(t, r, record.ActMessage, "told .*reset") },
		},
		{
			"it chatters, and is told nothing", "crash",
			python("s = connect()\nprint('ready', flush=True)\nwhile True: print('tick', flush=True); time.sleep(0.1)"), nil, "output:ready", nil,
		},
		{
			"it is told, and ignores it", "kill",
			python("s = connect()\nprint('ready', flush=True)\ns.recv(1)\ntime.sleep(1000)"), nil, "output:ready", toldOf("EOF", "recvfrom"),
		},
		{
			"another connection of its own ends well", "reboot", python(`s = connect()
print('ready', flush=True)
while True:
    time.sleep(0.5)
    try:
        c = connect(); c.shutdown(socket.SHUT_WR); c.recv(1); c.close()
    except OSError: pass`), nil, "output:ready", nil,
		},
		{
			"it waits for many descriptors at once", "kill", python(`import select
p = select.poll()
pipes = [os.pipe() for _ in range(20)]
for r, _ in pipes: p.register(r, select.POLLIN)
s = connect()
p.register(s, select.POLLIN | select.POLLRDHUP)
print('ready', flush=True)
p.poll()
time.sleep(1000)`), nil, "output:ready", nil,
		},
		{
			"its child exits with another status", "kill",
			[]string{"sh", "-c", `python3 -c "$1" "$2"; exit 9`, "sh", preamble + "s = connect()\nprint('ready', flush=True)\ns.recv(1)\nsys.exit(3)", "{server}"},
			nil, "output:ready",
			toldOf("EOF", "recvfrom"),
		},
		{
			"the server becomes a daemon", "kill", nil,
			[]string{"python3", "-c", preamble + "s = socket.create_server(('', 9998))\nif os.fork(): os._exit(0)\nos.setsid()\nc, _ = s.accept()\nwhile True: c.sendall(c.recv(100))"},
			"connected",
			toldOf("EOF", "read"),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			own := ownCase{scenario: c.scenario, client: c.client, server: c.server, when: c.when, within: 10 * time.Second}
			own.options.Tracer, own.options.Grace = tracer, time.Second
			want, told, reason := record.AsExpected, true, ""
			switch c.name {
			case "it chatters, and is told nothing", "another connection of its own ends well":
				own.within, want, told, reason = 2*time.Second, record.NotAsExpected, false, "nothing, in the "
			case "it is told, and ignores it":
				own.within, want, reason = 2*time.Second, record.NotAsExpected, "told EOF by recvfrom(), and did nothing about it"
			case "it waits for many descriptors at once":
				own.within, want, told, reason = 2*time.Second, record.Inconclusive, false, "told of more sockets than are looked at"
			case "its child exits with another status":
				own.expect = "exit=9"
			}
			r := runOwn(t, own)
			if r.Outcome != want || (r.Detection.Error != "") != told || !strings.Contains(strings.Join(r.Reasons, "\n"), reason) {
				t.Errorf("%s, because %q; told %q", r.Outcome, r.Reasons, r.Detection.Error)
			}
			if c.want != nil {
				c.want(t, r)
			}
			if t.Failed() {
				t.Logf("actions %+v\n%s", r.Actions, describe(r)[:min(len(describe(r)), 20_000)])
			}
		})
	}
}

// Whom a program runs as, where, with which environment and input.
func TestOwnExecution(t *testing.T) {
	testenv.NeedRoot(t)
	needPrograms(t, "python3")
	t.Parallel()
	dir := everyonesDir(t)
	input := filepath.Join(dir, "input")
	if err := os.WriteFile(input, []byte("from the file\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := ownCase{
		scenario: "kill", user: "nobody", expect: "exit=3", within: 10 * time.Second, when: "output:^ready$",
		client: []string{"python3", "-c", `import os, socket, sys
print(os.getuid(), os.getgid(), os.getgroups(), os.getcwd(), os.environ["GREETING"], sys.stdin.readline().strip(), flush=True)
print(socket.gethostname(), socket.gethostbyname("server"), socket.gethostbyname("client"), sys.argv[1:], flush=True)
open(sys.argv[4] + "/mine", "w").write("x")
s = socket.create_connection((sys.argv[1], int(sys.argv[3])))
print("ready", flush=True)
s.recv(1)
sys.exit(3)`, "{server}", "{client}", "{port}", "{dir}"},
	}
	c.options.Execution = lab.Execution{Dir: dir, Env: append(os.Environ(), "GREETING=hello"), Input: input}
	r := runOwn(t, c)
	if r.Outcome != record.AsExpected {
		t.Errorf("%s, because %q", r.Outcome, r.Reasons)
	}
	var said []string
	for i := range r.Events {
		if ev := &r.Events[i]; ev.Source == record.Output && ev.Host == "client" {
			said = append(said, ev.Text)
		}
	}
	want := regexp.MustCompile(`^65534 65534 \[\] ` + regexp.QuoteMeta(dir) + ` hello from the file
client 10\.0\.0\.2 10\.0\.0\.1 \['10\.0\.0\.2', '10\.0\.0\.1', '9998', '(/.*/client)'\]
ready$`)
	found := want.FindStringSubmatch(strings.Join(said, "\n"))
	if found == nil {
		t.Fatalf("the client said:\n%s\nwant %s", strings.Join(said, "\n"), want)
	}
	if _, err := os.Stat(found[1]); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("{dir} is still there: %v", err)
	}
	if err := unix.Access(input, unix.R_OK); err != nil {
		t.Error(err)
	}
}

// An interrupt, in whichever phase, leaves a record that says so, and no {dir}.
func TestOwnRunIsInterrupted(t *testing.T) {
	testenv.NeedRoot(t)
	t.Parallel()
	tracer := sharedTracer(t)
	serve := []string{"sh", "-c", "touch $0/made; exec sleep 1000", "{dir}"}
	wait := []string{"sh", "-c", "touch $0/made; exec sleep 1000", "{dir}"}
	connect := []string{"bash", "-c", "touch $2/made; exec 3<>/dev/tcp/$0/$1; echo hello >&3; exec sleep 1000", "{server}", "{port}", "{dir}"}
	for _, c := range []struct {
		name           string
		server, client []string
		when           string
	}{
		{"while the server does not listen", serve, nil, ""},
		{"while the client does not connect", nil, wait, ""},
		{"while the fault is waited for", nil, connect, "at:1h"},
		{"while the client is waited for", nil, connect, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			source, _ := scenarios.Find("hang")
			when, err := scenarios.ParseWhen(c.when)
			if err != nil {
				t.Fatal(err)
			}
			e, err := lab.New(source, lab.Options{Tracer: tracer, Own: &scenarios.Own{
				Server: c.server, Client: c.client, When: when, Demand: scenarios.Demand{Within: time.Hour},
			}})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, context.Canceled)
			defer cancel()
			began := time.Now()
			r, err := e.Run(ctx)
			if !errors.Is(err, context.Canceled) || r.Outcome != record.Inconclusive || !slices.Contains(r.Reasons, "interrupted") {
				t.Errorf("%v; %s, because %q", err, r.Outcome, r.Reasons)
			}
			dirs := map[string]bool{}
			for _, p := range r.Programs {
				for _, a := range p.Argv {
					if strings.Contains(a, "/lab-run-") && !strings.Contains(a, " ") {
						dirs[filepath.Dir(a)] = true
					}
				}
			}
			if err := e.Close(); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("it took %v to end", took)
			}
			for dir := range dirs {
				if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("%s is still there: %v", dir, err)
				}
			}
			if len(dirs) != 1 {
				t.Errorf("directories: %v", dirs)
			}
		})
	}
}
