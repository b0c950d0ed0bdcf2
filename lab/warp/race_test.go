package warp

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
)

// A program with the race detector is named before a machine is started.
func TestRaceDetectorIsNamed(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o600)
	for name, args := range map[string][]string{"plain": nil, "racy": {"-race"}} {
		program := filepath.Join(dir, name)
		c := exec.Command("go", append(append([]string{"build"}, args...), "-o", program, "main.go")...)
		c.Dir, c.Env = dir, append(os.Environ(), "CGO_ENABLED=1")
		if out, err := c.CombinedOutput(); err != nil {
			testenv.Lack(t, "needs Go and a C compiler: %v\n%s", err, out)
		}
		err := checkRace(program)
		lack, ok := errors.AsType[*LackError](err)
		if name == "plain" && err != nil || name == "racy" && (!ok || !strings.HasPrefix(err.Error(), "racy is built with -race") || lack.Hint == "") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := checkRace("/bin/sh"); err != nil {
		t.Errorf("of a program in C: %v", err)
	}
}
