package warp

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// sudoer is the user who called sudo, nil if this process is not root's or
// root did not come by sudo.
func sudoer() (*user.User, error) {
	uid := os.Getenv("SUDO_UID")
	if uid == "" || uid == "0" || os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.LookupId(uid)
	if err != nil {
		return nil, fmt.Errorf("look up who called sudo: %w", err)
	}
	return u, nil
}

// cachePath is where lab keeps kernels, and what machines need while they run:
// lab/warp in XDG_CACHE_HOME or ~/.cache. Under sudo it is that of the user who
// called it, whatever sudo has left in HOME. It need not be there.
func cachePath() (string, error) {
	cache := os.Getenv("XDG_CACHE_HOME")
	if !filepath.IsAbs(cache) { // which the XDG specification has ignored
		home := os.Getenv("HOME")
		if u, err := sudoer(); err != nil {
			return "", fmt.Errorf("find the cache: %w", err)
		} else if u != nil {
			home = u.HomeDir
		}
		if !filepath.IsAbs(home) {
			return "", errors.New("find the cache: neither HOME nor XDG_CACHE_HOME is set")
		}
		cache = filepath.Join(home, ".cache")
	}
	return filepath.Join(cache, "lab", "warp"), nil
}

// cacheDir is a directory in the cache, made if it is not there.
func cacheDir(name string) (string, error) {
	cache, err := cachePath()
	if err != nil {
		return "", lackOfRoom(err)
	}
	dir := filepath.Join(cache, name)
	if err := makeDir(dir); err != nil {
		return "", lackOfRoom(fmt.Errorf("make the cache directory: %w", err))
	}
	return dir, nil
}

// makeDir makes a directory of the cache, and those above it, where they are
// not there.
func makeDir(dir string) error {
	var missing []string
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = append(missing, d)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, d := range missing {
		if err := giveToCaller(d); err != nil {
			return err
		}
	}
	return nil
}

// giveToCaller makes what root made in the cache, under sudo, the user's whose
// cache it is. Who has called BecomeCaller needs none of it; a test that runs as
// root has not.
func giveToCaller(path string) error {
	u, err := sudoer()
	if err != nil || u == nil {
		return err
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	return errors.Join(err1, err2, os.Lchown(path, uid, gid))
}

// lackOfRoom is the error where the cache cannot be written to.
func lackOfRoom(err error) error {
	return &LackError{err.Error(), "machines keep what they need while they run below XDG_CACHE_HOME, or ~/.cache: name another directory there"}
}

// BecomeCaller has this process, under sudo, be the user's who called it, for
// good: what it makes from then on is that user's.
func BecomeCaller() error {
	u, err := sudoer()
	if err != nil || u == nil {
		return err
	}
	ids, err := u.GroupIds()
	if err != nil {
		return fmt.Errorf("look up the groups of %s: %w", u.Username, err)
	}
	// The user's and the group's numbers, then the groups'.
	var numbers []int
	for _, id := range append([]string{u.Uid, u.Gid}, ids...) {
		n, err := strconv.Atoi(id)
		if err != nil {
			return fmt.Errorf("become %s: %w", u.Username, err)
		}
		numbers = append(numbers, n)
	}
	if err := errors.Join(unix.Setgroups(numbers[2:]), unix.Setgid(numbers[1]), unix.Setuid(numbers[0]), os.Setenv("HOME", u.HomeDir)); err != nil {
		return fmt.Errorf("become %s: %w", u.Username, err)
	}
	return nil
}
