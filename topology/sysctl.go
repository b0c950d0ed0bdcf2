package topology

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// A SysctlError is a sysctl that could not be set: this kernel has none of
// that name, or does not take the value.
type SysctlError struct {
	Key, Value string
	Err        error
}

func (e *SysctlError) Error() string {
	// The path in the way of a *fs.PathError says nothing more than Key.
	cause := e.Err
	if path, ok := errors.AsType[*fs.PathError](cause); ok {
		cause = path.Err
	}
	return fmt.Sprintf("set sysctl %s=%s: %v", e.Key, e.Value, cause)
}

func (e *SysctlError) Unwrap() error { return e.Err }

// sysctlPath accepts both spellings of a sysctl, with dots and with slashes.
func sysctlPath(key string) string {
	if !strings.Contains(key, "/") {
		key = strings.ReplaceAll(key, ".", "/")
	}
	return "/proc/sys/" + key
}
