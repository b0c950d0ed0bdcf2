package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/warp"
)

// Any number of machines may be asked for at once: they take their turns, and
// what a user may have of the kernel's (128 inotify instances, for one) is not
// used up by those that wait.
func TestManyMachinesAtOnce(t *testing.T) {
	kernel := needUML(t)
	lab := newLab(t)
	n := 200
	if testing.Short() {
		n = 70
	}
	// Nothing of others' machines holds these up.
	env := append(os.Environ(), warp.KernelEnv+"="+kernel, "XDG_CACHE_HOME="+t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			c := exec.CommandContext(ctx, lab, "warp", "--limit", "2m", "--seed", fmt.Sprint(i), "--", "true")
			c.Env, c.Dir = env, filepath.Dir(lab) // where every user may be
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("machine %d: %v\n%s", i, err, out)
			}
		})
	}
	all.Wait()
}
