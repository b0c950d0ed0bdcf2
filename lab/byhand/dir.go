package byhand

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Dir is the directory with the files of the labs that are up: NAME.sock, on
// which a lab's supervisor listens; NAME.log, what it and the hosts' inits had
// to complain of; NAME.netns, the names that it gave to iproute2, a path a line.
type Dir string

// RunDir is the machine's.
const RunDir Dir = "/run/lab"

const (
	socketSuffix = ".sock"
	logSuffix    = ".log"
	namesSuffix  = ".netns"
)

func (d Dir) socket(name string) string { return filepath.Join(string(d), name+socketSuffix) }
func (d Dir) log(name string) string    { return filepath.Join(string(d), name+logSuffix) }
func (d Dir) netns(name string) string  { return filepath.Join(string(d), name+namesSuffix) }

// make makes the directory: this user's, and nobody else's to look into.
func (d Dir) make() error {
	err := os.Mkdir(string(d), 0o700)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	var st unix.Stat_t
	if err := unix.Lstat(string(d), &st); err != nil {
		return fmt.Errorf("look at %s: %w", d, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || st.Mode&0o077 != 0 || int(st.Uid) != os.Geteuid() {
		return &Error{fmt.Sprintf("%s is not a directory of this user's alone (mode 0700)", d), "see whose it is, and remove it", Cannot}
	}
	return nil
}

// locked runs f while no other process changes what is in the directory.
func (d Dir) locked(f func() error) error {
	dir, err := os.Open(string(d))
	if err != nil {
		return err
	}
	defer dir.Close()
	for {
		err := unix.Flock(int(dir.Fd()), unix.LOCK_EX)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("lock %s: %w", d, err)
		}
	}
	return f()
}

// names lists those of which there is any file, in their order.
func (d Dir) names() ([]string, error) {
	entries, err := os.ReadDir(string(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []string
	for _, e := range entries {
		for _, suffix := range []string{socketSuffix, logSuffix, namesSuffix} {
			if name, ok := strings.CutSuffix(e.Name(), suffix); ok && names.MatchString(name) {
				all = append(all, name)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// ErrDown is of a lab that is not up.
var ErrDown = errors.New("is not up")

// dial reaches a lab's supervisor. The error wraps ErrDown if there is none.
func (d Dir) dial(name string) (*conn, error) {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: d.socket(name), Net: "unix"})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED) {
		return nil, fmt.Errorf("%s %w", called(name), ErrDown)
	}
	if err != nil {
		return nil, fmt.Errorf("reach %s: %w", called(name), err)
	}
	return newConn(c)
}

// holder is the process id of a lab's supervisor, 0 if it is gone. One that is
// just being ended still takes who calls, and then hangs up: it is waited for.
func (d Dir) holder(name string) (pid int, err error) {
	for deadline := time.Now().Add(patience); ; {
		c, err := d.dial(name)
		if errors.Is(err, ErrDown) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		pid, answers := int(c.peer.Pid), c.answers(deadline)
		c.close()
		if answers || time.Now().After(deadline) {
			return pid, nil
		}
	}
}

// answers tells whether the other end does not hang up when it is asked
// something. One that says nothing until the deadline does not.
func (c *conn) answers(deadline time.Time) bool {
	err := c.c.SetDeadline(deadline)
	if err == nil {
		err = c.send(request{Version: Version, Op: opStatus})
	}
	if err == nil {
		err = c.fill()
	}
	return err == nil || errors.Is(err, os.ErrDeadlineExceeded)
}

// vacant tells why a name cannot be had: a lab has it.
func (d Dir) vacant(name string) error {
	pid, err := d.holder(name)
	if err == nil && pid != 0 {
		err = usage(fmt.Errorf("%s is up already (process %d)", called(name), pid), "take another --name, or "+Command(name, "down"))
	}
	return err
}

// listen takes a name: what a supervisor that died left of it is replaced.
func (d Dir) listen(name string) (l *net.UnixListener, err error) {
	if err := d.make(); err != nil {
		return nil, err
	}
	// Whoever does not answer is waited for without the lock, which all labs need.
	if err := d.vacant(name); err != nil {
		return nil, err
	}
	err = d.locked(func() error {
		if err := d.vacant(name); err != nil {
			return err
		}
		if _, err := d.remove(name); err != nil {
			return err
		}
		if l, err = net.ListenUnix("unix", &net.UnixAddr{Name: d.socket(name), Net: "unix"}); err != nil {
			return err
		}
		l.SetUnlinkOnClose(false) // it may be another's by then
		return os.Chmod(d.socket(name), 0o700)
	})
	return l, err
}

// remove takes away the files of a lab whose supervisor is gone, and the names
// that it gave. It tells what it removed. It needs the lock.
func (d Dir) remove(name string) (removed []string, err error) {
	links, err := os.ReadFile(d.netns(name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var files []string
	dir := false
	for _, link := range strings.Fields(string(links)) {
		dir = dir || link == namesDir
		// Only a name: it may be a file of somebody else's by now.
		if info, err := os.Lstat(link); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			files = append(files, link)
		}
	}
	var errs []error
	for _, file := range append(files, d.netns(name), d.log(name), d.socket(name)) {
		err := os.Remove(file)
		switch {
		case err == nil:
			removed = append(removed, file)
		case !errors.Is(err, fs.ErrNotExist):
			errs = append(errs, err)
		}
	}
	if dir && os.Remove(namesDir) == nil { // it stays while others have names there
		removed = append(removed, namesDir)
	}
	return removed, errors.Join(errs...)
}

// release gives a name up, with all that belongs to it.
func (d Dir) release(name string) error {
	return d.locked(func() error {
		_, err := d.remove(name)
		return err
	})
}
