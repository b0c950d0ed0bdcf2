package warp

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A process is a machine's on the host.
type process struct {
	cmd     *exec.Cmd
	console *console
	done    chan struct{}
	err     error // how it ended; set before done is closed
}

// A launch says how a machine's process is started.
type launch struct {
	argv, env []string
	dir       string // its working directory
	cpu       int
	writable  []string   // directories; nil: it may write wherever its user may
	files     []*os.File // descriptors 3 and on
}

// start starts it: on its CPU, confined, and such that it ends when the calling
// process does, however that ends.
func (l launch) start() (*process, error) {
	p := &process{console: &console{}, done: make(chan struct{})}
	p.cmd = &exec.Cmd{
		Path: l.argv[0], Args: l.argv, Env: l.env, Dir: l.dir,
		Stdout: p.console, Stderr: p.console, ExtraFiles: l.files,
		SysProcAttr: &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL, Setpgid: true},
	}
	started := make(chan error)
	go func() {
		// What is set here is the thread's, and its child's. The thread is
		// never unlocked, so that it ends with the goroutine, and not before
		// its child, which would be killed.
		runtime.LockOSThread()
		err := l.restrict()
		if err == nil {
			err = p.cmd.Start()
		}
		started <- err
		if err != nil {
			return
		}
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", l.argv[0], err)
	}
	// The memory of a machine that breaks down is of no use to anybody. If
	// this comes too late, it has broken down already.
	_ = unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_CORE, &unix.Rlimit{}, nil)
	return p, nil
}

func (l launch) restrict() error {
	var set unix.CPUSet
	set.Set(l.cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("stay on CPU %d: %w", l.cpu, err)
	}
	if l.writable == nil {
		return nil
	}
	return confine(l.writable...)
}

// ended is closed when it has ended.
func (p *process) ended() <-chan struct{} { return p.done }

// signal sends one to the process.
func (p *process) signal(s os.Signal) { _ = p.cmd.Process.Signal(s) } // it may have ended

// wait waits for its end. When ctx ends before, the process is killed.
func (p *process) wait(ctx context.Context) error {
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		p.kill()
		return context.Cause(ctx)
	}
}

// kill ends it, and what it started.
func (p *process) kill() {
	select {
	case <-p.done:
		return
	default:
	}
	_ = unix.Kill(-p.cmd.Process.Pid, unix.SIGKILL)
	<-p.done
}

// A console keeps the last of what a kernel says.
type console struct {
	mu   sync.Mutex
	text []byte
}

// maxConsole bounds that, in octets.
const maxConsole = 64 << 10

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text = append(c.text, p...)
	if over := len(c.text) - maxConsole; over > 0 {
		c.text = append(c.text[:0], c.text[over:]...)
	}
	return len(p), nil
}

// tail gives the last lines.
func (c *console) tail(n int) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := strings.TrimSpace(strings.ReplaceAll(string(bytes.ToValidUTF8(c.text, nil)), "\r", ""))
	if text == "" {
		return nil
	}
	lines := slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool {
		return strings.HasPrefix(line, "check_one_sigio failed") // it may not open a pty, and needs none
	})
	return lines[max(0, len(lines)-n):]
}
