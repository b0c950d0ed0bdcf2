package warp

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
	if err := checkImage(kernel); err != nil {
		return nil, err
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
func (q *QEMU) Run(ctx context.Context, j Job) (*Result, error) {
	if err := j.check(); err != nil {
		return nil, err
	}
	m, err := q.image(j)
	if err != nil {
		return nil, err
	}
	return perform(ctx, j, Place{Engine: QEMUName, Wanted: q.wanted}, func(dir *workDir, cpu int) (machine, error) {
		e, err := q.prepare(ctx, m, j, dir, cpu)
		if err != nil {
			return nil, err
		}
		started, err := q.boot(ctx, e, dir, j, cpu)
		if err != nil {
			e.close()
			return nil, err
		}
		return &qemuMachine{started, e, dir, j.Out}, nil
	})
}
