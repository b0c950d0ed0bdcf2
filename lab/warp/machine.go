package warp

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"time"
)

// A machine runs a job, or has run it.
type machine interface {
	// ended is closed when it has ended.
	ended() <-chan struct{}
	// overdue ends it, having it say why it takes so long; ctx cuts that short.
	overdue(ctx context.Context) *LimitError
	// outcome is how the job ended. The error is io.EOF if that was not told.
	outcome() (outcome, error)
	// breakdown says why it was not.
	breakdown() *MachineError
	// signal sends one to its process.
	signal(os.Signal)
	// kill ends it at once.
	kill()
	// close ends it, and gives up what is held for it.
	close()
}

// perform is the Run of each engine. Start starts the machine, with the
// directory for what it is given and gives, on a CPU.
func perform(ctx context.Context, j Job, p Place, start func(dir *workDir, cpu int) (machine, error)) (_ *Result, err error) {
	began := time.Now()
	dir, err := newWorkDir()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, dir.close()) }()
	if err := dir.give(j.tell(p)); err != nil {
		return nil, err
	}
	s, err := takeSlot(ctx)
	if err != nil {
		return nil, err
	}
	defer s.free()
	m, err := start(dir, s.cpu)
	if err != nil {
		return nil, err
	}
	defer m.close()
	var tails []*tail
	defer func() {
		for _, t := range tails {
			t.close()
		}
	}()
	b := newBrake(m, j.limit())
	defer b.release()
	// What nobody takes any more need not be made.
	ctx, lost := context.WithCancelCause(ctx)
	defer lost(nil)
	for name, to := range map[string]io.Writer{stdoutFile: j.Stdout, stderrFile: j.Stderr} {
		t, err := newTail(dir, name, to, b, lost)
		if err != nil {
			return nil, err
		}
		tails = append(tails, t)
	}
	if err := await(ctx, m, b); err != nil {
		return nil, err
	}
	o, err := m.outcome()
	if errors.Is(err, io.EOF) {
		return nil, m.breakdown()
	}
	if err != nil {
		return nil, err
	}
	handed := tails
	tails = nil
	for _, t := range handed {
		if err := t.close(); err != nil {
			return nil, err
		}
	}
	if o.Error != "" {
		return nil, &JobError{What: "run " + j.Argv[0] + " in the machine", Err: errors.New(o.Error)}
	}
	return &Result{Status: o.Status, Virtual: time.Duration(o.Virtual), Wall: time.Since(began)}, nil
}

// await waits for a machine's end. When it has had its time, or ctx ends, it is
// ended.
func await(ctx context.Context, m machine, b *brake) error {
	select {
	case <-m.ended():
		return nil
	case <-ctx.Done():
		m.kill()
		return context.Cause(ctx)
	case <-b.late.C:
	}
	b.release()
	late := m.overdue(ctx)
	late.Limit = b.limit
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return late
}

// askLimit is how long a machine may take to say what it is computing.
const askLimit = 2 * time.Second

// consoleLines is how many lines of its console tell of a machine's end.
const consoleLines = 15

// breakdown tells of a machine's end what its kernel and its process 1 said.
func (p *process) breakdown(engine string) *MachineError {
	e := &MachineError{engine, "it ended without a result", p.console.tail(consoleLines)}
	if p.err != nil {
		e.What = p.err.Error()
	}
	for _, line := range p.console.tail(100) {
		if _, what, ok := strings.Cut(line, "Kernel panic - not syncing: "); ok {
			e.What = "its kernel panicked: " + what
			break
		}
		if what, ok := strings.CutPrefix(line, guestArg+": "); ok {
			e.What = what
		}
	}
	return e
}

func (j Job) limit() time.Duration {
	if j.Limit != 0 {
		return j.Limit
	}
	return DefaultLimit
}

func (j Job) memory() int {
	if j.Memory != 0 {
		return j.Memory
	}
	return DefaultMemory
}
