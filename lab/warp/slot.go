package warp

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A slot is the right to run a machine, on one CPU: a machine is one thread of
// computing, which several processes pass between them, and moving it between
// CPUs makes it slower many times over. There are as many as CPUs, for all of a
// user's machines, so that any number may be asked for at once.
type slot struct {
	cpu  int
	lock *os.File
}

var nextSlot atomic.Uint32

// takeSlot waits for one. ctx ends the wait.
func takeSlot(ctx context.Context) (*slot, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("ask for this process's CPUs: %w", err)
	}
	var cpus []int
	for cpu := 0; len(cpus) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	dir, err := cacheDir("slots")
	if err != nil {
		return nil, err
	}
	name := func(cpu int) string { return filepath.Join(dir, fmt.Sprintf("cpu%d", cpu)) }
	for _, cpu := range cpus {
		if l, err := lock(name(cpu), unix.LOCK_EX|unix.LOCK_NB); err == nil {
			return &slot{cpu, l}, nil
		}
	}
	// All are taken: in line for one of them, in turn, as nothing waits for the
	// first of several locks.
	cpu := cpus[(os.Getpid()+int(nextSlot.Add(1)))%len(cpus)]
	l, err := lockWhenFree(ctx, name(cpu), unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	return &slot{cpu, l}, nil
}

func (s *slot) free() { s.lock.Close() }
