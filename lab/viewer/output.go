package viewer

import (
	"io"
	"strings"
	"sync"
	"sync/atomic"
)

// An output hands on what a program prints.
type output struct {
	to     io.Writer
	moved  chan struct{} // gets something whenever there was some
	busy   atomic.Bool   // it is being taken
	failed atomic.Bool   // it was not taken
}

func (o *output) Write(p []byte) (int, error) {
	o.busy.Store(true)
	n, err := o.to.Write(p)
	if err != nil {
		o.failed.Store(true)
	}
	o.busy.Store(false)
	select {
	case o.moved <- struct{}{}:
	default:
	}
	return n, err
}

// wordsLimit is how much is kept of what a program complains of, in octets.
const wordsLimit = 1 << 10

// A tail keeps the last octets that were written.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	t.kept = t.kept[max(0, len(t.kept)-wordsLimit):]
	return len(p), nil
}

// String is the last line, but for what tshark says to root each time.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := ""
	for line := range strings.Lines(string(t.kept)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, `Running as user "root"`) {
			last = line
		}
	}
	return last
}
