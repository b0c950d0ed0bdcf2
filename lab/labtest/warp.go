package labtest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/warp"
)

// The environment variables of Warp.
const (
	// SeedEnv is the machine's seed, 1 if it is not set.
	SeedEnv = "LAB_WARP_SEED"
	// EngineEnv asks for an engine, uml or qemu, instead of that which is there.
	EngineEnv = "LAB_WARP_ENGINE"
)

// Warp runs f, the body of t, a *testing.T, in a virtual-time machine: what
// waits there for minutes of the kernel's timers ends at once, and takes no
// root. The test binary is started there once more, for this test alone; what it
// writes is logged here, and it passes, fails or is skipped here as it did
// there. TestMain and what the test does beside Warp are done in both.
//
// Where there is no such machine the test is skipped, with the reason, or fails
// if LAB_REQUIRE is set. The same seed goes the same way: each run of a test by
// -count takes the next one, and a failure names its own. A test that is in a
// machine already, by go test -exec 'lab warp --', stays in that.
func Warp[T TB](t T, f func(t T)) {
	t.Helper()
	if _, inside := warp.Inside(); inside {
		f(t)
		return
	}
	runWarped(t)
}

// runWarped is Warp outside of the machine.
func runWarped(t TB) {
	t.Helper()
	engine, err := warp.Choose(warp.Wanted{Engine: os.Getenv(EngineEnv)})
	if errors.Is(err, warp.ErrNoEngine) {
		lack(t, err)
		return
	}
	seed, seedErr := nextSeed(t.Name())
	if err = errors.Join(err, seedErr); err != nil {
		t.Fatalf("choose a virtual-time machine: %v", err)
		return
	}
	again, err := newRerun(t.Name())
	if errors.Is(err, warp.ErrNoEngine) {
		lack(t, err)
		return
	}
	if err != nil {
		t.Fatalf("run the test in a virtual-time machine: %v", err)
		return
	}
	var stdout, stderr bytes.Buffer
	result, err := engine.Run(contextOf(t), warp.Job{
		Argv: again.argv, Env: os.Environ(), Dir: again.dir, Programs: again.data, Out: again.out,
		Seed: seed, Limit: limitOf(t), Stdout: &stdout, Stderr: &stderr,
	})
	if err = errors.Join(err, again.take(), again.close()); errors.Is(err, warp.ErrNoEngine) || result == nil && errors.Is(err, fs.ErrPermission) {
		lack(t, err) // or this user may not work here, with or without a machine
		return
	}
	told := tell(t.Name(), stdout.String())
	if result != nil || stdout.Len()+stderr.Len() > 0 {
		t.Logf("in a virtual-time machine (%s, seed %d)%s%s%s", engine.Name(), seed, took(result), told.text, indented(stderr.String()))
	}
	if err != nil {
		hint := ""
		if late, ok := errors.AsType[*warp.LimitError](err); ok {
			hint = "\nhint: " + here(late.Hint)
		}
		t.Fatalf("run the test in a virtual-time machine: %v%s", err, hint)
		return
	}
	conclude(t, told.verdict, result.Status, seed)
}

// conclude ends a test as it ended in the machine, where its binary had an exit
// status.
func conclude(t TB, verdict string, status int, seed uint64) {
	t.Helper()
	switch {
	case verdict == "PASS" && status == 0:
	case verdict == "SKIP" && status == 0:
		t.Skipf("skipped in the virtual-time machine")
	case verdict == "FAIL":
		t.Fatalf("failed in the virtual-time machine; %s=%d goes the same way", SeedEnv, seed)
	default: // os.Exit, a goroutine's panic, TestMain
		t.Fatalf("the test binary ended in the virtual-time machine with exit status %d, the test with %s; %s=%d goes the same way",
			status, cmp.Or(verdict, "no result"), SeedEnv, seed)
	}
}

// here is a hint as it holds for tests, which have no flags of lab.
func here(hint string) string { return strings.ReplaceAll(hint, "--engine ", EngineEnv+"=") }

// nextSeed is for the next run of a test in this process.
func nextSeed(test string) (uint64, error) {
	first := uint64(1)
	if text := os.Getenv(SeedEnv); text != "" {
		var err error
		if first, err = strconv.ParseUint(text, 10, 64); err != nil {
			return 0, fmt.Errorf("%s=%s is no seed", SeedEnv, text)
		}
	}
	return first + shared.runs(test), nil
}

// took says how long a job took, on both clocks; r may be nil.
func took(r *warp.Result) string {
	if r == nil {
		return ""
	}
	return fmt.Sprintf(": %v there, in %v", r.Virtual.Round(time.Millisecond), r.Wall.Round(time.Millisecond))
}

// contextOf ends with the test, if that tells.
func contextOf(t TB) context.Context {
	if t, ok := t.(interface{ Context() context.Context }); ok {
		return t.Context()
	}
	return context.Background()
}

// limitOf is how long a machine may take: it ends well before the test would be
// ended, and so is what the test says.
func limitOf(t TB) time.Duration {
	limit := warp.DefaultLimit
	if t, ok := t.(interface{ Deadline() (time.Time, bool) }); ok {
		if end, ok := t.Deadline(); ok {
			limit = min(limit, time.Until(end)*3/4).Round(time.Millisecond)
		}
	}
	return limit
}
