package lab_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
)

// An ownCase is a run of programs that are not lab's.
type ownCase struct {
	name, scenario string
	server, client []string // nil: lab's own
	when           string
	expect         string
	within         time.Duration
	user           string
	fails          bool // it is not as expected
	options        lab.Options
	want           func(t *testing.T, r *record.Record)
}

// runOwn runs it.
func runOwn(t *testing.T, c ownCase) *record.Record {
	t.Helper()
	source, _ := scenarios.Find(c.scenario)
	when, err := scenarios.ParseWhen(c.when)
	if err != nil {
		t.Fatal(err)
	}
	demand, err := scenarios.ParseDemand(c.expect, c.within)
	if err != nil {
		t.Fatal(err)
	}
	o := c.options
	o.Own = &scenarios.Own{Server: c.server, Client: c.client, When: when, Demand: demand}
	if c.user != "" {
		o.Execution.User, o.Execution.Credential = c.user, credential(t, c.user)
		if o.Execution.Dir == "" { // the tests' own may be closed to others
			o.Execution.Dir = everyonesDir(t)
		}
	}
	e, err := lab.New(source, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error("clean up:", err)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	r, _ := e.Run(ctx) // what went wrong is in the record
	checkRecord(t, r)
	return r
}

func credential(t *testing.T, name string) *topology.Credential {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		testenv.Lack(t, "needs the user %s: %v", name, err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	return &topology.Credential{UID: uint32(uid), GID: uint32(gid)}
}

// needPrograms lets a test go on only where they are installed.
func needPrograms(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			testenv.Lack(t, "needs %s: %v", name, err)
		}
	}
}

// everyonesDir is a temporary directory that every user may enter.
func everyonesDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// build makes a program of a source in testdata/own.
func build(t *testing.T, name string, compiler ...string) string {
	t.Helper()
	path := filepath.Join(everyonesDir(t), name)
	cmd := exec.CommandContext(t.Context(), compiler[0], slices.Concat(compiler[1:], []string{"-o", path})...)
	switch compiler[0] {
	case "go":
		cmd.Args = append(cmd.Args, "./testdata/own/"+name)
	default:
		cmd.Args = append(cmd.Args, "testdata/own/"+name+".c")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return path
}

// script writes a shell script that every user may read.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(everyonesDir(t), "run.sh")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// example is such a copy of one of the examples'.
func example(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../examples/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return script(t, string(text))
}

// toldOf wants the client to have been told this, by one of these calls.
func toldOf(errno string, calls ...string) func(*testing.T, *record.Record) {
	return func(t *testing.T, r *record.Record) {
		t.Helper()
		if r.Detection.Error != errno || !slices.Contains(calls, r.Detection.Syscall) {
			t.Errorf("told %q by %s() (%s), want %s by %v", r.Detection.Error, r.Detection.Syscall, r.Detection.Events, errno, calls)
		}
	}
}

// acted wants an action, of which something is known.
func acted(t *testing.T, r *record.Record, kind, what string) record.Action {
	t.Helper()
	for _, a := range r.Actions {
		if a.Kind == kind {
			if !regexp.MustCompile(what).MatchString(a.What) {
				t.Errorf("%s: %q, want %q", kind, a.What, what)
			}
			return a
		}
	}
	t.Errorf("no %s among %+v", kind, r.Actions)
	return record.Action{}
}

// wantAsPredicted wants the kernel's rule to have held, which the socket's own
// options decide.
func wantAsPredicted(t *testing.T, r *record.Record, decider string) {
	t.Helper()
	p, d := r.Prediction, r.Detection
	if p.From == "write" && d.AfterWrite < 0 && d.AfterFault >= p.Min-int64(time.Second) && d.AfterFault <= p.Max+p.Tolerance {
		return // it had written just before, and was not answered any more
	}
	if p.Held == nil || !*p.Held || !strings.Contains(p.Decider, decider) {
		t.Errorf("predicted %s after %v to %v from the %s by %q; measured %s after %v (write %v, heard %v)", p.Error,
			time.Duration(p.Min), time.Duration(p.Max), p.From, p.Decider, r.Detection.Error,
			time.Duration(r.Detection.AfterFault), time.Duration(r.Detection.AfterWrite), time.Duration(r.Detection.AfterHeard))
	}
}

// wantOption wants the client's socket to have an option set.
func wantOption(t *testing.T, r *record.Record, option string) {
	t.Helper()
	if len(r.Connections) != 1 || !slices.Contains(r.Connections[0].Options, option) {
		t.Errorf("the client's connections are %+v, want one with %s", r.Connections, option)
	}
}

// TestOwnPrograms runs real programs, unmodified.
func TestOwnPrograms(t *testing.T) {
	testenv.NeedRoot(t)
	needPrograms(t, "redis-server", "redis-cli", "nginx", "curl", "psql", "python3", "gcc", "go")
	t.Parallel()
	tracer := sharedTracer(t)
	nginxAt := func(any string) []string { return []string{"sh", example(t, "nginx/server.sh"), "{dir}", any} }
	nginx := nginxAt("0.0.0.0")
	redis := []string{"redis-server", "--port", "6379", "--bind", "*", "--protected-mode", "no", "--save", ""}
	postgres := []string{"sh", example(t, "postgres/server.sh"), "{dir}"}
	psql := func(options, query string) []string {
		return []string{"sh", "-c", fmt.Sprintf("until pg_isready -q -h server; do sleep 0.1; done; echo '%s' | psql 'host=server user=postgres dbname=postgres %s'", query, options)}
	}
	goClient, goServer := build(t, "httpclient", "go", "build", "-buildvcs=false"), build(t, "httpserver", "go", "build", "-buildvcs=false")
	c := build(t, "client", "gcc", "-Wall", "-Werror", "-O1", "-pthread")
	// At this rate it may go on for 12 s after the server's end: so much lies in
	// the two ends' buffers at most (tcp_rmem, tcp_wmem).
	download := []string{"curl", "-sS", "--limit-rate", "1M", "-o", "/dev/null", "http://server/big"}
	cases := []ownCase{
		{
			name: "curl is cut off by nginx's end", scenario: "kill", server: nginx, client: download, when: "at:1s", within: 30 * time.Second,
			want: func(t *testing.T, r *record.Record) {
				toldOf("EOF", "recvfrom", "read", "poll")(t, r)
				acted(t, r, record.ActExit, "^exit 18$")
				acted(t, r, record.ActMessage, `curl: \(18\)`)
			},
		},
		{
			name: "over IPv6", scenario: "kill", server: nginxAt("[::]"), client: download, when: "after-bytes:8000000", within: 30 * time.Second,
			options: lab.Options{Family: topology.IPv6},
			want:    toldOf("EOF", "recvfrom", "read", "poll"),
		},
		{
			name: "redis-cli while it waits for messages", scenario: "socket-destroyed", server: redis,
			client: []string{"redis-cli", "-h", "server", "subscribe", "news"}, when: "output:subscribe", expect: "ECONNRESET", within: 5 * time.Second,
			want: func(t *testing.T, r *record.Record) {
				wantOption(t, r, "TCP_KEEPIDLE=15s")
				acted(t, r, record.ActMessage, ".")
			},
		},
		{
			name: "psql with keepalive, idle", scenario: "crash", server: postgres, user: "postgres", when: "idle:500ms", expect: "ETIMEDOUT", within: 8 * time.Second,
			client: psql("keepalives=1 keepalives_idle=1 keepalives_interval=1 keepalives_count=3", "select pg_sleep(1000)"),
			want: func(t *testing.T, r *record.Record) {
				wantOption(t, r, "TCP_KEEPCNT=3")
				wantAsPredicted(t, r, "TCP_KEEPCNT")
				acted(t, r, record.ActExit, "^exit 2$")
				if p := r.Programs[0]; p.User != "postgres" || !p.Own {
					t.Errorf("the server is %+v, want postgres' own", p)
				}
			},
		},
		{
			name: "psql without, idle", scenario: "crash", server: postgres, user: "postgres", when: "idle:500ms", within: 2 * time.Second, fails: true,
			client: psql("", "select pg_sleep(1000)"),
			want: func(t *testing.T, r *record.Record) {
				wantOption(t, r, "TCP_KEEPIDLE=2h0m0s")
				if r.Detection.Error != "" || len(r.Actions) > 0 || r.Prediction.Min < int64(2*time.Hour) {
					t.Errorf("told %q, acted %+v, predicted %v", r.Detection.Error, r.Actions, time.Duration(r.Prediction.Min))
				}
			},
		},
		{
			name: "psql with tcp_user_timeout, busy", scenario: "crash", server: postgres, user: "postgres", when: "at:1s", expect: "ETIMEDOUT", within: 8 * time.Second,
			client: psql("tcp_user_timeout=2000", `select 1 \watch 0.2`),
			want: func(t *testing.T, r *record.Record) {
				wantOption(t, r, "TCP_USER_TIMEOUT=2s")
				wantAsPredicted(t, r, "TCP_USER_TIMEOUT")
			},
		},
		{
			name: "psql without either, busy", scenario: "crash", server: postgres, user: "postgres", when: "at:1s", expect: "ETIMEDOUT", within: 20 * time.Second,
			client: psql("", `select 1 \watch 0.2`),
			want: func(t *testing.T, r *record.Record) {
				wantAsPredicted(t, r, "tcp_retries2=5")
			},
		},
		{
			name: "a Go client and server; it connects again", scenario: "kill", server: []string{goServer, "{any:port}"},
			client: []string{goClient, "http://server:{port}/"}, when: "output:status", within: 10 * time.Second,
			want: func(t *testing.T, r *record.Record) {
				toldOf("EOF", "read", "epoll_pwait")(t, r)
				acted(t, r, record.ActReconnect, "no connection|ECONNREFUSED")
				acted(t, r, record.ActExit, "^exit 1$")
			},
		},
		{
			name: "a Go client connects to the rebooted server", scenario: "socket-destroyed", server: []string{goServer, "{any:port}"},
			client: []string{goClient, "http://server:{port}/"}, when: "output:status", within: 10 * time.Second,
			want: func(t *testing.T, r *record.Record) { acted(t, r, record.ActReconnect, "^connected$") },
		},
		{
			name: "python3", scenario: "kill", client: []string{"python3", "testdata/own/client.py", "server", "{port}"}, when: "output:answer",
			expect: "exit=3", within: 10 * time.Second, want: toldOf("EOF", "recvfrom"),
		},
		{
			name: "lab's own client", scenario: "firewall-reset", server: redis, when: "connected", expect: "ECONNRESET", within: 5 * time.Second,
			want: toldOf("ECONNRESET", "read"),
		},
	}
	for mode, calls := range map[string][]string{
		"fork": {"recvfrom"}, "threads": {"recvfrom"}, "epoll": {"epoll_wait", "epoll_pwait", "read"}, "poll": {"poll", "readv"}, "select": {"recvmsg", "pselect6", "select"},
	} {
		cases = append(cases, ownCase{
			name: "a C client with " + mode, scenario: "socket-destroyed", client: []string{c, mode, "{server}", "{port}"}, when: "output:^connected",
			expect: "exit=3", within: 5 * time.Second, want: toldOf("ECONNRESET", calls...),
		})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.options.Tracer = tracer
			r := runOwn(t, c)
			if want := record.NotAsExpected; c.fails && r.Outcome != want || !c.fails && r.Outcome != record.AsExpected {
				t.Errorf("outcome %s, because: %q", r.Outcome, r.Reasons)
			}
			c.want(t, r)
			if t.Failed() {
				t.Logf("actions %+v\n%s", r.Actions, describe(r))
			}
		})
	}
}
