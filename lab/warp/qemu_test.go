package warp

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
)

// newTestQEMU finds the newest kernel that was fetched. What the tests save
// goes to a cache of their own.
func newTestQEMU(t *testing.T) *QEMU {
	t.Helper()
	kernels, err := Kernels()
	if err != nil {
		t.Fatal(err)
	}
	if len(kernels) == 0 {
		testenv.Lack(t, "no kernel for qemu: lab warp setup --kernel 6.12 fetches one")
	}
	q, err := NewQEMU(kernels[0].Image, kernels[0].Modules, false)
	if errors.Is(err, ErrNoEngine) {
		testenv.Lack(t, "%v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// patience is how long a machine of these tests may take on a busy computer.
const patience = 3 * time.Minute

// sh is a job for the shell.
func sh(script string) Job {
	return Job{Argv: []string{"/bin/sh", "-c", script}, Programs: []string{"/bin/sleep", "/bin/mkdir"}, Env: []string{"PATH=/bin"}, Limit: patience, Seed: 1}
}

// TestQEMU runs several jobs in copies of one saved machine.
func TestQEMU(t *testing.T) {
	if testing.Short() {
		t.Skip("it boots machines")
	}
	q := newTestQEMU(t)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	// perform runs a job that gives what it wrote.
	perform := func(t *testing.T, q *QEMU, j Job) (*Result, string) {
		t.Helper()
		var out, errs bytes.Buffer
		j.Stdout, j.Stderr = &out, &errs
		r, err := q.Run(t.Context(), j)
		if err != nil {
			t.Fatalf("run: %v\n%s", err, errs.String())
		}
		if errs.Len() > 0 {
			t.Errorf("standard error:\n%s", errs.String())
		}
		return r, out.String()
	}

	t.Run("all that a job has", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir+"/input, of the job", []byte("a line\n"), 0o644)
		write(t, dir+"/out/old", []byte("old"), 0o644)
		var out, errs bytes.Buffer
		j := sh(`read line; echo "$line, $WORD, $PWD"; echo error >&2; mkdir d; echo content >d/file; exit 5`)
		j.Env = append(j.Env, "WORD=it's two words")
		j.Input, j.Out, j.Dir = dir+"/input, of the job", []string{dir + "/out"}, dir+"/out"
		j.Stdout, j.Stderr = &out, &errs
		r, err := q.Run(t.Context(), j)
		if err != nil {
			t.Fatal(err)
		}
		if r.Status != 5 || out.String() != "a line, it's two words, "+dir+"/out\n" || errs.String() != "error\n" {
			t.Errorf("status %d, output %q, errors %q", r.Status, out.String(), errs.String())
		}
		for name, want := range map[string]string{"old": "old", "d/file": "content\n"} {
			if got, err := os.ReadFile(filepath.Join(j.Out[0], name)); string(got) != want {
				t.Errorf("%s: %q, %v, want %q", name, got, err, want)
			}
		}
	})
	t.Run("waiting takes no time", func(t *testing.T) {
		r, _ := perform(t, q, sh("sleep 3600"))
		if r.Virtual < time.Hour || r.Virtual > time.Hour+time.Minute || r.Wall > patience {
			t.Errorf("an hour took %v there, %v here", r.Virtual, r.Wall)
		}
	})
	t.Run("a signal", func(t *testing.T) {
		if r, _ := perform(t, q, sh("kill -9 $$")); r.Status != 128+9 {
			t.Errorf("status %d, want 137", r.Status)
		}
	})
	t.Run("what is left is ended", func(t *testing.T) {
		if r, _ := perform(t, q, sh("sleep 100000 &")); r.Virtual > time.Minute {
			t.Errorf("the machine waited %v for a process in the background", r.Virtual)
		}
	})
	t.Run("no network and no disk", func(t *testing.T) {
		if _, out := perform(t, q, sh("echo /sys/class/net/* /sys/block/*")); out != "/sys/class/net/lo /sys/block/*\n" {
			t.Errorf("devices: %s", out)
		}
	})
	t.Run("much output", func(t *testing.T) {
		const lines = 20000
		_, out := perform(t, q, sh(`i=0; while [ $i -lt 20000 ]; do echo "a line of forty octets, of which are many"; i=$((i+1)); done`))
		if got := strings.Count(out, "\n"); got != lines {
			t.Errorf("%d lines, want %d", got, lines)
		}
	})
	t.Run("the seed", func(t *testing.T) {
		drawn := func(q *QEMU, seed uint64) string {
			j := sh("read uuid </proc/sys/kernel/random/uuid; echo $uuid")
			j.Seed = seed
			_, out := perform(t, q, j)
			return out
		}
		first := drawn(q, 1)
		if again := drawn(q, 1); again != first {
			t.Errorf("seed 1 gave %s, and then %s", first, again)
		}
		if other := drawn(q, 2); other == first {
			t.Errorf("seeds 1 and 2 both gave %s", other)
		}
	})
	t.Run("a program that is not there", func(t *testing.T) {
		if _, err := q.Run(t.Context(), Job{Argv: []string{"/no/such"}}); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("run: %v", err)
		}
	})
	t.Run("a limit", func(t *testing.T) {
		j := sh("while :; do :; done")
		j.Limit = 3 * time.Second
		_, err := q.Run(t.Context(), j)
		late, ok := errors.AsType[*LimitError](err)
		if !ok || late.Program != "sh" || late.PID == 0 || late.Hint == "" {
			t.Errorf("it ended with %#v", err)
		}
	})
	t.Run("a panic", func(t *testing.T) {
		_, err := q.Run(t.Context(), sh("echo c >/proc/sysrq-trigger; sleep 10"))
		broken, ok := errors.AsType[*MachineError](err)
		if !ok || broken.What != "its kernel panicked: sysrq triggered crash" || len(broken.Log) == 0 {
			t.Errorf("it ended with %v", err)
		}
	})
	t.Run("an end before its time", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		j := sh("echo running; while :; do :; done")
		j.Stdout = writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })
		if _, err := q.Run(ctx, j); !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	})
	t.Run("cold", func(t *testing.T) {
		cold := *q
		cold.cold = true
		j := sh("read uuid </proc/sys/kernel/random/uuid; echo $uuid; sleep 100; read up </proc/uptime; echo $up")
		first, out1 := perform(t, &cold, j)
		again, out2 := perform(t, &cold, j)
		if diff := cmp.Diff(out1, out2); diff != "" || first.Virtual != again.Virtual {
			t.Errorf("it took %v, and then %v; output (-first +again):\n%s", first.Virtual, again.Virtual, diff)
		}
	})
	for _, dir := range []string{"run", QEMUName} {
		left, err := filepath.Glob(filepath.Join(os.Getenv("XDG_CACHE_HOME"), "lab/warp", dir, "*"))
		if err != nil || dir == "run" && len(left) > 0 || dir == QEMUName && len(left) > 2 {
			t.Errorf("left: %v, %v", left, err)
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestQEMUIsNotThere(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/bin/qemu-system-x86_64", []byte("#!/bin/sh\necho version\n"), 0o755)
	write(t, dir+"/kernel", append(make([]byte, 0x202), "HdrS"...), 0o644)
	write(t, dir+"/text", make([]byte, 4096), 0o644)
	for _, c := range []struct{ path, kernel, want string }{
		{dir, dir + "/kernel", "no qemu-system-x86_64"},
		{dir + "/bin", dir + "/none", "no such file"},
		{dir + "/bin", dir + "/kernel", "modules: no such file"},
		{dir + "/bin", dir + "/vmlinuz-1.2", "vmlinuz-1.2: no such file"},
	} {
		t.Setenv("PATH", c.path)
		if _, err := NewQEMU(dir+"/text", "", false); c.path != dir && (err == nil || errors.Is(err, ErrNoEngine)) {
			t.Errorf("a file that is no kernel: %v", err)
		}
		if _, err := NewQEMU(c.kernel, "", false); !errors.Is(err, ErrNoEngine) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.kernel, err, c.want)
		}
	}
}
