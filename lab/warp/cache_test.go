package warp

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
)

// What root makes in the cache under sudo is the user's who called it: that
// user's machines need it next.
func TestCacheIsTheCallers(t *testing.T) {
	testenv.NeedRoot(t)
	const caller = 65534 // nobody
	cache := t.TempDir()
	t.Setenv("SUDO_UID", "65534")
	t.Setenv("XDG_CACHE_HOME", cache)
	dir, err := newWorkDir()
	if err != nil {
		t.Fatal(err)
	}
	s, err := takeSlot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	parent, err := cacheDir(QEMUName)
	if err != nil {
		t.Fatal(err)
	}
	e := &entry{dir: filepath.Join(parent, "key")}
	if err := e.open(t.Context(), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	err = errors.Join(e.make(stateFile, func(*os.File) error { return nil }), dir.close())
	e.close()
	s.free()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	err = filepath.WalkDir(cache, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == cache {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		seen++
		if st := info.Sys().(*syscall.Stat_t); st.Uid != caller || st.Gid != caller {
			t.Errorf("%s is of %d:%d", path, st.Uid, st.Gid)
		}
		return nil
	})
	if err != nil || seen < 9 { // lab, warp, run, its lock, slots, one of them, qemu, its entry with two files
		t.Errorf("%d files, %v", seen, err)
	}
}
