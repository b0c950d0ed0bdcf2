package warp

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// guestArg is the first argument of a machine's process 1; the second is the
// engine's name. What follows, a kernel may have added.
const guestArg = "lab-machine"

// A guest is the inside of an engine: what process 1 needs to know of it.
type guest interface {
	// start makes the machine's file system and reads the job.
	start() (Job, error)
	// outputs are where the command's standard output and error go, at once.
	outputs() (stdout, stderr io.Writer)
	// finish hands over how the job ended, and all that it wrote.
	finish(outcome) error
}

// An outcome is how a job ended, as process 1 tells it.
type outcome struct {
	Status  int    `json:"status"`
	Virtual int64  `json:"virtual_ns"`
	Error   string `json:"error,omitempty"` // why it was not run
}

// RunGuest must be called first in main of every program that starts machines.
// In a machine's process 1 it does that work and does not return; anywhere
// else it does nothing.
func RunGuest() {
	if os.Getpid() != 1 || len(os.Args) < 3 || os.Args[1] != guestArg {
		return
	}
	var g guest
	switch os.Args[2] {
	case UMLName:
		g = &umlGuest{}
	case QEMUName:
		g = newQEMUGuest()
	default:
		return
	}
	if err := runGuest(g); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", guestArg, err)
	}
	// Whatever happens: process 1 must not end.
	for {
		_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
		time.Sleep(time.Hour)
	}
}

func runGuest(g guest) error {
	job, err := g.start()
	if err != nil {
		return fmt.Errorf("set the machine up: %w", err)
	}
	time.Sleep(job.phase())
	began := time.Now()
	var o outcome
	if o.Status, err = job.run(g.outputs()); err != nil {
		o.Error = err.Error()
	}
	o.Virtual = int64(time.Since(began))
	if err := g.finish(o); err != nil {
		return fmt.Errorf("hand over the result: %w", err)
	}
	return nil
}

// run runs the command, and when it has ended, ends whatever it left. What all
// of them wrote has been handed over when it returns.
func (j Job) run(stdout, stderr io.Writer) (status int, err error) {
	in, err := os.Open(os.DevNull)
	if j.Input != "" {
		in, err = os.Open(j.Input)
	}
	if err != nil {
		return 0, fmt.Errorf("open standard input: %w", err)
	}
	defer in.Close()
	if err := setUp("lo"); err != nil {
		return 0, fmt.Errorf("set lo up: %w", err)
	}
	var copying sync.WaitGroup
	pipe := func(to io.Writer) (*os.File, error) {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		copying.Go(func() {
			defer r.Close()
			// A writer that cannot be served must not wait for ever.
			if _, err := io.Copy(to, r); err != nil {
				_, _ = io.Copy(io.Discard, r)
			}
		})
		return w, nil
	}
	out, err1 := pipe(stdout)
	errs, err2 := pipe(stderr)
	if err := errors.Join(err1, err2); err != nil {
		return 0, fmt.Errorf("make pipes: %w", err)
	}
	c := &exec.Cmd{
		Path: j.Argv[0], Args: j.Argv, Env: j.Env, Dir: j.Dir, Stdin: in, Stdout: out, Stderr: errs,
	}
	err = c.Start()
	out.Close()
	errs.Close()
	if err == nil {
		status = reap(c.Process.Pid)
	}
	_ = unix.Kill(-1, unix.SIGKILL) // ESRCH if there is none
	reap(-1)
	copying.Wait()
	return status, err
}

// reap collects whatever ends, as process 1 must, until the process has ended,
// or for -1 all have.
func reap(until int) (status int) {
	for {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(-1, &ws, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return status // none is left
		case pid != until:
		case ws.Signaled():
			return 128 + int(ws.Signal())
		default:
			return ws.ExitStatus()
		}
	}
}

// setUp sets an interface up.
func setUp(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req)
}

// A mount is one that a machine makes.
type mount struct {
	source, target, kind string
	flags                uintptr
	data                 string
}

func (m mount) do() error {
	if err := unix.Mount(m.source, m.target, m.kind, m.flags, m.data); err != nil {
		return fmt.Errorf("mount %s on %s: %w", m.kind, m.target, err)
	}
	return nil
}

// kernelMounts are the file systems that the kernel makes up, below a root.
func kernelMounts(root string) []mount {
	return []mount{
		{"proc", root + "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"sysfs", root + "/sys", "sysfs", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"devtmpfs", root + "/dev", "devtmpfs", unix.MS_NOSUID, ""},
		{"devpts", root + "/dev/pts", "devpts", unix.MS_NOSUID | unix.MS_NOEXEC, "ptmxmode=0666"},
		{"tmpfs", root + "/dev/shm", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777"},
	}
}

// mountKernel mounts them, and makes the links in /dev that programs expect.
func mountKernel(root string) error {
	for _, m := range kernelMounts(root) {
		if err := os.MkdirAll(m.target, 0o755); err != nil {
			return err
		}
		if err := m.do(); err != nil {
			return err
		}
	}
	for name, to := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx",
	} {
		if err := os.Symlink(to, root+"/dev/"+name); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

func readJob(b []byte) (j Job, err error) {
	if err := json.Unmarshal(b, &j); err != nil {
		return j, fmt.Errorf("read job: %w", err)
	}
	return j, nil
}
