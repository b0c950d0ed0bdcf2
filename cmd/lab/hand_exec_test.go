package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab/byhand"
)

// How a program ended is told as a shell does.
func TestHandExitStatus(t *testing.T) {
	t.Parallel()
	h := newHandUp(t)
	for status := range 256 {
		if out, got := h.do("exec", "client", "--", "sh", "-c", fmt.Sprint("exit ", status)); got != status || out != "" {
			t.Errorf("exit status %d, want %d; it says %q", got, status, out)
		}
	}
	for _, signal := range []unix.Signal{unix.SIGTERM, unix.SIGKILL, unix.SIGHUP, unix.SIGPIPE} {
		if _, got := h.do("exec", "client", "--", "sh", "-c", fmt.Sprintf("kill -%d $$", signal)); got != 128+int(signal) {
			t.Errorf("exit status %d of %v", got, signal)
		}
	}
	file := filepath.Join(openDir(t), "file")
	if err := os.WriteFile(file, []byte("no program\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	h.refused(127, "not found", "exec", "client", "--", "no-such-program")
	h.refused(127, "no such file", "exec", "client", "--", "/no/such/program")
	h.refused(126, "not executable", "exec", "client", "--", file)
	h.refused(126, "is a directory", "exec", "client", "--", filepath.Dir(file))
	if err := os.Chmod(file, 0o755); err != nil {
		t.Fatal(err)
	}
	h.refused(126, "exec format error", "exec", "client", "--", file)
	h.refused(2, "no host", "exec", "nowhere", "--", "true")
	h.refused(2, "run what", "exec", "client")
}

// The streams are those that lab is called with.
func TestHandStreams(t *testing.T) {
	t.Parallel()
	h := newHandUp(t)
	shell := func(command string) (string, error) {
		c := exec.Command("bash", "-o", "pipefail", "-c", command)
		c.Dir = openDir(t)
		c.Env = []string{"PATH=" + filepath.Dir(h.lab) + ":" + os.Getenv("PATH"), "N=" + h.name, "HOME=/"}
		out, err := c.CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	const on = "lab exec --name $N server -- "
	for command, want := range map[string]string{
		"seq 100000 >in; " + on + "cat <in | wc -l":                              "100000",
		"seq 100000 | " + on + "sort -n | tail -n 1":                             "100000",
		on + "head -c 100000000 /dev/zero | wc -c":                               "100000000",
		on + "sh -c 'echo out; echo err >&2' >out 2>err; cat err out":            "err\nout",
		on + "yes | head -n 1; echo ${PIPESTATUS[0]}":                            "y\n141",
		on + "readlink /proc/self/fd/0 </dev/null":                               "/dev/null",
		on + "true; " + on + "sh -c 'read x' <&-; echo $?":                       "1",
		"mkdir here; cd here; " + on + "pwd | xargs basename":                    "here",
		"X='a  b' " + on + "sh -c 'echo \"$X\"'":                                 "a  b",
		on + "printf '<%s>' '' 'a b' '*' --name":                                 "<><a b><*><--name>",
		on + "sh -c 'echo one; exec 1>&-; sleep 0.1; echo $? >&2' 2>&1":          "one\n0",
		on + "cat <(echo from a pipe)":                                           "from a pipe",
		"nohup " + on + "sh -c 'kill -HUP $$; echo still there' 2>&1":            "still there",
		"(trap '' INT; " + on + "sh -c 'kill -INT $$; echo still there')":        "still there",
		"sh -c '" + on + "sh -c \"kill -INT \\$\\$; echo still there\" & wait'":  "still there", // a background job's
		"sh -c '" + on + "sh -c \"kill -QUIT \\$\\$; echo still there\" & wait'": "still there",
	} {
		if out, err := shell(command); err != nil && !strings.Contains(command, "141") && !strings.Contains(command, "echo $?") || out != want {
			t.Errorf("%s: %v, %q, want %q", command, err, out, want)
		}
	}
}

// A signal ends it at whatever moment it comes, and nothing stays on the host.
func TestHandInterruptedAtOnce(t *testing.T) {
	t.Parallel()
	h := newHandUp(t)
	for delay := time.Duration(0); delay < 20*time.Millisecond; delay += 500 * time.Microsecond {
		c := h.command("exec", "client", "--", "sleep", "1000")
		c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		var said bytes.Buffer
		c.Stderr = &said
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(delay)
		if err := unix.Kill(-c.Process.Pid, unix.SIGINT); err != nil {
			t.Fatal(err)
		}
		stuck := time.AfterFunc(20*time.Second, func() {
			t.Errorf("after %v it did not end", delay)
			_ = c.Process.Kill()
		})
		_ = c.Wait() // that it was interrupted
		stuck.Stop()
		if status := c.ProcessState.Sys().(syscall.WaitStatus); !(status.Signaled() && status.Signal() == unix.SIGINT) && status.ExitStatus() != 130 {
			t.Errorf("interrupted after %v: %v, %q", delay, c.ProcessState, &said)
		}
	}
	h.until("nothing runs", func(s *byhand.Status) bool { return len(s.Hosts[0].Processes) == 0 })
}

// Who waits until a program is let in is interrupted at once, but for a script's
// background job, which goes on.
func TestHandInterruptedWaiting(t *testing.T) {
	t.Parallel()
	h := newHandUp(t, "--grace", "60s")
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	stubborn := h.command("exec", "server", "--", "sh", "-c", `trap "" TERM; read line <`+fifo)
	if err := stubborn.Start(); err != nil {
		t.Fatal(err)
	}
	release, err := os.OpenFile(fifo, os.O_WRONLY, 0) // it has set its trap
	if err != nil {
		t.Fatal(err)
	}
	defer release.Close()
	fault := h.command("fault", "shutdown") // before whose end nobody is let in
	if err := fault.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() { over <- fault.Wait() }()
	h.must("await", "fault", "shutdown")

	// signals sends some to who waits for the supervisor's answer.
	signals := func(pid int, all ...unix.Signal) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); !hasSocket(pid); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("process %d asks nobody", pid)
			}
		}
		for _, s := range all {
			if err := unix.Kill(pid, s); err != nil {
				t.Error(err)
			}
		}
	}
	waits := h.command("exec", "client", "--", "true")
	if err := waits.Start(); err != nil {
		t.Fatal(err)
	}
	signals(waits.Process.Pid, unix.SIGINT)
	if _ = waits.Wait(); waits.ProcessState.ExitCode() != 130 {
		t.Errorf("interrupted: %v", waits.ProcessState)
	}

	job := exec.Command("sh", "-c", "lab exec --name "+h.name+" client -- echo it runs & echo $!; wait $!")
	job.Env = []string{"PATH=" + filepath.Dir(h.lab) + ":" + os.Getenv("PATH"), "HOME=/"}
	out, err := job.StdoutPipe()
	if err == nil {
		err = job.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	lines := bufio.NewReader(out)
	if _, err := fmt.Fscanln(lines, &pid); err != nil {
		t.Fatal(err)
	}
	signals(pid, unix.SIGINT, unix.SIGQUIT)
	select {
	case err := <-over:
		t.Fatalf("the shutdown is over: %v", err)
	default:
		release.Close()
	}
	if said, err := io.ReadAll(lines); err != nil || string(said) != "it runs\n" {
		t.Errorf("a background job, interrupted: %q, %v", said, err)
	}
	if err := errors.Join(job.Wait(), <-over); err != nil {
		t.Error(err)
	}
	_ = stubborn.Wait() // with its host
}

func hasSocket(pid int) bool {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	return slices.ContainsFunc(files, func(file string) bool {
		to, _ := os.Readlink(file)
		return strings.HasPrefix(to, "socket:")
	})
}

// What a program does about a key is its own affair.
func TestHandInterruptedHandled(t *testing.T) {
	t.Parallel()
	h := newHandUp(t)
	p := h.tmux().Pane(80, 24)
	for _, status := range []int{0, 3} {
		sleeps := fmt.Sprintf("sleep 0.0%d", 5+status)
		c := p.Start(on + fmt.Sprintf(`sh -c 'trap "exit %d" INT; while :; do %s; done'`, status, sleeps))
		h.runs("client", sleeps) // it has set its trap
		p.Press("C-c")
		if out, got := c.Wait(); got != status {
			t.Errorf("exit status %d, want %d: %q", got, status, out)
		}
	}
}

// entrants are the processes that run programs in terminals.
func (h *hand) entrants() (pids []int) {
	for _, process := range testenv.Processes(h.lab) {
		number, command, _ := strings.Cut(strings.TrimPrefix(process, "process "), ": ")
		if pid, err := strconv.Atoi(number); err == nil && strings.HasPrefix(command, "lab exec ") {
			pids = append(pids, pid)
		}
	}
	return pids
}

// A program whose terminal is gone is hung up, and so is one that nobody waits for
// any more.
func TestHandDisconnected(t *testing.T) {
	t.Parallel()
	h := newHandUp(t)
	tmux := h.tmux()
	tmux.Pane(80, 24) // so that there is one
	hungUp := filepath.Join(openDir(t), "hungup")
	traps := `bash -c 'trap "echo hung up >>` + hungUp + `; exit" HUP; while :; do sleep 0.05; done'`
	gone := func(what string) {
		t.Helper()
		h.until(what+": nothing runs", func(s *byhand.Status) bool { return len(s.Hosts[0].Processes) == 0 })
		if said, err := os.ReadFile(hungUp); err != nil || !bytes.HasPrefix(said, []byte("hung up\n")) {
			t.Errorf("%s: %q, %v", what, said, err)
		}
		_ = os.Remove(hungUp)
	}
	begin := func() int {
		h.until("it runs", func(s *byhand.Status) bool { return len(s.Hosts[0].Processes) > 0 })
		h.runs("client", "sleep 0.05") // it has set its trap
		pids := h.entrants()
		if len(pids) != 1 {
			t.Fatalf("%d processes run a program", len(pids))
		}
		return pids[0]
	}
	p := tmux.Pane(80, 24)
	p.Start(on + traps)
	begin()
	p.Kill()
	gone("the pane was closed")

	p = tmux.Pane(80, 24)
	c := p.Start(on + traps)
	if err := unix.Kill(begin(), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	c.Wait()
	gone("who ran it was killed")

	c = p.Start(on + traps)
	pid := begin()
	p.Press("C-z")
	c.Wait()
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	gone("who ran it was killed while it was stopped")
	p.Press("Enter") // for another prompt, below what the program said of its own child

	c = p.Start(on + traps)
	if err := unix.Kill(begin(), unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, status := c.Wait(); status != 143 {
		t.Errorf("SIGTERM to who runs it: status %d", status)
	}
	h.until("it got SIGTERM: nothing runs", func(s *byhand.Status) bool { return len(s.Hosts[0].Processes) == 0 })
}
