package warp

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A JobError says what of a job cannot be, whatever the machine.
type JobError struct {
	What string
	Err  error
	Hint string
}

func (e *JobError) Error() string {
	if e.Err == nil {
		return e.What
	}
	return e.What + ": " + e.Err.Error()
}

func (e *JobError) Unwrap() error { return e.Err }

const (
	// MinMemory is the least that a kernel and this program run in, in MiB.
	MinMemory = 64
	// MaxMemory bounds what is asked for by mistake: the kernel's tables of its
	// memory are made before anything else, a sixtieth of it.
	MaxMemory = 64 << 10
)

// check finds what of a job cannot be before anything is started for it. The
// error is a *JobError.
func (j Job) check() error {
	if len(j.Argv) == 0 || !filepath.IsAbs(j.Argv[0]) {
		return &JobError{What: "a machine's command needs an absolute path"}
	}
	if m := j.memory(); m < MinMemory || m > MaxMemory {
		return &JobError{What: fmt.Sprintf("a machine of %d MiB", m), Hint: fmt.Sprintf("it can have from %d to %d MiB", MinMemory, MaxMemory)}
	}
	if j.Limit < 0 {
		return &JobError{What: fmt.Sprintf("a machine for %v", j.Limit)}
	}
	if j.Dir != "" {
		if err := unix.Access(j.Dir, unix.X_OK); err != nil {
			return &JobError{What: "work in " + j.Dir, Err: err, Hint: "change to a directory that you may enter"}
		}
	}
	if err := checkInput(j.Input); err != nil {
		return &JobError{What: "read standard input from " + j.Input, Err: err}
	}
	if n := len(topmost(j.Out)); n > maxOut {
		return &JobError{What: fmt.Sprintf("let the command write to %d directories", n), Hint: fmt.Sprintf("there can be %d", maxOut)}
	}
	for _, dir := range j.Out {
		if err := checkOut(dir); err != nil {
			return &JobError{What: "let the command write to " + dir, Err: err, Hint: "it must be a directory that you may write to"}
		}
	}
	return nil
}

// checkInput wants a file that is read to its end: the machine stands still
// while it waits for another's.
func checkInput(path string) error {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return reason(err)
	}
	if !info.Mode().IsRegular() && path != os.DevNull {
		return errors.New("it is not a file")
	}
	return unix.Access(path, unix.R_OK)
}

func checkOut(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return reason(err)
	}
	root, err := os.Stat("/")
	if err != nil {
		return reason(err)
	}
	switch {
	case !info.IsDir():
		return unix.ENOTDIR
	case os.SameFile(info, root):
		return errors.New("that would be everything")
	}
	return unix.Access(path, unix.R_OK|unix.W_OK|unix.X_OK)
}

// reason is an error without the path, which is named already.
func reason(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
