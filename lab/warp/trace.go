package warp

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// CheckTrace tells whether this process may trace its children by ptrace, by
// tracing one: User-Mode Linux runs its programs so.
func CheckTrace() error {
	program, err := exec.LookPath("true")
	if err != nil {
		return fmt.Errorf("find a program to trace: %w", err)
	}
	runtime.LockOSThread() // who starts it is who traces it
	defer runtime.UnlockOSThread()
	cmd := exec.Command(program)
	cmd.SysProcAttr = &unix.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return &LackError{
			"ptrace is forbidden here",
			"sysctl kernel.yama.ptrace_scope must be less than 3, and a container's seccomp profile must allow it",
		}
	} else if err != nil {
		return fmt.Errorf("trace a child: %w", err)
	}
	// It stopped as it was executed, and is let go.
	var status unix.WaitStatus
	if _, err := unix.Wait4(cmd.Process.Pid, &status, 0, nil); err != nil {
		return fmt.Errorf("trace a child: %w", err)
	}
	err = unix.PtraceDetach(cmd.Process.Pid)
	return errors.Join(err, cmd.Wait())
}
