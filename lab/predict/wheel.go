package predict

import (
	"math/bits"
	"time"
)

// Time inside the simulation is an absolute count of jiffies. Only a
// difference of two of them means anything.
type jiffies int64

// The geometry of kernel/time/timer.c: 64 buckets a level, each level eight
// times coarser than the one below.
const (
	levelClockShift = 3  // LVL_CLK_SHIFT
	levelSize       = 64 // LVL_SIZE
	lastLevel       = 8  // LVL_DEPTH - 1 where HZ > 100
)

// levelStart is LVL_START: the first delta that no longer fits in the levels
// below.
func levelStart(level int) jiffies {
	return (levelSize - 1) << ((level - 1) * levelClockShift)
}

// granularity is LVL_GRAN of the level that a timer of this delta goes to.
func granularity(delta jiffies) jiffies {
	level := 0
	for level < lastLevel && delta >= levelStart(level+1) {
		level++
	}
	return 1 << (level * levelClockShift)
}

// fires says at which tick a timer armed at now for now+delta runs:
// calc_index rounds the expiry up to the bucket after it, so a timer is late
// by one jiffy at the finest level and by up to an eighth of its delta higher
// up, never early.
func fires(now, delta jiffies) jiffies {
	if delta < 0 {
		delta = 0
	}
	gran := granularity(delta)
	return ((now+delta)/gran + 1) * gran
}

// clock converts between jiffies and time for one HZ.
type clock struct{ hz int64 }

func (c clock) duration(j jiffies) time.Duration {
	hz := jiffies(c.hz)
	whole, rest := j/hz, j%hz
	return time.Duration(whole)*time.Second + time.Duration(rest)*time.Second/time.Duration(hz)
}

// ceil is usecs_to_jiffies and msecs_to_jiffies: both round up.
func (c clock) ceil(d time.Duration) jiffies {
	if d <= 0 {
		return 0
	}
	whole, rest := d/time.Second, d%time.Second
	return jiffies(whole)*jiffies(c.hz) + jiffies((rest*time.Duration(c.hz)+time.Second-1)/time.Second)
}

// floor counts the ticks that surely pass within d.
func (c clock) floor(d time.Duration) jiffies {
	if d <= 0 {
		return 0
	}
	whole, rest := d/time.Second, d%time.Second
	return jiffies(whole)*jiffies(c.hz) + jiffies(rest*time.Duration(c.hz)/time.Second)
}

// ilog2 is the kernel's: the position of the highest bit set.
func ilog2(n jiffies) int { return bits.Len64(uint64(n)) - 1 }
