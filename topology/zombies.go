package topology

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
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
	select {
	case <-p.reaped:
		return nil
	case <-time.After(reapTimeout):
	}
	errs := []error{fmt.Errorf("process %d, the init of %s, has not ended", p.pid, p.host)}
	proc, err := os.OpenRoot("/proc")
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	defer proc.Close()
	names, err := readNames(proc, ".")
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	inside, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", p.pid))
	if err != nil {
		return nil // it was reaped just now
	}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == p.pid {
			continue
		}
		if ns, err := os.Readlink("/proc/" + name + "/ns/pid"); err != nil || ns != inside {
			continue
		}
		if child, err := readProcess(proc, pid); err == nil {
			parent, _ := readProcess(proc, child.Parent) // of none that can be seen no name
			errs = append(errs, fmt.Errorf("process %d, %s, does not wait for its child %d, %s, which has ended: let it go on, or kill it",
				child.Parent, parent.Comm, pid, child.Comm))
		}
	}
	return errors.Join(errs...)
}
