package topology

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrDirectory is in the error of a program whose working directory could not
// be entered, beside the cause; without it the same cause is the program's own.
var ErrDirectory = errors.New("enter working directory")

// start answers a request for a program: its streams and its arguments came
// along.
func (h *hostInit) start(m initMessage) {
	h.mu.Lock()
	defer h.mu.Unlock()
	answer := initMessage{Op: opStarted, ID: m.ID}
	var err error
	// A process group of its own: a program that signals its group must not hit
	// another.
	if answer.PID, err = execute(m, &syscall.SysProcAttr{Setpgid: true}); err != nil {
		answer = initMessage{Op: opStarted, ID: m.ID}.failed(err)
	}
	h.tell(answer)
}

// execute forks and executes what a request says, as whom it says.
func execute(m initMessage, sys *syscall.SysProcAttr) (pid int, err error) {
	if len(m.fds) != 4 {
		return 0, fmt.Errorf("%d descriptors came, not four", len(m.fds))
	}
	a, err := unpackArguments(m.fds[3], m.Argc)
	if err != nil {
		return 0, err
	}
	attr := &syscall.ProcAttr{
		Dir: a.dir, Env: a.env,
		Files: []uintptr{uintptr(m.fds[0]), uintptr(m.fds[1]), uintptr(m.fds[2])},
		Sys:   sys,
	}
	if c := m.Credential; c != nil {
		attr.Sys.Credential = &syscall.Credential{Uid: c.UID, Gid: c.GID, Groups: c.Groups}
	}
	pid, err = syscall.ForkExec(a.path, a.argv, attr)
	if err != nil {
		return 0, whichStep(a, attr, err)
	}
	return pid, nil
}

// whichStep says which of a child's system calls it was that failed, which
// ForkExec does not tell: it is done again, up to a certain one. That fails in a
// way of its own, for no path may be as long as this.
func whichStep(a arguments, attr *syscall.ProcAttr, err error) error {
	tooLong := strings.Repeat("x", unix.PathMax)
	works := func(dir string) bool {
		upTo := *attr
		upTo.Dir = dir
		_, err := syscall.ForkExec(tooLong, nil, &upTo)
		return errors.Is(err, unix.ENAMETOOLONG)
	}
	switch {
	case !works(""):
		return fmt.Errorf("take on user and groups: %w", err)
	case len(a.dir) >= unix.PathMax || !works(a.dir):
		return fmt.Errorf("%w %s: %w", ErrDirectory, a.dir, err)
	case errors.Is(err, unix.ENOENT) && exists(a.path):
		return fmt.Errorf("execute %s: its interpreter: %w", a.path, err)
	default:
		return fmt.Errorf("execute %s: %w", a.path, err)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
