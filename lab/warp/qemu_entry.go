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

// The files of a cache's entry: the image, and the saved machine's memory and
// the state of everything else, which is made last. A file that has its name is
// whole.
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
// need the same wait for it. That of a cold machine is its own directory.
func (q *QEMU) prepare(ctx context.Context, m *image, j Job, dir *workDir, cpu int) (*entry, error) {
	if q.cold {
		e := &entry{dir: dir.path, memory: imageMemory(m, j)}
		return e, q.pack(m, e)
	}
	key, err := q.key(m, j)
	if err != nil {
		return nil, err
	}
	parent, err := cacheDir(QEMUName)
	if err != nil {
		return nil, err
	}
	e := &entry{dir: filepath.Join(parent, key), memory: imageMemory(m, j)}
	for {
		if err := e.open(ctx, unix.LOCK_SH); err != nil {
			return nil, err
		}
		if e.has(stateFile) {
			return e, nil
		}
		e.close()
		// No lock is held on the way to the other one and back: others may have
		// made it or removed it meanwhile.
		if err := q.fill(ctx, m, e, cpu); err != nil {
			return nil, err
		}
	}
}

// fill makes what the entry lacks.
func (q *QEMU) fill(ctx context.Context, m *image, e *entry, cpu int) error {
	if err := e.open(ctx, unix.LOCK_EX); err != nil {
		return err
	}
	defer e.close()
	if e.has(stateFile) {
		return nil
	}
	if err := q.pack(m, e); err != nil {
		return err
	}
	if err := q.save(ctx, e, cpu); err != nil {
		return fmt.Errorf("boot the machine that is to be copied: %w", err)
	}
	return prune(filepath.Dir(e.dir))
}

// pack writes the image.
func (q *QEMU) pack(m *image, e *entry) error {
	err := e.make(initrdFile, func(f *os.File) error {
		w := bufio.NewWriter(f)
		return errors.Join(q.writeInitrd(w, m), w.Flush())
	})
	if err != nil {
		return fmt.Errorf("make the machine's files: %w", err)
	}
	return nil
}

// open takes the lock of the entry, whose directory is made if it is not there.
// ctx ends the wait for it.
func (e *entry) open(ctx context.Context, how int) error {
	for {
		if err := makeDir(e.dir); err != nil {
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
	if err := errors.Join(write(f), f.Close(), giveToCaller(f.Name())); err != nil {
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
