package warp

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A brake holds a machine while what it wrote is not taken: it could write
// gigabytes meanwhile, to a disk that is not its own. Its time stands still
// then, and so does the time that it is given.
type brake struct {
	machine machine
	limit   time.Duration
	late    *time.Timer // fires when the machine has had its limit

	mu    sync.Mutex
	holds int
	off   bool
	// left is what was left of the time when the machine was let go, at since.
	left  time.Duration
	since time.Time
}

// newBrake is for a machine that has just been started.
func newBrake(m machine, limit time.Duration) *brake {
	return &brake{machine: m, limit: limit, late: time.NewTimer(limit), left: limit, since: time.Now()}
}

// slow is how long a writer may take before the machine is held.
const slow = 100 * time.Millisecond

// during does what may take long.
func (b *brake) during(do func() error) error {
	held := make(chan struct{})
	hold := time.AfterFunc(slow, func() { b.hold(1); close(held) })
	err := do()
	if !hold.Stop() {
		<-held
		b.hold(-1)
	}
	return err
}

func (b *brake) hold(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.holds += n
	switch {
	case b.off:
	case n > 0 && b.holds == 1:
		b.machine.signal(unix.SIGSTOP)
		b.late.Stop()
		b.left -= time.Since(b.since)
	case b.holds == 0:
		b.since = time.Now()
		b.late.Reset(b.left)
		b.machine.signal(unix.SIGCONT)
	}
}

// release lets the machine go for good: it is to say why it takes so long, and
// to end.
func (b *brake) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.off = true
	b.late.Stop()
	b.machine.signal(unix.SIGCONT)
}
