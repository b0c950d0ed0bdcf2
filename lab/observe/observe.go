// Package observe watches a run: the wire, the sockets, the system calls and
// the processes of each host. Every observer turns what it sees into
// record.Event on one clock and hands it to a Sink; none changes what it
// watches.
package observe

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/internal/virtualtime"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/topology"
)

// A Sink takes an observer's events. It may be called from several goroutines
// and must not block for long. Events come in the order in which an observer
// learnt of them, which is not the order of their times.
type Sink func(record.Event)

// A Host is what an observer has to know of a host.
type Host struct {
	Name  string
	Boot  int
	Net   *topology.Namespace
	PIDNS uint32 // inode of its PID namespace
	Iface string // the interface on the path, for the wire
	// Frames keeps what passes Iface, beside the events; nil: only these.
	Frames *Frames
	// Text: what its programs print, and what is typed into them at a terminal,
	// is told by a Tracing, if the Tracer was opened for it.
	Text bool
	// Idle: it is so most of the time, for days. Its tap has less room, which
	// takes less memory.
	Idle bool
}

// A Clock turns the kernel's time stamps into nanoseconds since the run began.
type Clock struct {
	origin int64 // CLOCK_MONOTONIC when the run began
	offset int64 // CLOCK_REALTIME - CLOCK_MONOTONIC
}

// NewClock starts a run's clock.
func NewClock() (Clock, error) {
	offset, mono, err := realtimeOffset()
	if err != nil {
		return Clock{}, err
	}
	return Clock{origin: mono, offset: offset}, nil
}

// Now is the time since the run began.
func (c Clock) Now() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(fmt.Sprintf("read CLOCK_MONOTONIC: %v", err)) // cannot fail on Linux
	}
	return ts.Nano() - c.origin
}

// Monotonic converts a CLOCK_MONOTONIC time (bpf_ktime_get_ns).
func (c Clock) Monotonic(ns int64) int64 { return ns - c.origin }

// Realtime converts a CLOCK_REALTIME time (a packet's time stamp).
func (c Clock) Realtime(ns int64) int64 { return ns - c.offset - c.origin }

// Start is the CLOCK_REALTIME at which the run began.
func (c Clock) Start() int64 { return c.origin + c.offset }

// Step is how far CLOCK_REALTIME was set forward or back since the run began,
// in nanoseconds. Anything above a few microseconds means that packets and
// other events cannot be ordered against each other.
func (c Clock) Step() (int64, error) {
	offset, _, err := realtimeOffset()
	return offset - c.offset, err
}

// HZ is the kernel's number of timer ticks (jiffies) a second: the grain of
// TCP's timers, and the unit of icsk_rto. The coarse clocks advance with the
// tick, and their resolution says so.
func HZ() int {
	var res unix.Timespec
	if err := unix.ClockGetres(unix.CLOCK_MONOTONIC_COARSE, &res); err != nil || res.Nano() <= 0 {
		panic(fmt.Sprintf("read resolution of CLOCK_MONOTONIC_COARSE: %v", err)) // cannot fail on Linux
	}
	return int(int64(1e9) / res.Nano())
}

// realtimeOffset samples CLOCK_REALTIME between two readings of
// CLOCK_MONOTONIC and keeps the tightest of 50 samples: two such readings at
// the two ends of a run differ by some nanoseconds. Where time is virtual nothing
// comes between the readings.
func realtimeOffset() (offset, mono int64, err error) {
	best := int64(1) << 62
	samples := 50
	if virtualtime.On() {
		samples = 1
	}
	for range samples {
		var a, r, b unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &a); err != nil {
			return 0, 0, fmt.Errorf("read CLOCK_MONOTONIC: %w", err)
		}
		if err := unix.ClockGettime(unix.CLOCK_REALTIME, &r); err != nil {
			return 0, 0, fmt.Errorf("read CLOCK_REALTIME: %w", err)
		}
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &b); err != nil {
			return 0, 0, fmt.Errorf("read CLOCK_MONOTONIC: %w", err)
		}
		if width := b.Nano() - a.Nano(); width < best {
			best = width
			mono = a.Nano() + width/2
			offset = r.Nano() - mono
		}
	}
	return offset, mono, nil
}
