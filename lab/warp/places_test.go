package warp

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
)

// spin never ends.
const spin = "while :; do :; done"

// What does not end is ended, and named.
func TestLimit(t *testing.T) {
	u := needUML(t)
	for script, want := range map[string]string{
		spin:                                "sh (process ",
		"while :; do date >/dev/null; done": " was still computing",
		"exec sleep infinity":               "by its own clock, and its processes still wait: sleep (process ",
		"yes":                               "yes (process ",
	} {
		t.Run(script, func(t *testing.T) {
			j := sh(script)
			j.Limit = 3 * time.Second
			_, err := u.Run(t.Context(), j)
			late, ok := errors.AsType[*LimitError](err)
			if !ok || late.Hint == "" || !strings.Contains(err.Error(), want) {
				t.Errorf("%v (%+v), want %q", err, late, want)
			}
		})
	}
}

// A kernel that panics says why.
func TestPanic(t *testing.T) {
	u := needUML(t)
	_, err := u.Run(t.Context(), sh("kill -ABRT 1; sleep 1"))
	broken, ok := errors.AsType[*MachineError](err)
	if !ok || !strings.Contains(broken.What, "its kernel panicked: Attempted to kill init!") || !strings.Contains(strings.Join(broken.Log, "\n"), "Kernel panic") {
		t.Errorf("%v", err)
	}
}

// A program that takes all memory is killed; one that writes more than there is
// is told so. The machine goes on.
func TestTooMuch(t *testing.T) {
	u := needUML(t)
	var out, errs strings.Builder
	j := sh(`head -c 1G /dev/zero >/var/big; rm /var/big; tail /dev/zero; echo $?`)
	j.Memory, j.Stdout, j.Stderr = MinMemory, &out, &errs
	_, err := u.Run(t.Context(), j)
	if err != nil || out.String() != "137\n" || !strings.Contains(errs.String(), "No space left on device") {
		t.Errorf("%v, %q\n%s", err, out.String(), errs.String())
	}
}

func TestStreams(t *testing.T) {
	u := needUML(t)
	dir := t.TempDir()
	write(t, dir+"/input", []byte("a line\n"), 0o600)
	for input, want := range map[string]string{"": "", dir + "/input": "a line\n"} {
		var out strings.Builder
		j := sh("cat; test -t 0 || test -t 1 || test -t 2 || echo no terminal; test -w /dev/shm && script -qec tty /dev/null")
		j.Input, j.Stdout = input, &out
		r, err := u.Run(t.Context(), j)
		if got := strings.ReplaceAll(out.String(), "\r", ""); err != nil || r.Status != 0 || got != want+"no terminal\n/dev/pts/0\n" {
			t.Errorf("%+v, %v: %q", r, err, got)
		}
	}
}

// A command begins with no signal ignored or blocked: what relies on SIGPIPE
// goes as it does elsewhere.
func TestSignalsAreTheDefaults(t *testing.T) {
	var out strings.Builder
	j := sh("grep -E 'Sig(Ign|Blk)' /proc/self/status")
	j.Stdout = &out
	if _, err := needUML(t).Run(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if _, set, _ := strings.Cut(line, ":"); strings.Trim(set, "\t0\n") != "" {
			t.Errorf("%s", line)
		}
	}
	if strings.Count(out.String(), "\n") != 2 {
		t.Errorf("%q", out.String())
	}
}

// A command whose output nobody takes any more is ended.
func TestGoneReader(t *testing.T) {
	gone := errors.New("gone")
	j := sh("yes")
	j.Stdout = writerFunc(func([]byte) (int, error) { return 0, gone })
	if _, err := needUML(t).Run(t.Context(), j); !errors.Is(err, gone) {
		t.Errorf("error %v, want that of the reader", err)
	}
}

// What a reader does not take does not pile up here: the machine waits, and
// what it waits is not of the time that it is given.
func TestSlowReader(t *testing.T) {
	u := needUML(t)
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	begun, read, most := false, int64(0), int64(0)
	j := sh("head -c 256M /dev/zero")
	j.Limit = 15 * time.Second
	j.Stdout = writerFunc(func(p []byte) (int, error) {
		if read += int64(len(p)); begun {
			return len(p), nil
		}
		begun = true
		// As long as the machine writes, there is more from one look to the next.
		for last := int64(-1); most != last; {
			last = most
			time.Sleep(time.Second)
			files, _ := filepath.Glob(filepath.Join(cache, "lab/warp/run/*", stdoutFile))
			if len(files) != 1 {
				t.Errorf("%q", files)
				break
			}
			var st unix.Stat_t
			if err := unix.Stat(files[0], &st); err != nil {
				t.Error(err)
			}
			most = max(most, st.Blocks*512)
		}
		time.Sleep(j.Limit)
		return len(p), nil
	})
	r, err := u.Run(t.Context(), j)
	if err != nil || r.Status != 0 || read != 256<<20 {
		t.Errorf("%+v, %v, %d octets", r, err, read)
	}
	if most > 128<<20 {
		t.Errorf("%d octets were waiting", most)
	}
}

func TestOddJobs(t *testing.T) {
	u := needUML(t)
	dir := t.TempDir()
	write(t, dir+"/file", nil, 0o600)
	for name, change := range map[string]func(*Job){
		"no command":       func(j *Job) { j.Argv = nil },
		"relative command": func(j *Job) { j.Argv = []string{"sh"} },
		"no such command":  func(j *Job) { j.Argv = []string{dir + "/none"} },
		"no program":       func(j *Job) { j.Argv = []string{dir + "/file"} },
		"little memory":    func(j *Job) { j.Memory = MinMemory - 1 },
		"less memory":      func(j *Job) { j.Memory = -1 },
		"much memory":      func(j *Job) { j.Memory = MaxMemory + 1 },
		"no time":          func(j *Job) { j.Limit = -1 },
		"no such out":      func(j *Job) { j.Out = []string{dir + "/none"} },
		"a file as out":    func(j *Job) { j.Out = []string{dir + "/file"} },
		"all as out":       func(j *Job) { j.Out = []string{"/"} },
		"all as out, too":  func(j *Job) { j.Out = []string{dir, "/.."} },
		"no such input":    func(j *Job) { j.Input = dir + "/none" },
		"directory input":  func(j *Job) { j.Input = dir },
		"no such dir":      func(j *Job) { j.Dir = dir + "/none" },
	} {
		j := sh("true")
		change(&j)
		if _, err := u.Run(t.Context(), j); !errors.As(err, new(*JobError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// These are odd, and go.
	odd := filepath.Join(dir, "sp ace,com\"ma='ü\n\\")
	if err := os.Mkdir(odd, 0o755); err != nil {
		t.Fatal(err)
	}
	j := sh(`echo "$PWD" >file`)
	j.Dir, j.Out, j.Memory = odd, []string{odd, dir, odd}, MinMemory
	j.Argv, j.Env = append(j.Argv, strings.Repeat("x", 100<<10), ""), append(j.Env, "BIG="+strings.Repeat("x", 100<<10))
	if r, err := u.Run(t.Context(), j); err != nil || r.Status != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if got, err := os.ReadFile(odd + "/file"); string(got) != odd+"\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// Where nothing can be kept, it is said where it would be.
func TestNoCache(t *testing.T) {
	u := needUML(t)
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, nil, 0o600)
	for _, env := range [][2]string{{"", ""}, {file, ""}, {"", file}} {
		t.Setenv("XDG_CACHE_HOME", env[0])
		t.Setenv("HOME", env[1])
		_, err := u.Run(t.Context(), sh("true"))
		if lack, ok := errors.AsType[*LackError](err); !ok || !strings.Contains(lack.Hint, "XDG_CACHE_HOME") {
			t.Errorf("%q: %v", env, err)
		}
	}
}

// childEnv tells a test that it is its own child, and what to do.
const childEnv = "LAB_TEST_CHILD"

// child is the test once more, as a process of its own.
func child(t *testing.T, what string, env ...string) *exec.Cmd {
	t.Helper()
	c := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	c.Env = append(append(os.Environ(), childEnv+"="+what), env...)
	return c
}

// Without ptrace there is no machine, and that is what is said.
func TestNoPtrace(t *testing.T) {
	u := needUML(t)
	if os.Getenv(childEnv) == "" {
		if out, err := child(t, "forbidden").CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	forbid(t, unix.SYS_PTRACE)
	_, err := u.Run(t.Context(), sh("true"))
	if lack, ok := errors.AsType[*LackError](err); !ok || !strings.Contains(lack.What, "ptrace is forbidden") {
		t.Errorf("%v", err)
	}
}

// forbid takes a system call from this process, as a container does.
func forbid(t *testing.T, number uint32) {
	t.Helper()
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // seccomp_data.nr
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: number, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program))); errno != 0 {
		t.Fatal(errno)
	}
}

// Of a killed launcher no process is left, and no file after the next start.
func TestKilledLauncher(t *testing.T) {
	u := needUML(t)
	if os.Getenv(childEnv) != "" {
		j := sh("echo running; sleep 1; " + spin) // who spins lets nobody else run
		j.Limit, j.Stdout = patience, os.Stdout
		_, err := u.Run(t.Context(), j)
		t.Fatal("it ended: ", err)
	}
	// A kernel that nobody else executes.
	kernel := filepath.Join(t.TempDir(), "linux")
	content, err := os.ReadFile(u.Kernel())
	if err != nil {
		t.Fatal(err)
	}
	write(t, kernel, content, 0o755)
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	temp := t.TempDir()
	c := child(t, "killed", KernelEnv+"="+kernel, "TMPDIR="+temp)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "running"; {
		t.Log(lines.Text())
	}
	if len(testenv.Processes(kernel)) == 0 {
		t.Error("the machine is no process of that kernel")
	}
	_ = c.Process.Kill()
	_ = c.Wait()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		left := testenv.Processes(kernel)
		if len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("left: %v", left)
		}
	}
	runs := filepath.Join(cache, "lab/warp/run/*")
	if left, _ := filepath.Glob(runs); len(left) != 1 {
		t.Errorf("of a killed launcher there is %q", left)
	}
	if _, err := u.Run(t.Context(), sh("true")); err != nil {
		t.Error(err)
	}
	for _, pattern := range []string{runs, filepath.Join(temp, "*")} {
		if left, _ := filepath.Glob(pattern); len(left) != 0 {
			t.Errorf("left: %q", left)
		}
	}
}

// More machines than CPUs wait for each other, and all get their turn.
func TestMany(t *testing.T) {
	u := needUML(t)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	const many = 20
	ended := make(chan error)
	for range many {
		go func() {
			_, err := u.Run(t.Context(), sh("sleep 100"))
			ended <- err
		}()
	}
	for range many {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	// Who gives up while waiting goes, too.
	ctx, cancel := context.WithCancel(t.Context())
	for range many {
		go func() {
			_, err := u.Run(ctx, sh(spin))
			ended <- err
		}()
	}
	cancel()
	for range many {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("canceled: %v", err)
		}
	}
}
