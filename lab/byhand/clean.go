package byhand

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/topology"
)

// Clean removes what labs and runs left that did not end in good order, of
// whichever version. Labs that are up and runs that go on stay. tell is told of
// each thing that was removed.
func (d Dir) Clean(tell func(what string)) error {
	return errors.Join(d.cleanFiles(tell), cleanOrphans(tell), lab.CleanScratch(tell))
}

// cleanFiles removes the files of labs whose supervisors are gone.
func (d Dir) cleanFiles(tell func(string)) error {
	if _, err := os.Stat(string(d)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	all, err := d.names()
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range all {
		// Whoever does not answer is waited for without the lock, which all labs need.
		if pid, err := d.holder(name); err != nil || pid != 0 {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, d.locked(func() error { return d.cleanName(name, tell) }))
	}
	return errors.Join(errs...)
}

// cleanName removes a lab's files if its supervisor is gone. It needs the lock.
func (d Dir) cleanName(name string, tell func(string)) error {
	if pid, err := d.holder(name); err != nil || pid != 0 {
		return err
	}
	if said, err := os.ReadFile(d.log(name)); err == nil && len(said) > 0 {
		tell(fmt.Sprintf("the supervisor of %s had said:\n%s", called(name), strings.TrimRight(string(said), "\n")))
	}
	removed, err := d.remove(name)
	if len(removed) > 0 {
		tell(fmt.Sprintf("removed %s of %s, whose supervisor is gone", strings.Join(removed, ", "), called(name)))
	}
	return err
}

// orphanTimeout is how long an init that has lost its maker may take to end by
// itself: it destroys its host's sockets, which would hold the namespace.
const orphanTimeout = 5 * time.Second

// cleanOrphans ends the hosts whose maker is gone, and which stay.
func cleanOrphans(tell func(string)) error {
	orphans, err := holdAll(topology.Orphans)
	if err != nil {
		return err
	}
	var errs []error
	deadline := time.Now().Add(orphanTimeout)
	for _, o := range orphans {
		if !ends(o.fd, time.Until(deadline)) {
			if err := unix.PidfdSendSignal(o.fd, unix.SIGKILL, nil, 0); err != nil {
				errs = append(errs, fmt.Errorf("end orphaned init %d: %w", o.pid, err))
			} else {
				tell(fmt.Sprintf("ended process %d, the init of a host whose maker is gone", o.pid))
			}
		}
		unix.Close(o.fd)
	}
	return errors.Join(errs...)
}

// A held is a process by a descriptor, which is of no other that is given the same id.
type held struct{ pid, fd int }

// holdAll holds the processes that list lists, for the caller to close. It asks twice:
// what a descriptor was opened for may be another by then than was listed.
func holdAll(list func() ([]int, error)) ([]held, error) {
	pids, err := list()
	if err != nil {
		return nil, err
	}
	var all []held
	for _, pid := range pids {
		if fd, err := unix.PidfdOpen(pid, 0); err == nil { // or it has ended
			all = append(all, held{pid, fd})
		}
	}
	pids, err = list()
	all = slices.DeleteFunc(all, func(h held) bool {
		other := !slices.Contains(pids, h.pid)
		if other {
			unix.Close(h.fd)
		}
		return other
	})
	return all, err
}

// ends waits for the end of the process of a pidfd.
func ends(pidfd int, timeout time.Duration) bool {
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	for deadline := time.Now().Add(timeout); ; {
		n, err := unix.Poll(fds, max(0, int(time.Until(deadline).Milliseconds())))
		if err != unix.EINTR {
			return err == nil && n > 0
		}
	}
}
