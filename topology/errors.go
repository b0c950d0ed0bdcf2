package topology

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// ErrDown is of a host that crashed, or whose init ended.
var ErrDown = errors.New("host is down")

// A MissingFeature is something that this kernel was built or loaded without.
type MissingFeature struct {
	Feature string
	Err     error
}

func (e *MissingFeature) Error() string {
	return fmt.Sprintf("%v: this kernel seems to have no %s", e.Err, e.Feature)
}

func (e *MissingFeature) Unwrap() error { return e.Err }

// missingFeature makes err a MissingFeature if it is one of the errors that
// the kernel gives then.
func missingFeature(feature string, err error, says ...unix.Errno) error {
	for _, errno := range says {
		if errors.Is(err, errno) {
			return &MissingFeature{feature, err}
		}
	}
	return err
}

// A CleanupError says what could not be removed.
type CleanupError struct{ Err error }

func (e *CleanupError) Error() string { return "clean up: " + e.Err.Error() }
func (e *CleanupError) Unwrap() error { return e.Err }

// A SysctlError is a sysctl that could not be set: this kernel has none of
// that name, or does not take the value.
type SysctlError struct {
	Key, Value string
	Err        error
}

func (e *SysctlError) Error() string {
	return fmt.Sprintf("set sysctl %s=%s: %v", e.Key, e.Value, e.Cause())
}

// Cause is Err without the path in a *fs.PathError, which says nothing more
// than Key.
func (e *SysctlError) Cause() error {
	if path, ok := errors.AsType[*fs.PathError](e.Err); ok {
		return path.Err
	}
	return e.Err
}

func (e *SysctlError) Unwrap() error { return e.Err }
