package topology_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/topology"
)

// tracerName is Argv[0] of this executable where it stops its host's init.
const tracerName = "tracer"

// traceInit attaches to every thread of process 1, and lets none go.
func traceInit() {
	runtime.LockOSThread()
	tasks, err := os.ReadDir("/proc/1/task")
	for _, task := range tasks {
		id, _ := strconv.Atoi(task.Name())
		if err == nil {
			err = unix.PtraceAttach(id)
		}
		if err == nil {
			_, err = unix.Wait4(id, nil, unix.WALL, nil)
		}
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	select {}
}

// closeLimit is how long the end of a network may take, whatever its programs
// do, on a loaded machine.
const closeLimit = 8 * time.Second

// What a program does to stay, or to leave something behind: nothing helps.
// Each says so when it has done it.
func TestMisbehavingProgramsLeaveNothing(t *testing.T) {
	testenv.NeedRoot(t)
	dir := t.TempDir()
	for name, script := range map[string]string{
		"ignores signals":         "trap '' TERM INT HUP QUIT; echo ready; while :; do sleep 1; done",
		"becomes a daemon":        "(setsid sh -c 'cd /; exec setsid sleep 1000' </dev/null >/dev/null 2>&1 &); echo ready",
		"loses its environment":   "(env -i setsid sleep 1000 </dev/null >/dev/null 2>&1 &); echo ready; exec env -i sleep 1000",
		"mounts":                  "mount -t tmpfs tmpfs /mnt && mkdir /mnt/x && mount --bind /etc /mnt/x && mount --make-rshared / && echo ready && exec sleep 1000",
		"covers /proc":            "mount -t tmpfs tmpfs /proc && echo ready && exec sleep 1000",
		"unmounts /proc":          "umount -l /proc && test -z \"$(ls /proc)\" && echo ready && exec sleep 1000",
		"makes namespaces":        "exec unshare --user --map-root-user --pid --fork --net --mount --mount-proc --uts --ipc --cgroup sh -c \"trap '' TERM; sleep 1000 & (setsid sleep 1000 &); echo ready; wait\"",
		"names its namespace":     "touch " + dir + "/ns && exec unshare --net=" + dir + "/ns sh -c 'echo ready; exec sleep 1000'",
		"enters its init's":       "exec nsenter --target 1 --all sh -c 'echo ready; exec sleep 1000'",
		"closes its descriptors":  "echo ready; exec 0<&- 1>&- 2>&-; exec sleep 1000",
		"floods its output":       "echo ready; exec yes",
		"has children":            "i=0; while [ $i -lt 300 ]; do sleep 1000 & i=$((i + 1)); done; echo ready; wait",
		"goes on having children": "echo ready; while :; do (setsid sleep 1000 &); done",
		"has stopped children":    "sleep 1000 & kill -STOP $!; echo ready; wait",
		"stops its init":          "", // see tracerName
	} {
		t.Run(name, func(t *testing.T) {
			before := testenv.Take()
			n, err := topology.New(topology.Config{Path: topology.Switch})
			if err != nil {
				t.Fatal(err)
			}
			defer n.Close()
			mark := fmt.Sprintf("TOPOLOGY_TEST_MARK=%d-%d", os.Getpid(), time.Now().UnixNano())
			c := topology.Command{Path: "/bin/sh", Argv: []string{"sh", "-c", script}, Env: []string{shellPath, mark}}
			if script == "" {
				c.Path, c.Argv = topology.Self, []string{tracerName}
			}
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			c.Stdout, c.Stderr = w, w
			p, err := n.Server.Start(c)
			w.Close()
			if err != nil {
				t.Fatal(err)
			}
			if line, err := bufio.NewReader(r).ReadString('\n'); line != "ready\n" {
				t.Fatalf("it said %q, %v", line, err)
			}
			if err := n.Check(); err != nil {
				t.Error("its host broke:", err)
			}
			begun := time.Now()
			if err := n.Close(); err != nil {
				t.Error("close:", err)
			}
			if took := time.Since(begun); took > closeLimit {
				t.Errorf("close took %v, the limit is %v", took, closeLimit)
			}
			select {
			case <-p.Done():
			case <-time.After(closeLimit):
				t.Error("its end is not told")
			}
			r.Close()
			for _, pid := range marked(mark) {
				t.Errorf("process %s is left", pid)
			}
			for _, left := range before.Left() {
				t.Error("left:", left)
			}
		})
	}
	// The file is an empty one, and not a namespace.
	var fs unix.Statfs_t
	if err := unix.Statfs(dir+"/ns", &fs); err != nil || fs.Type == unix.NSFS_MAGIC {
		t.Errorf("the file for a namespace is of type %#x, %v", fs.Type, err)
	}
}

// marked are the machine's processes with the variable in their environment,
// or that lost theirs.
func marked(variable string) (pids []string) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		env, err := os.ReadFile("/proc/" + e.Name() + "/environ")
		argv, _ := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if err == nil && (bytes.Contains(env, []byte(variable)) || len(env) == 0 && string(argv) == "sleep\x001000\x00") {
			pids = append(pids, e.Name())
		}
	}
	return pids
}

// The init goes on whatever its programs send it, and nobody is told of an end.
func TestInitSurvivesItsPrograms(t *testing.T) {
	n := newNetwork(t, topology.Config{Path: topology.Direct})
	before := n.Server.PIDNamespace()
	shell(t, n.Server, "for i in 1 2 3; do for s in $(seq 1 64); do kill -$s 1; done; done; kill -9 -1")
	if got := strings.TrimSpace(shell(t, n.Server, "echo alive")); got != "alive" {
		t.Errorf("it said %q", got)
	}
	if err := n.Check(); err != nil {
		t.Error(err)
	}
	if after := n.Server.PIDNamespace(); after != before {
		t.Errorf("PID namespace %d, it was %d", after, before)
	}
	all, err := n.Server.Processes()
	if err != nil || len(all) > 0 {
		t.Errorf("processes %+v, %v; want none", all, err)
	}
}

// Nor does it end by a signal that comes while it starts a program: then its
// first thread blocks all for a moment, and the kernel looks at the others.
func TestInitSurvivesSignalsMeanwhile(t *testing.T) {
	n := newNetwork(t, topology.Config{Path: topology.Direct})
	var sending sync.WaitGroup
	sending.Go(func() {
		for range 100 { // a few at a time: they queue
			shell(t, n.Server, "for i in $(seq 100); do kill -32 1; kill -33 1; kill -34 1; done")
		}
	})
	defer sending.Wait()
	for range 100 {
		if got := strings.TrimSpace(shell(t, n.Server, "echo alive")); got != "alive" {
			t.Fatalf("it said %q", got)
		}
	}
	// What it starts has none of the init's handlers, and ignores nothing.
	if got := shell(t, n.Server, "cat /proc/self/status | grep -E '^Sig(Ign|Cgt)'"); strings.Trim(got, "SigInCt:\t\n0") != "" {
		t.Errorf("a program begins with %q", got)
	}
}

// A program that is not root's cannot signal, trace or look into its init.
func TestInitIsClosedToOthers(t *testing.T) {
	n := newNetwork(t, topology.Config{Path: topology.Direct})
	got := output(t, n.Server, topology.Command{
		Path: "/bin/sh", Env: []string{shellPath}, Credential: &topology.Credential{UID: 65534, GID: 65534},
		Argv: []string{"sh", "-c", "kill -0 1 2>/dev/null; echo $?; ls /proc/1/fd/ 2>&1 | grep -c denied; nsenter -t 1 -m true 2>/dev/null; echo $?"},
	})
	if want := "1\n1\n1\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := output(t, n.Server, topology.Command{
		Path: topology.Self, Argv: []string{tracerName}, Credential: &topology.Credential{UID: 65534, GID: 65534},
	}); !strings.Contains(got, "operation not permitted") {
		t.Errorf("the tracer said %q", got)
	}
}
