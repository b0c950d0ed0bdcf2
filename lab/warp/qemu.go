package warp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// QEMUName is the name of the engine for kernels of distributions.
const QEMUName = "qemu"

// A QEMU is the engine that runs an untouched kernel of a distribution in
// QEMU's own processor, which counts instructions: each takes a nanosecond of
// the machine's time. So what computes takes time there, and what spins ends.
//
// The machine's files are an image of this program, the command, Job.Programs
// and what these need, in memory. By default it is booted once, saved below
// the user's cache, and each run goes on from a copy: the seed decides what is
// random from there on. A cold one boots each time, which takes seconds: two
// runs of a seed are equal to the nanosecond then.
type QEMU struct {
	qemu            string // the program
	version         string
	kernel, modules string
	init            string // this program
	cold            bool
	wanted          Wanted
}

// NewQEMU takes a kernel (bzImage or vmlinux) and the directory of its modules,
// as /lib/modules/RELEASE; "" is the one beside it that FetchKernel made, or the
// system's own by the kernel's name. The error wraps ErrNoEngine if something
// is not there.
func NewQEMU(kernel, modules string, cold bool) (*QEMU, error) {
	init, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	if modules == "" {
		modules = filepath.Join(filepath.Dir(kernel), modulesName)
		if _, release, ok := strings.Cut(filepath.Base(kernel), "vmlinuz-"); ok {
			modules = filepath.Join("/lib/modules", release)
		}
	}
	qemu, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		return nil, &LackError{"there is no qemu-system-x86_64 here", getQEMU}
	}
	version, err := exec.Command(qemu, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("%w: ask %s for its version: %w", ErrNoEngine, qemu, err)
	}
	for _, path := range []string{kernel, modules} {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoEngine, err)
		}
		f.Close()
	}
	return &QEMU{qemu, string(version), kernel, modules, init, cold, Wanted{}}, nil
}

// Name is "qemu".
func (q *QEMU) Name() string { return QEMUName }

// Kernel is the file of the kernel.
func (q *QEMU) Kernel() string { return q.kernel }

// Run is Engine's.
func (q *QEMU) Run(ctx context.Context, j Job) (_ *Result, err error) {
	began := time.Now()
	m, err := q.image(j)
	if err != nil {
		return nil, err
	}
	s, err := takeSlot(ctx)
	if err != nil {
		return nil, err
	}
	defer s.free()
	entry, err := q.prepare(ctx, m, j, s.cpu)
	if err != nil {
		return nil, err
	}
	defer entry.close()
	dir, err := newWorkDir()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, dir.close()) }()
	if err := dir.give(j.tell(Place{Engine: QEMUName, Wanted: q.wanted})); err != nil {
		return nil, err
	}
	var tails []*tail
	defer func() {
		for _, t := range tails {
			t.close()
		}
	}()
	for name, to := range map[string]io.Writer{stdoutFile: j.Stdout, stderrFile: j.Stderr} {
		t, err := newTail(dir, name, to)
		if err != nil {
			return nil, err
		}
		tails = append(tails, t)
	}
	p, err := q.boot(ctx, entry, dir, j, s.cpu)
	if err != nil {
		return nil, err
	}
	if err := p.await(ctx, j.limit()); err != nil {
		return nil, err
	}
	o, err := dir.result(j.Out)
	if errors.Is(err, io.EOF) {
		return nil, &MachineError{QEMUName, p.cause(), p.console.tail(consoleLines)}
	}
	if err != nil {
		return nil, err
	}
	handed := tails
	tails = nil
	for _, t := range handed {
		if err := t.close(); err != nil {
			return nil, fmt.Errorf("hand on the command's output: %w", err)
		}
	}
	if o.Error != "" {
		return nil, fmt.Errorf("run %s in the machine: %s", j.Argv[0], o.Error)
	}
	return &Result{Status: o.Status, Virtual: time.Duration(o.Virtual), Wall: time.Since(began)}, nil
}
