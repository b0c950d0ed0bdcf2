package labtest_test

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab/labtest"
	"github.com/seed-6fefc909/tcplab/lab/record"
)

// An expectation that is not met ends the test, with what happened around it,
// and leaves its record and captures.
func TestUnmet(t *testing.T) {
	testenv.NeedRoot(t)
	dir := t.TempDir()
	t.Setenv(labtest.ArtifactsEnv, dir)
	reached := false
	f := fake(t, func(f *fakeT) {
		n := labtest.New(f, labtest.Options{})
		server := n.Server.Command("echo-server", "{any:port}")
		client := n.Client.Command("echo-client", "{server:port}")
		client.StdinPipe()
		if err := server.Start(); err != nil {
			t.Error(err)
		}
		n.Expect("server socket LISTEN")
		if err := client.Start(); err != nil {
			t.Error(err)
		}
		n.Expect("client socket ESTABLISHED")
		n.Fault("crash", n.Server)
		n.Expect("-within 300ms client receives RST")
		reached = true
	})
	errs, log := f.failed()
	if want := "expect -within 300ms client receives RST (within 300ms): not seen"; len(f.errors) != 1 || errs != want || reached {
		t.Errorf("errors %q, want %q; did it go on? %v", errs, want, reached)
	}
	if f.skipped != "" || len(f.logged) != 1 {
		t.Fatalf("skipped %q, logged %q", f.skipped, f.logged)
	}
	kept := filepath.Join(dir, "TestUnmet")
	for _, want := range []string{"client 10.0.0.1 -- switch -- 10.0.0.2 server", "time (s)", "fault crash: link down", "expected  expect -within 300ms client receives RST, at failure_test.go:", "kept in " + kept} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	if n := strings.Count(log, "\n"); n > 40 {
		t.Errorf("%d lines:\n%s", n, log)
	}
	r, err := record.ReadFile(filepath.Join(kept, "record.json"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Outcome != record.NotAsExpected || r.Scenario != "TestUnmet" || r.Command != "go test -run '^TestUnmet$'" || r.Fault.Kind != "crash" || !r.ByHand {
		t.Errorf("record of %s: %s, %s, fault %q", r.Scenario, r.Outcome, r.Command, r.Fault.Kind)
	}
	for _, host := range []string{"client", "server"} {
		b, err := os.ReadFile(filepath.Join(kept, "capture-"+host+".pcapng"))
		if err != nil || !bytes.HasPrefix(b, []byte{0x0a, 0x0d, 0x0d, 0x0a}) || len(b) < 500 {
			t.Errorf("capture of the %s: %d octets, %v", host, len(b), err)
		}
	}
}

// What the test itself finds wrong shows the timeline, too; without a
// directory nothing is kept. A test that passes says nothing.
func TestOwnFailure(t *testing.T) {
	testenv.NeedRoot(t)
	t.Setenv(labtest.ArtifactsEnv, "")
	for _, fails := range []bool{true, false} {
		f := fake(t, func(f *fakeT) {
			n := labtest.New(f, labtest.Options{Path: "router"})
			n.Client.Mark("the test looks around")
			n.Fault("unreachable-host")
			if fails {
				f.Errorf("wrong")
			}
		})
		errs, log := f.failed()
		switch {
		case !fails && errs+log != "":
			t.Errorf("it passed, and said %s %s", errs, log)
		case fails && (errs != "wrong" || !strings.Contains(log, "the test looks around") || !strings.Contains(log, "fault unreachable-host:") || !strings.Contains(log, "LAB_ARTIFACTS=DIR")):
			t.Errorf("errors %q, log:\n%s", errs, log)
		}
	}
}

// A test's second network has a directory of its own, and one that passes
// leaves nothing.
func TestArtifactsOfTwo(t *testing.T) {
	testenv.NeedRoot(t)
	for _, fails := range []bool{true, false} {
		dir := t.TempDir()
		t.Setenv(labtest.ArtifactsEnv, dir)
		fake(t, func(f *fakeT) {
			f.name = "Test/of two"
			labtest.New(f, labtest.Options{})
			labtest.New(f, labtest.Options{})
			if fails {
				f.Fatalf("wrong")
			}
		})
		var got []string
		filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
			if err == nil && e.Name() == "record.json" {
				got = append(got, strings.TrimPrefix(path, dir))
			}
			return err
		})
		want := ""
		if fails {
			want = "/Test_of two/network-2/record.json /Test_of two/record.json"
		}
		if strings.Join(got, " ") != want {
			t.Errorf("fails: %v: artefacts %q, want %q", fails, got, want)
		}
	}
}

// A fault that does not look like what it is called fails the test, unless
// that is not asked for.
func TestSignature(t *testing.T) {
	testenv.NeedRoot(t)
	for _, unverified := range []bool{false, true} {
		f := fake(t, func(f *fakeT) {
			n := labtest.New(f, labtest.Options{Path: "direct", Unverified: unverified})
			n.Fault("crash", n.Server)
		})
		errs, log := f.failed()
		if fails := strings.Contains(errs, "fault crash: signature: the client kept its carrier: "); fails == unverified {
			t.Errorf("unverified %v: errors %q, log %q", unverified, errs, log)
		}
	}
}

// Mistakes in a test are told as such, at once.
func TestMistakes(t *testing.T) {
	testenv.NeedRoot(t)
	for want, mistake := range map[string]func(n *labtest.Network){
		`fault explode: no fault "explode": there are`:                                      func(n *labtest.Network) { n.Fault("explode") },
		"fault crash: crash of which host?":                                                 func(n *labtest.Network) { n.Fault("crash") },
		"fault unreachable-net: it takes a router (path); the path is switch":               func(n *labtest.Network) { n.Fault("unreachable-net") },
		`expect server lsocket LISTEN: no event "lsocket"`:                                  func(n *labtest.Network) { n.Expect("server lsocket LISTEN") },
		"expect client read() = EOF: nothing to act upon: no command was started on client": func(n *labtest.Network) { n.Expect("client read() = EOF") },
		"fault shutdown server: nothing to act upon: no process runs on server":             func(n *labtest.Network) { n.Fault("shutdown", n.Server) },
		"path router: belongs before the first step":                                        func(n *labtest.Network) { n.Do("path router") },
		"! expect -for 1ms server socket LISTEN": func(n *labtest.Network) {
			listen(n)
			n.Do("! expect -since start server socket LISTEN")
			n.NotSeen(time.Millisecond, "x")
		},
	} {
		started := time.Now()
		f := fake(t, func(f *fakeT) { mistake(labtest.New(f, labtest.Options{})) })
		errs, _ := f.failed()
		if strings.HasPrefix(want, "!") {
			want = "! expect -since start server socket LISTEN"
		}
		if !strings.HasPrefix(errs, want) || len(f.errors) != 1 || time.Since(started) > 5*time.Second {
			t.Errorf("said %q, want %q, after %v", errs, want, time.Since(started))
		}
	}
	for want, o := range map[string]labtest.Options{
		`make a network: path "round"`:                 {Path: "round"},
		"make a network: standby: it takes a switch":   {Path: "router", Standby: true},
		"make a network: sysctl":                       {Sysctls: []string{"moon:net.ipv4.tcp_retries2=3"}},
		"make a network: usage: firewall drop | reset": {Firewall: "brick", Path: "router"},
	} {
		f := fake(t, func(f *fakeT) { labtest.New(f, o) })
		if errs, _ := f.failed(); !strings.HasPrefix(errs, want) {
			t.Errorf("said %q (skipped %q), want %q", errs, f.skipped, want)
		}
	}
}

// listen opens a listener that nobody closes.
func listen(n *labtest.Network) net.Listener {
	l, err := n.Server.Listen("tcp", ":80")
	if err != nil {
		panic(err)
	}
	n.Expect("server socket LISTEN")
	return l
}

// The process of a fault must be one of the host's.
func TestFaultOfOwnCode(t *testing.T) {
	testenv.NeedRoot(t)
	for _, kind := range []string{"kill", "hang"} {
		started := time.Now()
		f := fake(t, func(f *fakeT) {
			n := labtest.New(f, labtest.Options{})
			go echo(listen(n))
			if _, err := n.Client.DialContext(t.Context(), "tcp", "server:80"); err != nil {
				t.Error(err)
			}
			n.Expect("server socket ESTABLISHED")
			time.Sleep(50 * time.Millisecond) // until it was accepted
			n.Fault(kind, n.Server)
		})
		if errs, _ := f.failed(); !strings.Contains(errs, "no command holds the connection on server, but this process does") || time.Since(started) > 5*time.Second {
			t.Errorf("%s: %q after %v", kind, errs, time.Since(started))
		}
	}
}
