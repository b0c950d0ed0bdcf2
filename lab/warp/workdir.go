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

// The files of a machine's directory.
const (
	jobFile     = "job.json"
	outcomeFile = "outcome.json"
	stdoutFile  = "stdout"
	stderrFile  = "stderr"
	resultFile  = "result.tar"
	lockFile    = "lock"
	initFile    = "init" // a link to this program
)

// A workDir is a running machine's directory. Its lock is held for as long as
// the machine's caller lives, and tells whether it is still somebody's.
type workDir struct {
	path string
	lock *os.File
}

// newWorkDir makes one below the user's cache, and takes away those whose
// callers were killed.
func newWorkDir() (*workDir, error) {
	parent, err := cacheDir("run")
	if err != nil {
		return nil, err
	}
	others, err := lockDirs(parent)
	if err != nil {
		return nil, lackOfRoom(err)
	}
	defer others.Close()
	if err := sweep(parent); err != nil {
		return nil, err
	}
	path, err := os.MkdirTemp(parent, "machine-")
	if err != nil {
		return nil, lackOfRoom(fmt.Errorf("make the machine's directory: %w", err))
	}
	w := &workDir{path: path}
	if w.lock, err = lock(filepath.Join(path, lockFile), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(err, os.RemoveAll(path))
	}
	return w, nil
}

// TempDir makes a directory for what comes out of machines, where theirs are.
// If this process is killed before it removes it, who starts a machine next
// does.
func TempDir() (path string, remove func() error, err error) {
	w, err := newWorkDir()
	if err != nil {
		return "", nil, err
	}
	return w.path, w.close, nil
}

func (w *workDir) close() error {
	others, err := lockDirs(filepath.Dir(w.path))
	if err != nil {
		return errors.Join(err, w.lock.Close())
	}
	defer others.Close()
	return errors.Join(os.RemoveAll(w.path), w.lock.Close())
}

// lockDirs keeps others from making and removing directories: those in the
// making have no lock yet, those that are removed have none any more.
func lockDirs(parent string) (*os.File, error) { return lock(parent+".lock", unix.LOCK_EX) }

// sweep removes the directories that nobody holds.
func sweep(parent string) error {
	dirs, err := filepath.Glob(filepath.Join(parent, "machine-*"))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		l, err := lock(filepath.Join(dir, lockFile), unix.LOCK_EX|unix.LOCK_NB)
		if err != nil {
			continue // it is held, or has just gone
		}
		err = os.RemoveAll(dir)
		l.Close()
		if err != nil {
			return fmt.Errorf("remove what a killed machine left: %w", err)
		}
	}
	return nil
}

// give writes the job, and makes the files for what the command writes.
func (w *workDir) give(j Job) error {
	b, err := json.Marshal(j)
	if err != nil {
		return fmt.Errorf("write job: %w", err)
	}
	for name, content := range map[string][]byte{jobFile: b, stdoutFile: nil, stderrFile: nil} {
		if err := os.WriteFile(filepath.Join(w.path, name), content, 0o600); err != nil {
			return lackOfRoom(fmt.Errorf("write job: %w", err))
		}
	}
	return nil
}

// outcome reads how the job ended. The error is io.EOF if that was not told.
func (w *workDir) outcome() (o outcome, err error) {
	// A program in the machine could have put a fifo or a link in its place.
	f, err := os.OpenFile(filepath.Join(w.path, outcomeFile), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return o, io.EOF
	}
	if err == nil {
		defer f.Close()
		err = json.NewDecoder(f).Decode(&o)
	}
	if err != nil && err != io.EOF {
		return o, fmt.Errorf("read the machine's result: %w", err)
	}
	return o, err
}

// result takes over what the machine handed over as one file. The error is
// io.EOF if that is not whole.
func (w *workDir) result(out []string) (o outcome, err error) {
	f, err := os.Open(filepath.Join(w.path, resultFile))
	if errors.Is(err, os.ErrNotExist) {
		return o, io.EOF
	}
	if err != nil {
		return o, err
	}
	defer f.Close()
	return readResult(f, out)
}
