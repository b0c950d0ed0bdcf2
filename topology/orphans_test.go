package topology_test

import (
	"os/exec"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/topology"
)

// Whoever calls a program as an init is called makes no orphan of it.
func TestOrphans(t *testing.T) {
	testenv.NeedRoot(t)
	nobody := &syscall.Credential{Uid: 65534, Gid: 65534}
	for what, test := range map[string]struct {
		attr syscall.SysProcAttr
		want bool
	}{
		"process 1 of a namespace, root's":     {syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}, true},
		"process 1 of a namespace, of another": {syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID, Credential: nobody}, false},
		"root's, in this namespace":            {syscall.SysProcAttr{}, false},
	} {
		c := exec.Command("sleep", "1000")
		c.Args[0], c.SysProcAttr = "lab-init", &test.attr
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		orphans, err := topology.Orphans()
		if got := slices.Contains(orphans, c.Process.Pid); err != nil || got != test.want {
			t.Errorf("%s is an orphan: %v, %v; want %v", what, got, err, test.want)
		}
		_ = c.Process.Kill()
		_ = c.Wait() // that it was killed
	}
}
