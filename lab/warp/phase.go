package warp

import (
	"math/rand/v2"
	"time"
)

// phases is the grain of the kernel's timer wheel for timers of hours, at 250
// ticks a second: LVL_GRAN(5) of kernel/time/timer.c is 8^5 jiffies. That of
// all shorter timers divides it.
const phases = 32768 * 4 * time.Millisecond

// phase is how long the machine waits before the job, for no two moments of the
// wheel are alike: a timer of two minutes expires up to 2 s late, as it begins
// sooner or later in one of its slots. Like all chance there it is the seed's.
func (j Job) phase() time.Duration {
	return time.Duration(rand.New(rand.NewPCG(j.Seed, 0)).Int64N(int64(phases)))
}
