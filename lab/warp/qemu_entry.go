package warp

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// The files of a cache's entry: the image, and if the machine was saved its
// memory and the state of everything else. A file that has its name is whole.
const (
	initrdFile = "initrd"
	memoryFile = "memory"
	stateFile  = "state"
)

// An entry is what the user's cache has for machines of one key. Whoever has
// it open holds a lock that keeps it from being removed.
type entry struct {
	dir    string
	memory int // MiB
	lock   *os.File
}

func (e *entry) path(name string) string { return filepath.Join(e.dir, name) }

func (e *entry) has(name string) bool {
	_, err := os.Stat(e.path(name))
	return err == nil
}

func (e *entry) close() { e.lock.Close() }

// prepare finds the entry for the job, and makes what it lacks. Others that
// need the same wait for it.
func (q *QEMU) prepare(ctx context.Context, m *image, j Job, cpu int) (_ *entry, err error) {
	key, err := q.key(m, j)
	if err != nil {
		return nil, err
	}
	parent, err := cacheDir(QEMUName)
	if err != nil {
		return nil, err
	}
	e := &entry{dir: filepath.Join(parent, key), memory: imageMemory(m, j)}
	ready := func() bool { return e.has(initrdFile) && (q.cold || e.has(stateFile)) }
	if err := e.open(ctx, unix.LOCK_SH); err != nil {
		return nil, err
	}
	if ready() {
		return e, nil
	}
	e.close()
	if err := e.open(ctx, unix.LOCK_EX); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			e.close()
		}
	}()
	if !ready() {
		if err := e.make(initrdFile, func(f *os.File) error {
			w := bufio.NewWriter(f)
			return errors.Join(q.writeInitrd(w, m), w.Flush())
		}); err != nil {
			return nil, fmt.Errorf("make the machine's files: %w", err)
		}
		if !q.cold {
			if err := q.save(ctx, e, cpu); err != nil {
				return nil, fmt.Errorf("boot the machine that is to be copied: %w", err)
			}
		}
		if err := prune(parent); err != nil {
			return nil, err
		}
	}
	// From here on it is only read.
	return e, unix.Flock(int(e.lock.Fd()), unix.LOCK_SH)
}

// open takes the lock of the entry, whose directory is made if it is not there.
// ctx ends the wait for it.
func (e *entry) open(ctx context.Context, how int) error {
	for {
		if err := os.MkdirAll(e.dir, 0o700); err != nil {
			return fmt.Errorf("make the machine's cache: %w", err)
		}
		l, err := lockWhenFree(ctx, e.path(lockFile), how)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was removed just now
		}
		if err != nil {
			return err
		}
		// It may have been removed while the lock was waited for.
		held, err1 := l.Stat()
		there, err2 := os.Stat(e.path(lockFile))
		if err1 == nil && err2 == nil && os.SameFile(held, there) {
			e.lock = l
			now := time.Now()
			return os.Chtimes(e.path(lockFile), now, now)
		}
		l.Close()
	}
}

// make makes a file that has its name when it is whole. Nobody else may have
// the entry open.
func (e *entry) make(name string, write func(*os.File) error) (err error) {
	left, err := filepath.Glob(e.path(name) + "-*") // by a process that was killed
	if err != nil {
		return err
	}
	for _, old := range left {
		if err := os.Remove(old); err != nil {
			return err
		}
	}
	f, err := os.CreateTemp(e.dir, name+"-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if err := errors.Join(write(f), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), e.path(name))
}

// entriesKept is how many machines the cache keeps, the last used ones. One
// takes about 200 MB.
const entriesKept = 6

// prune removes the others, but for what is in use.
func prune(parent string) error {
	locks, err := filepath.Glob(filepath.Join(parent, "*", lockFile))
	if err != nil {
		return err
	}
	type used struct {
		lock string
		last time.Time
	}
	var all []used
	for _, name := range locks {
		if info, err := os.Stat(name); err == nil {
			all = append(all, used{name, info.ModTime()})
		}
	}
	slices.SortFunc(all, func(a, b used) int { return cmp.Compare(b.last.UnixNano(), a.last.UnixNano()) })
	for _, one := range all[min(entriesKept, len(all)):] {
		l, err := lock(one.lock, unix.LOCK_EX|unix.LOCK_NB)
		if err != nil {
			continue
		}
		err = removeEntry(filepath.Dir(one.lock))
		l.Close()
		if err != nil {
			return fmt.Errorf("remove an old machine: %w", err)
		}
	}
	return nil
}

// removeEntry removes an entry whose lock is held: at once for whoever comes,
// who then makes another.
func removeEntry(dir string) error {
	old := dir + ".removed"
	if err := os.Rename(dir, old); err != nil {
		return err
	}
	return os.RemoveAll(old)
}
