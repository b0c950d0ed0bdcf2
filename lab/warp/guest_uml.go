package warp

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A umlGuest sees the host's file system through hostfs: as its root, which it
// cannot change, and once more the directories that it may write to.
type umlGuest struct {
	dir string // the machine's own, on the host
	job Job
	// stdout and stderr are files there.
	stdout, stderr *os.File
}

// umlDir is the machine's directory, as long as the root is the host's: there
// /proc is the host's too, and self the process that is the machine.
const umlDir = "/proc/self/cwd"

// workMount is where the machine's directory is seen inside.
const workMount = "/run/lab-machine"

func (g *umlGuest) start() (Job, error) {
	var err error
	if g.dir, err = os.Readlink(umlDir); err != nil {
		return g.job, err
	}
	job, err := os.ReadFile(filepath.Join(g.dir, jobFile))
	if err != nil {
		return g.job, err
	}
	if g.job, err = readJob(job); err != nil {
		return g.job, err
	}
	if err := checkReadOnly(); err != nil {
		return g.job, err
	}
	// Programs may believe that they write: it stays in the machine's memory.
	const stage = "/proc" // any directory that every system has
	if err := (mount{"tmpfs", stage, "tmpfs", 0, "mode=755"}).do(); err != nil {
		return g.job, err
	}
	for _, d := range []string{"upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(stage, d), 0o755); err != nil {
			return g.job, err
		}
	}
	root := stage + "/root"
	mounts := []mount{
		{"overlay", root, "overlay", 0, "lowerdir=/,upperdir=" + stage + "/upper,workdir=" + stage + "/work"},
		{"tmpfs", root + "/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=755"},
	}
	for _, m := range mounts {
		if err := m.do(); err != nil {
			return g.job, err
		}
	}
	if err := mountKernel(root); err != nil {
		return g.job, err
	}
	if err := unix.Chdir(root); err != nil {
		return g.job, err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return g.job, fmt.Errorf("make %s the root: %w", root, err)
	}
	if err := unix.Chroot("."); err != nil {
		return g.job, err
	}
	if err := mountHost(workFD, workMount); err != nil {
		return g.job, err
	}
	for i, dir := range g.job.Out {
		if err := mountHost(outFD+i, dir); err != nil {
			return g.job, err
		}
	}
	for name, f := range map[string]**os.File{stdoutFile: &g.stdout, stderrFile: &g.stderr} {
		if *f, err = os.OpenFile(filepath.Join(workMount, name), os.O_WRONLY|os.O_APPEND, 0); err != nil {
			return g.job, err
		}
	}
	return g.job, unix.Sethostname([]byte("lab"))
}

// mountHost makes what a descriptor of the kernel's is open on a directory that
// can be written to.
func mountHost(fd int, at string) error {
	if err := os.MkdirAll(at, 0o755); err != nil {
		return err
	}
	return mount{"none", at, "hostfs", 0, hostFD(fd)}.do()
}

// checkReadOnly wants a kernel that does not let anybody write to the host's
// files: being root here must not be enough.
func checkReadOnly() error {
	if err := unix.Mount("", "/", "", unix.MS_REMOUNT, ""); !errors.Is(err, unix.EROFS) {
		return errors.New("this kernel would let programs change the host's files: lab warp setup builds one that does not")
	}
	return nil
}

func (g *umlGuest) outputs() (stdout, stderr io.Writer) {
	return &hostFile{g.stdout}, &hostFile{g.stderr}
}

// A hostFile is one on hostfs, whose reader is on the host and waits for what
// is written.
type hostFile struct{ f *os.File }

// Write has the kernel hand the pages over at once: by itself it would when
// half a minute has passed, and fsync would have the host write to its disk.
func (h *hostFile) Write(p []byte) (int, error) {
	n, err := h.f.Write(p)
	if err != nil {
		return n, err
	}
	return n, unix.SyncFileRange(int(h.f.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WAIT_BEFORE|unix.SYNC_FILE_RANGE_WRITE|unix.SYNC_FILE_RANGE_WAIT_AFTER)
}

// finish writes all back before the result: where that is, all is.
func (g *umlGuest) finish(o outcome) error {
	unix.Sync()
	b, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(workMount, outcomeFile), b, 0o600); err != nil {
		return err
	}
	unix.Sync()
	return nil
}
