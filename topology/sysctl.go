package topology

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// sysctlPath accepts both spellings of a sysctl, with dots and with slashes.
func sysctlPath(key string) string {
	if !strings.Contains(key, "/") {
		key = strings.ReplaceAll(key, ".", "/")
	}
	return "/proc/sys/" + key
}

// Sysctls reads some of the namespace's sysctls, given with dots
// (net.ipv4.tcp_retries2) or as paths below /proc/sys.
func (n *Namespace) Sysctls(keys []string) (map[string]string, error) {
	values := make(map[string]string, len(keys))
	err := n.Do(func() error {
		for _, key := range keys {
			value, err := readSysctl(key)
			if err != nil {
				return fmt.Errorf("read sysctl %s: %w", key, err)
			}
			values[key] = value
		}
		return nil
	})
	return values, err
}

// SetSysctls sets them in the order of their names.
func (n *Namespace) SetSysctls(values map[string]string) error {
	return n.Do(func() error {
		for _, k := range slices.Sorted(maps.Keys(values)) {
			if err := writeSysctl(k, values[k]); err != nil {
				return &SysctlError{Key: k, Value: values[k], Err: err}
			}
		}
		return nil
	})
}

// maxSysctl is how long a value may be: the longest are lists of names.
const maxSysctl = 4096

// readSysctl reads without an os.File, as writeSysctl writes: that would be made
// ready for polling, which takes twice as many system calls, for dozens of them.
func readSysctl(key string) (string, error) {
	path := sysctlPath(key)
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var b [maxSysctl]byte
	n, err := unix.Read(fd, b[:])
	if err != nil {
		return "", &os.PathError{Op: "read", Path: path, Err: err}
	}
	return strings.TrimSpace(string(b[:n])), nil
}

func writeSysctl(key, value string) error {
	path := sysctlPath(key)
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_TRUNC|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte(value)); err != nil {
		return &os.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}
