package labtest_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab/labtest"
)

// childEnv makes TestChild be what another test looks at from outside.
const childEnv = "LABTEST_CHILD"

func TestChild(t *testing.T) {
	if os.Getenv(childEnv) == "" {
		return
	}
	n := labtest.New(t, labtest.Options{})
	n.Fault("crash", n.Server)
	n.Expect("-within 50ms client receives RST")
}

// runChild runs TestChild in a test process of its own, for a user.
func runChild(t *testing.T, uid uint32, env []string, args ...string) (out string, status int) {
	t.Helper()
	dir, err := os.MkdirTemp("", "labtest-") // where everybody can look
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	binary := filepath.Join(dir, "child.test")
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(binary, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	// Another test may fork while this is open for writing, and then it
	// could not be executed: the fork lock keeps them from it.
	syscall.ForkLock.RLock()
	_, err = io.Copy(to, from)
	if e := to.Close(); err == nil {
		err = e
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(binary, append([]string{"-test.v", "-test.run", "^TestChild$"}, args...)...)
	c.Dir = dir
	c.Env = append([]string{childEnv + "=1", "HOME=/", "TMPDIR=/tmp"}, env...)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	b, _ := c.CombinedOutput()
	return string(b), c.ProcessState.ExitCode()
}

// Who is not root gets no network: the test is skipped and says why, or fails.
func TestNotRoot(t *testing.T) {
	testenv.NeedRoot(t)
	const nobody = 65534
	for require, want := range map[string]struct {
		status int
		lines  []string
	}{
		"":  {0, []string{"--- SKIP: TestChild", "no network: this process lacks root (its effective user id is 65534)", "hint: go test -exec sudo"}},
		"1": {1, []string{"--- FAIL: TestChild", "must not be skipped (LAB_REQUIRE=1): no network: this process lacks root"}},
	} {
		out, status := runChild(t, nobody, []string{"LAB_REQUIRE=" + require})
		if status != want.status {
			t.Errorf("LAB_REQUIRE=%s: status %d, want %d", require, status, want.status)
		}
		for _, line := range want.lines {
			if !strings.Contains(out, line) {
				t.Errorf("LAB_REQUIRE=%s: %q is not in:\n%s", require, line, out)
			}
		}
	}
}

// With go test -artifacts, its directory is where a failed test leaves them.
func TestArtifactsFlag(t *testing.T) {
	testenv.NeedRoot(t)
	out := t.TempDir()
	said, status := runChild(t, 0, []string{"LAB_ARTIFACTS=" + filepath.Join(out, "not-here")}, "-test.artifacts", "-test.outputdir="+out)
	found, err := filepath.Glob(filepath.Join(out, "_artifacts", "*", "*", "record.json"))
	if more, _ := filepath.Glob(filepath.Join(out, "_artifacts", "*", "record.json")); err == nil {
		found = append(found, more...)
	}
	if status != 1 || err != nil || len(found) != 1 || !strings.Contains(said, fmt.Sprintf("kept in %s;", filepath.Dir(found[0]))) {
		t.Errorf("status %d, found %q, %v; said:\n%s", status, found, err, said)
	}
	if _, err := os.Stat(filepath.Join(out, "not-here")); err == nil {
		t.Error("they are in two places")
	}
}
