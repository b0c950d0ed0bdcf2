package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab/record"
)

// seedEnv repeats a run of the random tests: the seed that it printed.
const seedEnv = "LAB_SEED"

// random gives numbers that a failure can be repeated with.
func random(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv(seedEnv); s != "" {
		if _, err := fmt.Sscan(s, &seed); err != nil {
			t.Fatalf("%s=%s: %v", seedEnv, s, err)
		}
	}
	t.Logf("%s=%d", seedEnv, seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// A moment is when something happens to a run.
type moment struct {
	scenario string
	after    time.Duration
	signal   unix.Signal
}

func (m moment) String() string {
	return fmt.Sprintf("%s to lab run %s after %v", unix.SignalName(m.signal), m.scenario, m.after)
}

// moments are n random ones in the scenarios whose faults take down most.
func moments(t *testing.T, n int, signals ...unix.Signal) []moment {
	t.Helper()
	r := random(t)
	// How long a run's interesting part is; those of crash and shutdown go
	// on with a wait.
	spans := []struct {
		scenario string
		span     time.Duration
	}{{"reboot", 700 * time.Millisecond}, {"crash", 1500 * time.Millisecond}, {"shutdown", 1500 * time.Millisecond}}
	all := make([]moment, n)
	for i := range all {
		s := spans[i%len(spans)]
		all[i] = moment{s.scenario, time.Duration(r.Int64N(int64(s.span))), signals[r.IntN(len(signals))]}
	}
	return all
}

// eachMoment runs f for all of them, several at a time, each worker with a lab
// of its own, so that what one leaves is not taken for another's.
func eachMoment(t *testing.T, all []moment, f func(t *testing.T, lab string, m moment)) {
	t.Helper()
	todo := make(chan moment)
	var workers sync.WaitGroup
	for range 6 {
		lab := newLab(t)
		workers.Go(func() {
			for m := range todo {
				f(t, lab, m)
			}
		})
	}
	for _, m := range all {
		todo <- m
	}
	close(todo)
	workers.Wait()
}

// However and whenever lab dies, its hosts die with it, and their processes.
func TestKilledLabLeavesNothing(t *testing.T) {
	testenv.NeedRoot(t)
	eachMoment(t, moments(t, 40, unix.SIGKILL), func(t *testing.T, lab string, m moment) {
		cmd := exec.Command(lab, "run", m.scenario)
		cmd.Dir = "/"
		if err := cmd.Start(); err != nil {
			t.Error(err)
			return
		}
		time.Sleep(m.after)
		if err := cmd.Process.Kill(); err != nil {
			t.Logf("%v: the run had ended: %v", m, err)
		}
		_ = cmd.Wait() // it was killed
		if left := gone(lab); left != "" {
			t.Errorf("%v: still there after 10 s:\n%s", m, left)
		}
	})
}

// gone waits until no process executes the file and describes those that still do.
func gone(path string) string {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		left := testenv.Processes(path)
		if len(left) == 0 || time.Now().After(deadline) {
			return strings.Join(left, "\n")
		}
	}
}

// An interrupted run cleans up, leaves a record of what it saw, and says by
// its status which signal it was.
func TestInterruptedRunIsRecorded(t *testing.T) {
	testenv.NeedRoot(t)
	dir := openDir(t)
	var mu sync.Mutex
	interrupted, n := 0, 0
	eachMoment(t, moments(t, 30, unix.SIGINT, unix.SIGTERM), func(t *testing.T, lab string, m moment) {
		mu.Lock()
		n++
		out := filepath.Join(dir, fmt.Sprint(n))
		mu.Unlock()
		cmd, stderr := startRun(t, lab, m.scenario, "--out", out)
		if cmd == nil {
			return
		}
		time.Sleep(m.after)
		signalled := cmd.Process.Signal(m.signal) == nil
		_ = cmd.Wait() // the status is looked at below
		status := cmd.ProcessState.ExitCode()
		if left := gone(lab); left != "" {
			t.Errorf("%v: left behind:\n%s", m, left)
		}
		text, err := os.ReadFile(filepath.Join(out, "record.json"))
		if err != nil {
			t.Errorf("%v: %v, standard error %q: no record: %v", m, cmd.ProcessState, stderr, err)
			return
		}
		records, err := decodeRecords(string(text))
		if err != nil {
			t.Errorf("%v: the record: %v", m, err)
			return
		}
		entries, err := os.ReadDir(out)
		for _, f := range entries {
			if !slices.Contains([]string{"record.json", "report.html", "junit.xml", "capture-client.pcapng", "capture-server.pcapng"}, f.Name()) {
				t.Errorf("%v: more than the results: %v, %v", m, entries, err)
			}
		}
		r := records[0]
		whole := len(r.Reasons) == 0 || !strings.Contains(strings.Join(r.Reasons, "\n"), "interrupted")
		switch {
		case whole && r.Outcome == record.AsExpected && (status == 0 || signalled && status == 128+int(m.signal)):
			return // it had ended, or was about to
		case status != 128+int(m.signal):
			t.Errorf("%v: %v, want exit status %d; standard error %q", m, cmd.ProcessState, 128+int(m.signal), stderr)
		case whole || r.Outcome != record.Inconclusive:
			t.Errorf("%v: outcome %s because of %q, want inconclusive, interrupted", m, r.Outcome, r.Reasons)
		case !strings.Contains(stderr.String(), "interrupted by "+unix.SignalName(m.signal)):
			t.Errorf("%v: standard error %q does not say so", m, stderr)
		}
		mu.Lock()
		interrupted++
		mu.Unlock()
	})
	if interrupted < 10 {
		t.Errorf("only %d of the runs were interrupted: the moments are badly chosen", interrupted)
	}
}

// startRun starts a run and returns when it printed its header: from then on
// signals are caught. It returns nil if that went wrong.
func startRun(t *testing.T, lab string, args ...string) (*exec.Cmd, *strings.Builder) {
	cmd := exec.Command(lab, append([]string{"run"}, args...)...)
	var stderr strings.Builder
	cmd.Dir, cmd.Stderr = "/", &stderr
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Error(err)
		return nil, nil
	}
	in := bufio.NewReader(stdout)
	if _, err := in.ReadString('\n'); err != nil {
		_ = cmd.Wait()
		t.Errorf("lab run %s printed nothing: %v, standard error %q", args, err, &stderr)
		return nil, nil
	}
	go func() { _, _ = io.Copy(io.Discard, in) }() // until Wait closes it
	return cmd, &stderr
}

// Who cannot wait for the clean-up interrupts again: lab ends at once, and its
// hosts clean up for themselves.
func TestSecondInterrupt(t *testing.T) {
	testenv.NeedRoot(t)
	eachMoment(t, moments(t, 12, unix.SIGINT), func(t *testing.T, lab string, m moment) {
		cmd, stderr := startRun(t, lab, m.scenario)
		if cmd == nil {
			return
		}
		time.Sleep(m.after)
		for range 2 {
			if err := cmd.Process.Signal(m.signal); err != nil {
				t.Logf("%v: the run had ended: %v", m, err)
			}
			time.Sleep(m.after % (20 * time.Millisecond))
		}
		begun := time.Now()
		_ = cmd.Wait() // the status is looked at below
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("%v, twice: it took another %v, want at most 2 s", m, took)
		}
		ws := cmd.ProcessState.Sys().(interface{ Signal() unix.Signal })
		if status := cmd.ProcessState.ExitCode(); status != 130 && status != 0 && ws.Signal() != unix.SIGINT {
			t.Errorf("%v, twice: %v, want exit status 130 or an end by SIGINT; standard error %q", m, cmd.ProcessState, stderr)
		}
		if left := gone(lab); left != "" {
			t.Errorf("%v, twice: left behind:\n%s", m, left)
		}
	})
}

// The kernel counts the namespaces of a user namespace against a limit. In
// one of its own lab is killed again and again, and then as many namespaces
// can be made as if it had never been there: none is left, not even one that
// no process is in.
func TestKilledLabFreesNamespaces(t *testing.T) {
	testenv.NeedRoot(t)
	if err := exec.Command("unshare", "-Urnp", "--fork", "--mount-proc", "true").Run(); err != nil {
		testenv.Lack(t, "needs user namespaces: unshare -Urnp: %v", err)
	}
	t.Parallel()
	lab := newLab(t)
	r := random(t)
	var kills strings.Builder
	for _, scenario := range []string{"crash", "reboot", "shutdown", "crash", "reboot", "shutdown", "crash", "reboot"} {
		fmt.Fprintf(&kills, "attempt %s %.3f\n", scenario, 0.05+0.9*r.Float64())
	}
	// Of each kind there may be 8, of which the shell's own is one. A run
	// takes up to five for a moment, when a host reboots.
	cmd := exec.Command("unshare", "-Urnp", "--fork", "--kill-child", "--mount-proc", "bash", "-c", `
set -eu
for kind in net pid mnt ipc uts; do echo 8 >/proc/sys/user/max_${kind}_namespaces; done
# settle waits until 7 more of each kind can exist at once. Each try leaves the
# kernel some to free, which takes it the longer the more it has to do.
settle() {
	for pause in 0 0.2 0.5 1 2 3 4 5; do
		sleep $pause
		pids=()
		for i in {1..7}; do
			unshare -n -p -m -i -u --propagation unchanged --fork --kill-child sleep 10 2>/dev/null &
			pids+=($!)
		done
		sleep 0.1
		alive=0
		for pid in "${pids[@]}"; do if kill -0 "$pid"; then alive=$((alive+1)); fi; done 2>/dev/null
		kill -9 "${pids[@]}" 2>/dev/null || :
		wait "${pids[@]}" 2>/dev/null || :
		if ((alive == 7)); then return; fi
	done
	echo "only $alive of 7 namespaces can be made"
	exit 1
}
attempt() {
	"$lab" run "$1" >/dev/null 2>&1 &
	sleep "$2"
	kill -9 $! 2>/dev/null || :
	wait $! 2>/dev/null || :
	settle
}
lab=$1
"$lab" run reboot --without ebpf >whole || :
grep -q 'RST sent by boot 2' whole || { echo "no run here is what it must be:"; cat whole; exit 1; }
settle
`+kills.String(), "bash", lab)
	// Should this test be killed, all of that goes with it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	cmd.Dir = openDir(t)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s\nafter\n%s", err, out, &kills)
	}
}
