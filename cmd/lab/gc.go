package main

import (
	"runtime/debug"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/internal/virtualtime"
)

// A run is short and its heap small, but the observers must keep up.
const heapGrowth = 400 // percent

// machineShare is what part of a virtual-time machine's memory the heap grows to
// before garbage is collected.
const machineShare = 4

// collectSeldom makes the runtime collect garbage no more often than it must.
// It does so every two minutes, too, unless it is told to look at the heap's
// size alone: in a virtual-time machine two minutes are nothing.
func collectSeldom() {
	if virtualtime.On() {
		var info unix.Sysinfo_t
		if unix.Sysinfo(&info) == nil { // it cannot fail with a valid buffer
			debug.SetMemoryLimit(int64(info.Totalram) * int64(info.Unit) / machineShare)
			debug.SetGCPercent(-1)
			return
		}
	}
	debug.SetGCPercent(heapGrowth)
}
