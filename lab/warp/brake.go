package warp

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A brake holds a machine while what it wrote is not taken: it could write
// gigabytes meanwhile, to a disk that is not its own. Its time stands still
// then.
type brake struct {
	machine machine

	mu    sync.Mutex
	holds int
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
	switch b.holds += n; {
	case n > 0 && b.holds == 1:
		b.machine.signal(unix.SIGSTOP)
	case b.holds == 0:
		b.machine.signal(unix.SIGCONT)
	}
}
