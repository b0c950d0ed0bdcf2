package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/lab/warp"
)

// inQEMU are the scenarios that QEMU's machine runs, too: one for each way in
// which a client is told, or is not. All would take it minutes.
var inQEMU = []string{"kill", "kill-unread", "crash", "unreachable-host", "reboot", "shutdown", "keepalive", "connect-silent", "zero-window"}

// unevenly tells whether a scenario need not send as often, and at the same times,
// in two records.
func unevenly(a, b *record.Record) bool {
	switch a.Scenario {
	case "crash-lan":
		// How long a neighbour that has answered counts as reachable is a random
		// number (neigh_rand_reach_time, half to one and a half of
		// base_reachable_time). It decides which retransmissions leave at once and
		// which wait for ARP; and one that still waits is not sent again
		// (skb_still_in_host_queue).
		return true
	case "unreachable-host", "unreachable-net":
		// With net.ipv4.icmp_ratelimit=0 each ICMP took, before Linux 6.14, all
		// tokens of the client's bucket in inet_peer_xrlim_allow, so that ip_error
		// waited a second for the next one. Since then that function leaves a bucket
		// alone that was filled in the same jiffy (05dd04b218f4, inetpeer: avoid
		// false sharing): ip_error's first five go out at once, and each has TCP send
		// again sooner (RFC 6069).
		return version(a) != version(b)
	}
	return false
}

// sent are the parts of an essence that tell how often something was sent.
var sent = []string{"TCP of client, socket 1", "segments of client, connection 1"}

// Each scenario goes the same way on this machine's kernel and in the machines
// of both engines: the same is sent, and again as often, in the same order; the
// client is told the same by the same call; and all at the same times, as far
// as the timer wheel lets one say. The timers are the scenarios' short ones, for
// the host would take hours with the kernel's own.
func TestEngines(t *testing.T) {
	testenv.NeedRoot(t)
	needUML(t)
	kernel := newestKernel(t)
	t.Parallel()
	lab := newLab(t)
	cache := t.TempDir() // for the saved machines
	onHost := map[string]*record.Record{}
	for _, r := range recordsOf(t, nil, lab, "run", "all", "--output", "jsonl") {
		onHost[r.Scenario] = r
	}
	for _, sc := range scenarios.All() {
		t.Run(sc.Name, func(t *testing.T) {
			t.Parallel()
			run := []string{lab, "run", sc.Name, "--output", "json"}
			uml := recordsOf(t, nil, lab, slices.Concat([]string{"warp", "--engine", "uml", "--"}, run)...)[0]
			if slices.Contains(inQEMU, sc.Name) {
				qemu := recordsOf(t, []string{"XDG_CACHE_HOME=" + cache}, lab,
					slices.Concat([]string{"warp", "--kernel", kernel.Image, "--limit", "3m", "--"}, run)...)[0]
				for _, difference := range differences(uml, qemu) {
					t.Errorf("uml and qemu: %s", difference)
				}
			}
			// In a machine nobody else computes, and what is observed is all that
			// is done. On the host programs wait for each other, observers with
			// them; that is seldom the same twice.
			host, differ := onHost[sc.Name], []string(nil)
			for range 3 {
				if host == nil {
					host = recordsOf(t, nil, lab, run[1:]...)[0]
				}
				if differ = differences(host, uml); len(differ) == 0 {
					return
				}
				host = nil
			}
			for _, difference := range differ {
				t.Errorf("host and uml: %s", difference)
			}
		})
	}
}

// differences are what two runs of a scenario must not differ in, and do.
func differences(a, b *record.Record) []string {
	ours, theirs := essenceOf(a), essenceOf(b)
	uneven := unevenly(a, b)
	if uneven {
		for _, part := range sent {
			delete(ours, part)
			delete(theirs, part)
		}
	}
	var all []string
	if diff := cmp.Diff(ours, theirs); diff != "" {
		all = append(all, diff)
	}
	if !uneven {
		all = append(all, apart(a, b)...)
	}
	return all
}

// version is that of a record's kernel, as "6.12".
func version(r *record.Record) string {
	parts := append(strings.Split(r.Kernel.Release, "."), "", "")
	return parts[0] + "." + parts[1]
}

// recordsOf runs lab, in an environment with some more, and gives the records
// that it writes. It must be able to run them, whatever they come to.
func recordsOf(t *testing.T, env []string, lab string, args ...string) []*record.Record {
	t.Helper()
	out := outputOf(t, env, lab, args...)
	records, err := decodeRecords(out)
	if err != nil || len(records) == 0 {
		t.Fatalf("lab %s: %d records, %v", strings.Join(args, " "), len(records), err)
	}
	return records
}

// outputOf gives lab's standard output. Its exit status must be one of a run.
func outputOf(t *testing.T, env []string, lab string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, lab, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // and it takes down what it made
	cmd.WaitDelay = 20 * time.Second
	cmd.Env, cmd.Dir = append(os.Environ(), env...), filepath.Dir(lab) // where every user may be
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == exitNotOK && ctx.Err() == nil {
		err = nil
	}
	if err != nil {
		t.Fatalf("lab %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return out.String()
}

// needUML skips a test where there is no User-Mode Linux, and finds it.
func needUML(t *testing.T) (kernel string) {
	t.Helper()
	kernel, err := warp.UMLKernel()
	if err != nil {
		testenv.Lack(t, "%v: lab warp setup builds it", err)
	}
	return kernel
}

// A kernel's file may be anywhere: where its modules are not in the usual place,
// they are where the command line says.
func TestModules(t *testing.T) {
	kernel := newestKernel(t)
	t.Parallel()
	lab, env, file := newLab(t), []string{"XDG_CACHE_HOME=" + t.TempDir()}, filepath.Join(t.TempDir(), "kernel")
	if err := os.Symlink(kernel.Image, file); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"warp", "--cold", "--limit", "3m", "--kernel", file, "--", "uname", "-r"}, {"run", "kill", "--warp", "--cold", "--limit", "3m", "--kernel", file}} {
		cmd := exec.CommandContext(t.Context(), lab, args...)
		cmd.Env = append(os.Environ(), env...)
		if out, err := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != exitCannot || !strings.Contains(string(out), "modules") {
			t.Errorf("lab %s: %v, %s", strings.Join(args, " "), err, out)
		}
	}
	got := outputOf(t, env, lab, "warp", "--cold", "--limit", "3m", "--kernel", file, "--modules", kernel.Modules, "--", "uname", "-r")
	if got != kernel.Release+"\n" {
		t.Errorf("release %q, want %s", got, kernel.Release)
	}
	for _, r := range recordsOf(t, env, lab, "run", "kill", "--warp", "--cold", "--limit", "3m", "--kernel", file, "--modules", kernel.Modules, "--output", "jsonl") {
		if r.Kernel.Release != kernel.Release || r.Outcome != record.AsExpected {
			t.Errorf("%s: %s: %s", r.Kernel, r.Outcome, strings.Join(r.Reasons, "; "))
		}
	}
}

// newestKernel is the newest that was fetched for QEMU. The test is skipped where
// there is none, or no QEMU.
func newestKernel(t *testing.T) warp.Kernel {
	t.Helper()
	kernels, err := warp.Kernels()
	if err != nil {
		t.Fatal(err)
	}
	if len(kernels) == 0 {
		testenv.Lack(t, "no kernel for qemu: lab warp setup --kernel 6.12 fetches one")
	}
	if _, err := warp.NewQEMU(kernels[0].Image, kernels[0].Modules, false); err != nil {
		testenv.Lack(t, "%v", err)
	}
	return kernels[0]
}
