package topology_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/topology"
)

// shellPath is where the tests' shells look for programs.
const shellPath = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"

// shell runs a script on a host to its end, and returns what it wrote.
func shell(t *testing.T, h *topology.Host, script string) string {
	t.Helper()
	return output(t, h, topology.Command{Path: "/bin/sh", Argv: []string{"sh", "-c", script}, Env: []string{shellPath}})
}

// output runs a program to its end and that of what it started, and returns
// what they wrote.
func output(t *testing.T, h *topology.Host, c topology.Command) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c.Stdout, c.Stderr = w, w
	p, err := h.Start(c)
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	return string(out)
}

func TestStartReportsWhatPreventedIt(t *testing.T) {
	n := newNetwork(t, topology.Config{Path: topology.Direct})
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	plain, odd := file("plain", "", 0o644), file("odd", "what is this?", 0o755)
	orphan := file("orphan", "#!/nonexistent/interpreter\n", 0o755)
	closed := filepath.Join(dir, "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	// What t.TempDir made is for its owner only.
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(filepath.Dir(dir), 0o755)); err != nil {
		t.Fatal(err)
	}
	nobody := &topology.Credential{UID: 65534, GID: 65534}
	for name, c := range map[string]struct {
		command  topology.Command
		is       error
		notInDir bool
		says     string
	}{
		"not found":            {topology.Command{Path: "/nonexistent"}, fs.ErrNotExist, false, "execute /nonexistent: no such file or directory"},
		"not executable":       {topology.Command{Path: plain}, fs.ErrPermission, false, "execute " + plain + ": permission denied"},
		"no executable format": {topology.Command{Path: odd}, unix.ENOEXEC, false, "exec format error"},
		"no interpreter":       {topology.Command{Path: orphan}, fs.ErrNotExist, false, orphan + ": its interpreter: no such file"},
		"no directory":         {topology.Command{Path: "/bin/true", Dir: "/nonexistent"}, fs.ErrNotExist, true, "enter working directory /nonexistent: no such file"},
		"neither":              {topology.Command{Path: "/nonexistent", Dir: "/nonexistent"}, fs.ErrNotExist, true, "enter working directory"},
		"no such directory":    {topology.Command{Path: "/bin/true", Dir: plain}, unix.ENOTDIR, true, "not a directory"},
		"not one's directory":  {topology.Command{Path: "/bin/true", Dir: closed, Credential: nobody}, fs.ErrPermission, true, "enter working directory " + closed},
		"not one's program":    {topology.Command{Path: closed + "/x", Dir: "/", Credential: nobody}, fs.ErrPermission, false, "execute " + closed},
		"argument too long":    {topology.Command{Path: "/bin/true", Env: []string{strings.Repeat("x", 1<<20)}}, unix.E2BIG, false, "argument list too long"},
		"NUL":                  {topology.Command{Path: "/bin/true\x00"}, unix.EINVAL, false, "NUL"},
	} {
		c.command.Argv = []string{"program"}
		_, err := n.Client.Start(c.command)
		if !errors.Is(err, c.is) || errors.Is(err, topology.ErrDirectory) != c.notInDir || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%s: error %q, want one that is %q and says %q", name, err, c.is, c.says)
		}
	}
}

func TestStartTakesWhatExecveTakes(t *testing.T) {
	n := newNetwork(t, topology.Config{Path: topology.Direct})
	argv := []string{"sh", "-c", `printf %s "$ODD" | od -An -tx1; cat /proc/$$/environ | wc -c; echo $#`, "sh"}
	env := []string{shellPath, "ODD=\xff\n"}
	size := 0
	for i := range 15 { // a single string is of 128 KiB at most (MAX_ARG_STRLEN)
		long := fmt.Sprintf("V%d=%s", i, strings.Repeat("x", 100<<10))
		if i < 8 {
			env = append(env, long)
		} else {
			argv = append(argv, long)
		}
	}
	for _, s := range env {
		size += len(s) + 1
	}
	got := strings.Fields(output(t, n.Client, topology.Command{Path: "/bin/sh", Argv: argv, Env: env}))
	if want := []string{"ff", "0a", fmt.Sprint(size), "7"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCredential(t *testing.T) {
	n := newNetwork(t, topology.Config{Path: topology.Direct})
	for want, c := range map[string]*topology.Credential{
		"65534 100 100 7 8\nCapEff:\t0000000000000000\n": {UID: 65534, GID: 100, Groups: []uint32{7, 8}},
		"65534 65534 65534\nCapEff:\t0000000000000000\n": {UID: 65534, GID: 65534},
	} {
		got := output(t, n.Server, topology.Command{
			Path: "/bin/sh", Argv: []string{"sh", "-c", "echo $(id -u) $(id -g) $(id -G); grep CapEff /proc/self/status; cat /etc/hosts >/dev/null"},
			Env: []string{shellPath}, Credential: c,
		})
		if got != want {
			t.Errorf("%+v: %q, want %q", c, got, want)
		}
	}
}

// A program can read a terminal that is not its controlling one.
func TestTerminalAsInput(t *testing.T) {
	n := newNetwork(t, topology.Config{Path: topology.Direct})
	master, terminal := testenv.Terminal(t)
	defer master.Close()
	defer terminal.Close()
	if _, err := master.WriteString("hello\n"); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, err = n.Client.Start(topology.Command{
		Path: "/bin/sh", Argv: []string{"sh", "-c", `test -t 0 && read x && echo "read $x"`}, Stdin: terminal, Stdout: w,
	})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(r).ReadString('\n'); line != "read hello\n" {
		t.Errorf("it said %q, %v", line, err)
	}
}
