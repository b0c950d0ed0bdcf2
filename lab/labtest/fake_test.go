package labtest_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/seed-6fefc909/tcplab/lab/labtest"
)

// Those whom the interface is for have it.
var _, _, _ labtest.TB = (*testing.T)(nil), (*testing.B)(nil), (*testing.F)(nil)

// A fakeT is a test that notes what it is told, and can fail.
type fakeT struct {
	name string

	mu       sync.Mutex
	logged   []string
	errors   []string // fatal ones too
	skipped  string
	cleanups []func()
}

func (*fakeT) Helper()            {}
func (f *fakeT) Name() string     { return f.name }
func (f *fakeT) Cleanup(c func()) { f.cleanups = append(f.cleanups, c) }

func (f *fakeT) Failed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.errors) > 0
}

func (f *fakeT) note(list *[]string, format string, args []any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*list = append(*list, fmt.Sprintf(format, args...))
}

func (f *fakeT) Logf(format string, args ...any)   { f.note(&f.logged, format, args) }
func (f *fakeT) Errorf(format string, args ...any) { f.note(&f.errors, format, args) }

func (f *fakeT) Fatalf(format string, args ...any) {
	f.note(&f.errors, format, args)
	runtime.Goexit()
}

func (f *fakeT) Skipf(format string, args ...any) {
	f.skipped = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// fake runs a test that is not the real one, with its clean-up.
func fake(t *testing.T, test func(f *fakeT)) *fakeT {
	f := &fakeT{name: t.Name()}
	run := func(part func()) {
		ended := make(chan struct{})
		go func() { defer close(ended); part() }()
		<-ended
	}
	run(func() { test(f) })
	for len(f.cleanups) > 0 {
		last := f.cleanups[len(f.cleanups)-1]
		f.cleanups = f.cleanups[:len(f.cleanups)-1]
		run(last)
	}
	return f
}

// failed tells what the fake test failed with, and what it logged.
func (f *fakeT) failed() (errors, log string) {
	return strings.Join(f.errors, "\n"), strings.Join(f.logged, "\n")
}
