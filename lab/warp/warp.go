// Package warp runs commands in a virtual-time machine: a small Linux with a
// clock that jumps to the next timer whenever nothing is left to compute. What
// waits fifteen minutes there takes a fraction of a second here, on the
// kernel's own TCP.
//
// A machine is a process of its caller's, needs no privileges, sees the
// caller's file system without being able to change it, and has no network
// but its own. The program that starts one is its process 1 too: its main
// must call RunGuest first.
package warp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// An Engine makes machines of one kind.
type Engine interface {
	// Name is "uml" or "qemu".
	Name() string
	// Kernel is the file of the kernel that its machines run.
	Kernel() string
	// Run boots a machine, runs the job in it, and takes it down. What it
	// returns is whole only if the error is nil; an error is a *LimitError, a
	// *MachineError, ctx's, or what kept the machine from being started.
	Run(ctx context.Context, j Job) (*Result, error)
}

// A Job is a command for a machine.
type Job struct {
	// Argv is the program, by its absolute path, and its arguments.
	Argv []string
	// Programs are what else must be there, by absolute paths, in a machine
	// that does not see the caller's files: programs that the command starts,
	// files and directories that it reads.
	Programs []string
	// Env is its environment, Dir its working directory.
	Env []string
	Dir string
	// Input is the file that is its standard input, "" for /dev/null.
	Input string
	// Out are directories that the command can write to, at the same path and
	// for good. What it writes elsewhere is gone with the machine.
	Out []string
	// Seed is what the machine's random numbers follow from: ports, sequence
	// numbers, hash keys, and when in the turn of the kernel's timer wheel the
	// job begins. The same job with the same seed goes the same way.
	Seed uint64
	// Limit is how long the machine may take by the caller's clock, 0 for
	// DefaultLimit.
	Limit time.Duration
	// Memory is how much the machine has, in MiB, 0 for DefaultMemory. What
	// is not used is not taken.
	Memory int
	// Stdout and Stderr get what the command writes, while it runs; nil for
	// nobody. Each is called from one goroutine, and not after Run.
	Stdout, Stderr io.Writer `json:"-"`
}

const (
	// DefaultLimit is for jobs that do not say how long they may take.
	DefaultLimit = 60 * time.Second
	// DefaultMemory is that of a machine, in MiB.
	DefaultMemory = 512
)

// A Result says how a job ended.
type Result struct {
	// Status is the command's exit status, 128 and the signal's number if a
	// signal ended it.
	Status int
	// Virtual is how long it took by the machine's clock, Wall by the
	// caller's, the machine's start and end included.
	Virtual, Wall time.Duration
}

// A LimitError says that a job took too long by the caller's clock.
type LimitError struct {
	Limit time.Duration
	// Program is what the machine was computing then, "" if that is not known.
	Program string
	PID     int // in the machine
	// Waiting names the machine's processes if all of them waited, and Virtual
	// is how long, by its clock; they are empty if that is not known.
	Waiting string
	Virtual time.Duration
	Hint    string
}

func (e *LimitError) Error() string {
	s := fmt.Sprintf("the machine has not ended after %v", e.Limit)
	switch {
	case e.Program != "":
		return s + ": " + guestProcess{e.PID, e.Program}.String() + " was still computing"
	case e.Waiting != "":
		return s + fmt.Sprintf(", %v by its own clock, and its processes still wait: %s", e.Virtual.Round(time.Second), e.Waiting)
	}
	return s
}

// A MachineError says that a machine broke down.
type MachineError struct {
	Engine string
	What   string
	Log    []string // the last lines of its console
}

func (e *MachineError) Error() string {
	s := fmt.Sprintf("the %s machine broke down: %s", e.Engine, e.What)
	for _, line := range e.Log {
		s += "\n  | " + line
	}
	return s
}

// ErrNoEngine is wrapped where an engine lacks something on this machine.
var ErrNoEngine = errors.New("no virtual-time machine")

// A LackError says what this machine lacks for an engine or its kernel to be
// had, and how to get it. It is an ErrNoEngine.
type LackError struct{ What, Hint string }

func (e *LackError) Error() string { return e.What }

// Is makes it one.
func (e *LackError) Is(target error) bool { return target == ErrNoEngine }
