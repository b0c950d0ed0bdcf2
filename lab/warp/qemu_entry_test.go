package warp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The entries that were used last are kept, and those that are in use.
func TestPruneKeepsWhatIsUsed(t *testing.T) {
	parent := t.TempDir()
	entries := make([]*entry, entriesKept+3)
	for i := range entries {
		e := &entry{dir: filepath.Join(parent, fmt.Sprint(i))}
		if err := e.open(t.Context(), unix.LOCK_SH); err != nil {
			t.Fatal(err)
		}
		defer e.close()
		if i != 1 {
			e.close()
		}
		used := time.Now().Add(time.Duration(i-len(entries)) * time.Hour)
		if err := os.Chtimes(e.path(lockFile), used, used); err != nil {
			t.Fatal(err)
		}
		entries[i] = e
	}
	if err := prune(parent); err != nil {
		t.Fatal(err)
	}
	for i, e := range entries {
		if kept, want := e.has(lockFile), i == 1 || i >= 3; kept != want {
			t.Errorf("entry %d of %d is there: %v, want %v", i, len(entries), kept, want)
		}
	}
}

// Half a file never has its name, and does not stay.
func TestEntryHasWholeFilesOnly(t *testing.T) {
	e := &entry{dir: t.TempDir()}
	write(t, e.path("memory-of-a-killed-process"), []byte("half"), 0o600)
	bad := errors.New("bad")
	err := e.make(memoryFile, func(f *os.File) error {
		if _, err := f.WriteString("half"); err != nil {
			return err
		}
		return bad
	})
	if files, _ := os.ReadDir(e.dir); !errors.Is(err, bad) || len(files) > 0 {
		t.Errorf("after %v there is %v", err, files)
	}
	if err := e.make(memoryFile, func(f *os.File) error { _, err := f.WriteString("whole"); return err }); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(e.path(memoryFile)); string(got) != "whole" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// Who waits for an entry gets the one that is there, not one that was removed,
// and can give up.
func TestEntryIsWaitedFor(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "key")
	first := &entry{dir: dir}
	if err := first.open(t.Context(), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (&entry{dir: dir}).open(ctx, unix.LOCK_SH); !errors.Is(err, context.Canceled) {
		t.Errorf("it was given up, with %v", err)
	}
	second := &entry{dir: dir}
	opened := make(chan error)
	go func() { opened <- second.open(t.Context(), unix.LOCK_SH) }()
	if err := removeEntry(dir); err != nil {
		t.Fatal(err)
	}
	first.close()
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
	defer second.close()
	if _, err := os.Stat(second.path(lockFile)); errors.Is(err, fs.ErrNotExist) {
		t.Error("the entry that was opened is one that was removed")
	}
}
