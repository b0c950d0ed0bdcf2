package main

import (
	"runtime/debug"

	"github.com/seed-6fefc909/tcplab/lab/observe"
)

// A run is short and its heap small, but the observers must keep up.
const heapGrowth = 400 // percent

// machineHeap is how far the heap grows in a virtual-time machine before
// garbage is collected, in octets: a part of what the machine has.
const machineHeap = 128 << 20

// collectSeldom makes the runtime collect garbage no more often than it must.
// It does so every two minutes, too, unless it is told to look at the heap's
// size alone: in a virtual-time machine two minutes are nothing.
func collectSeldom() {
	if observe.VirtualTime() {
		debug.SetMemoryLimit(machineHeap)
		debug.SetGCPercent(-1)
		return
	}
	debug.SetGCPercent(heapGrowth)
}
