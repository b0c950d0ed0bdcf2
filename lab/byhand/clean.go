package byhand

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

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
	return d.locked(func() error {
		all, err := d.names()
		if err != nil {
			return err
		}
		var errs []error
		for _, name := range all {
			c, err := d.dial(name)
			if err == nil {
				c.close()
				continue
			}
			if !errors.Is(err, ErrDown) {
				errs = append(errs, err)
				continue
			}
			if said, err := os.ReadFile(d.log(name)); err == nil && len(said) > 0 {
				tell(fmt.Sprintf("the supervisor of %s had said:\n%s", called(name), strings.TrimRight(string(said), "\n")))
			}
			removed, err := d.remove(name)
			if len(removed) > 0 {
				tell(fmt.Sprintf("removed %s of %s, whose supervisor is gone", strings.Join(removed, ", "), called(name)))
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
}

// cleanOrphans ends the hosts whose maker is gone.
func cleanOrphans(tell func(string)) error {
	orphans, err := topology.Orphans()
	if err != nil {
		return err
	}
	var errs []error
	for _, pid := range orphans {
		err := unix.Kill(pid, unix.SIGKILL)
		switch {
		case err == nil:
			tell(fmt.Sprintf("ended process %d, the init of a host whose maker is gone", pid))
		case !errors.Is(err, unix.ESRCH):
			errs = append(errs, fmt.Errorf("end orphaned init %d: %w", pid, err))
		}
	}
	return errors.Join(errs...)
}
