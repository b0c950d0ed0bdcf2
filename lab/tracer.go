package lab

import (
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/seed-6fefc909/tcplab/lab/observe"
	"github.com/seed-6fefc909/tcplab/lab/record"
)

// A Tracer is the eBPF programs that watch the hosts of any number of runs at
// once, those that have it in their Options. To load them takes longer than
// all else that a run sets up, and the kernel runs each loaded copy at every
// event. The first run loads them; the last who closes unloads them, of the
// runs and of the one who made the Tracer.
type Tracer struct {
	mu      sync.Mutex // guards what follows, while they are loaded too
	users   int
	tried   bool
	text    bool // loaded with what Hand.Text needs
	tracer  *observe.Tracer
	missing []record.Missing
	err     error
}

// NewTracer loads nothing yet. Close is to be called once, when no more runs
// will be started with it.
func NewTracer() *Tracer { return &Tracer{users: 1} }

// Close gives up a share. Runs that have begun go on.
func (t *Tracer) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.users--; t.users > 0 || t.tracer == nil {
		return nil
	}
	tracer := t.tracer
	t.tracer = nil
	if err := tracer.Close(); err != nil {
		return fmt.Errorf("unload eBPF programs: %w", err)
	}
	return nil
}

// watch makes the caller a user, unless it fails. What could not be loaded once
// is not tried again, nor is more loaded for text than the first user wanted.
func (t *Tracer) watch(clock observe.Clock, sink observe.Sink, text bool) (*observe.Tracing, []record.Missing, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.users <= 0 {
		return nil, nil, fmt.Errorf("share eBPF programs: %w", os.ErrClosed)
	}
	if !t.tried {
		t.tried, t.text = true, text
		t.tracer, t.missing, t.err = observe.OpenTracer(text)
	}
	if t.err != nil {
		return nil, nil, t.err
	}
	tracing, err := t.tracer.Watch(clock, sink)
	if err != nil {
		return nil, nil, err
	}
	t.users++
	if text && !t.text {
		return tracing, append(slices.Clip(t.missing), record.Missing{
			Observer: ObserveEBPF + ":text", Why: "another run loaded the programs without it",
			Cost: "what programs print, and what is typed into them, is not told",
		}), nil
	}
	return tracing, t.missing, nil
}
