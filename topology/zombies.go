package topology

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// reapTimeout is how long a process outside may take to wait for its child that
// ended with a host.
const reapTimeout = time.Second

func (p *initProcess) isReaped() bool {
	select {
	case <-p.reaped:
		return true
	default:
		return false
	}
}

// awaitReaped waits for the end of an init that was killed. The error names those
// who keep it by not waiting for their children.
func (p *initProcess) awaitReaped() error {
	if p.isReapedWithin(look) {
		return nil
	}
	zombies, err := p.zombies()
	for _, z := range zombies {
		letEntrantGoOn(z.Parent)
	}
	if p.isReapedWithin(reapTimeout) {
		return nil
	}
	errs := []error{fmt.Errorf("process %d, the init of %s, has not ended", p.pid, p.host), err}
	for _, z := range zombies {
		parent, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", z.Parent)) // of none that can be seen no name
		errs = append(errs, fmt.Errorf("process %d, %s, does not wait for its child %d, %s, which has ended: let it go on, or kill it",
			z.Parent, bytes.TrimSpace(parent), z.PID, z.Comm))
	}
	return errors.Join(errs...)
}

func (p *initProcess) isReapedWithin(d time.Duration) bool {
	select {
	case <-p.reaped:
		return true
	case <-time.After(d):
		return false
	}
}

// zombies are those that an init which was killed waits for: children of processes
// outside.
func (p *initProcess) zombies() (zombies []ProcessInfo, err error) {
	proc, err := os.OpenRoot("/proc")
	if err != nil {
		return nil, err
	}
	defer proc.Close()
	names, err := readNames(proc, ".")
	if err != nil {
		return nil, err
	}
	inside, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", p.pid))
	if err != nil {
		return nil, nil // it was reaped just now
	}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == p.pid {
			continue
		}
		if ns, err := os.Readlink("/proc/" + name + "/ns/pid"); err != nil || ns != inside {
			continue
		}
		if z, err := readProcess(proc, pid); err == nil {
			zombies = append(zombies, z)
		}
	}
	return zombies, nil
}

// letEntrantGoOn continues a process that entered a host, and was stopped before it
// could reap its usher. One of another program is left alone.
func letEntrantGoOn(pid int) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	own, err := os.Stat(Self)
	if err != nil {
		return
	}
	if exe, err := os.Stat(fmt.Sprintf("/proc/%d/exe", pid)); err == nil && os.SameFile(own, exe) {
		_ = unix.PidfdSendSignal(fd, unix.SIGCONT, nil, 0) // or it has ended
	}
}
