package warp

import (
	"errors"
	"fmt"
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

// kernelCache is where kernels are kept: lab/warp in XDG_CACHE_HOME or ~/.cache.
// Under sudo it is that of the user who called it, whatever sudo has left in
// HOME. It need not be there.
func kernelCache() (string, error) {
	cache := os.Getenv("XDG_CACHE_HOME")
	if !filepath.IsAbs(cache) { // which the XDG specification has ignored
		home := os.Getenv("HOME")
		if u, err := sudoer(); err != nil {
			return "", fmt.Errorf("find the cache of kernels: %w", err)
		} else if u != nil {
			home = u.HomeDir
		}
		if !filepath.IsAbs(home) {
			return "", errors.New("find the cache of kernels: neither HOME nor XDG_CACHE_HOME is set")
		}
		cache = filepath.Join(home, ".cache")
	}
	return filepath.Join(cache, "lab", "warp"), nil
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
