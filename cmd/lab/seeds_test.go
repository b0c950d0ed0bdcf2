package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab/claims"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/lab/warp"
)

// The same run with the same seed gives the same record, byte for byte, whether
// its captures are wanted or not; another seed gives other ports, sequence numbers and times.
func TestSameSeed(t *testing.T) {
	needUML(t)
	t.Parallel()
	lab := newLab(t)
	page := filepath.Join(openDir(t), "page")
	if err := os.WriteFile(page, []byte("a page\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		runs int
		args []string
		cold bool // in QEMU, which boots
	}{
		{"crash", 10, []string{"crash"}, false},
		{"reboot", 5, []string{"reboot"}, false},
		{"curl and python3", 3, []string{
			"crash", "--server", "/usr/bin/python3 -m http.server {port} --directory " + filepath.Dir(page), "--client", "curl -sS http://{server}:{port}/page",
		}, false},
		{"redis", 3, []string{
			"crash", "--server", "redis-server --port {port} --protected-mode no --save ''", "--client", "redis-cli -h {server} -p {port} SUBSCRIBE news",
		}, false},
		{"crash in qemu", 2, []string{"crash"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.cold {
				c.args = append(c.args, "--cold", "--limit", "3m", "--kernel", newestKernel(t).Image)
			}
			env := []string{"XDG_CACHE_HOME=" + t.TempDir()} // for what is kept of qemu's machines
			run := func(seed string, more ...string) string {
				return outputOf(t, env, lab, slices.Concat([]string{"run", "--warp", "--seed", seed, "--output", "json"}, c.args, more)...)
			}
			first := run("1")
			if c.cold {
				// On a busy machine QEMU's main loop and its processor race, and
				// seldom a run is another: of some, two in a row are the same.
				again := run("1")
				for tries := 0; again != first && tries < 3; tries++ {
					first, again = again, run("1")
				}
				if again != first {
					t.Fatalf("no two runs of seed 1 in a row are the same (-first +again):\n%s", cmp.Diff(strings.Split(first, "\n"), strings.Split(again, "\n")))
				}
				c.runs = 1
			}
			for i := 1; i < c.runs; i++ {
				var out []string
				if i == 1 {
					out = []string{"--out", t.TempDir()}
				}
				if again := run("1", out...); again != first {
					t.Fatalf("run %d of seed 1 differs (-first +again):\n%s", i+1, cmp.Diff(strings.Split(first, "\n"), strings.Split(again, "\n")))
				}
			}
			one, two := firstSYN(t, first), firstSYN(t, run("2"))
			if one == two {
				t.Errorf("seeds 1 and 2 both begin with %s", one)
			}
		})
	}
}

// firstSYN names the port and the sequence number that the client of the one
// record drew first.
func firstSYN(t *testing.T, text string) string {
	t.Helper()
	records, err := decodeRecords(text)
	if err != nil {
		t.Fatal(err)
	}
	return begins(records[0])
}

func begins(r *record.Record) string {
	for i := range r.Events {
		if p := r.Events[i].Packet; p != nil && p.Flags&record.FlagSYN != 0 {
			return fmt.Sprintf("%s, sequence number %d", p.Src, p.Seq)
		}
	}
	return ""
}

// Runs of many seeds are as expected, each at times of its own, and these no
// further apart than the timer wheel lets them be.
func TestManySeeds(t *testing.T) {
	needUML(t)
	t.Parallel()
	lab := newLab(t)
	for _, name := range []string{"crash", "keepalive"} {
		runs := recordsOf(t, nil, lab, "run", name, "--warp", "--seeds", "1..20", "--output", "jsonl")
		if len(runs) != 20 {
			t.Errorf("%s: %d records, want 20", name, len(runs))
		}
		told, ports := map[int64]bool{}, map[string]bool{}
		for _, r := range runs {
			seed := r.Kernel.Warp.Seed
			if r.Outcome != record.AsExpected {
				t.Errorf("%s, seed %d: %s: %s", name, seed, r.Outcome, strings.Join(r.Reasons, "; "))
			}
			for _, difference := range differences(runs[0], r) {
				t.Errorf("%s, seeds %d and %d: %s", name, runs[0].Kernel.Warp.Seed, seed, difference)
			}
			told[r.Detection.AfterFault], ports[begins(r)] = true, true
		}
		if len(told) < 2 || len(ports) < len(runs) {
			t.Errorf("%s: %d runs had %d times and %d ports and sequence numbers", name, len(runs), len(told), len(ports))
		}
	}
}

// With the kernel's own timers, too, every scenario is as expected in a machine,
// and what the book says goes as it is known to.
func TestAllInMachines(t *testing.T) {
	needUML(t)
	t.Parallel()
	lab := newLab(t)
	runs := recordsOf(t, nil, lab, "run", "all", "--warp", "--output", "jsonl")
	if len(runs) != len(scenarios.All()) {
		t.Errorf("%d records, want %d", len(runs), len(scenarios.All()))
	}
	for _, r := range runs {
		if r.Outcome != record.AsExpected || r.Timers != "real" || r.Kernel.Warp == nil || r.Kernel.Warp.Engine != warp.UMLName {
			t.Errorf("%s: %s, %s timers, %s: %s", r.Scenario, r.Outcome, r.Timers, r.Kernel, strings.Join(r.Reasons, "; "))
		}
	}
	var held claims.Report
	if err := json.Unmarshal([]byte(outputOf(t, nil, lab, "claims", "--warp", "--output", "json")), &held); err != nil {
		t.Fatal(err)
	}
	for _, c := range held.Claims {
		if !c.Known {
			t.Errorf("claim %s %s, otherwise than known: %s", c.ID, c.Status, c.Seen)
		}
	}
	if !held.OK || len(held.Claims) == 0 {
		t.Errorf("of %d claims not all went as known", len(held.Claims))
	}
}

// The same scenario goes the same way on several kernels.
func TestKernels(t *testing.T) {
	needUML(t)
	kernels, err := warp.Kernels()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"run", "crash", "--warp", "--limit", "3m", "--output", "jsonl", "--kernel", "uml"}
	for _, version := range []string{"6.1", "6.12"} {
		i := slices.IndexFunc(kernels, func(k warp.Kernel) bool { return strings.HasPrefix(k.Release, version+".") })
		if i < 0 {
			testenv.Lack(t, "no kernel %s for qemu: lab warp setup --kernel %s fetches it", version, version)
		}
		args = append(args, "--kernel", kernels[i].Image)
	}
	newestKernel(t)
	t.Parallel()
	runs := recordsOf(t, []string{"XDG_CACHE_HOME=" + t.TempDir()}, newLab(t), args...)
	seen := map[string]bool{}
	for _, r := range runs {
		seen[r.Kernel.Warp.Engine+" "+version(r)] = true
		if r.Outcome != record.AsExpected {
			t.Errorf("%s: %s: %s", r.Kernel, r.Outcome, strings.Join(r.Reasons, "; "))
		}
		for _, difference := range differences(runs[0], r) {
			t.Errorf("%s and %s: %s", runs[0].Kernel, r.Kernel, difference)
		}
	}
	if got := slices.Sorted(maps.Keys(seen)); !slices.Equal(got, []string{"qemu 6.1", "qemu 6.12", "uml 6.12"}) {
		t.Errorf("kernels %v", got)
	}
}
