package warp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// UMLName is the name of the engine that is taken if nothing else is asked for.
const UMLName = "uml"

// umlEpoch is when a machine's clock begins: 2026-01-01T00:00:00Z, in
// nanoseconds since 1970.
const umlEpoch = 1_767_225_600_000_000_000

// A UML is the engine of User-Mode Linux with time-travel=inf-cpu: a kernel
// that is a process, and whose clock stands still while something computes.
type UML struct {
	kernel string
	init   string // this program
	wanted Wanted
}

// NewUML takes the kernel's file, which SetUp builds.
func NewUML(kernel string) (*UML, error) {
	init, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	return &UML{kernel: kernel, init: init}, nil
}

// Name is "uml".
func (u *UML) Name() string { return UMLName }

// Kernel is the file of User-Mode Linux.
func (u *UML) Kernel() string { return u.kernel }

// Run is Engine's.
func (u *UML) Run(ctx context.Context, j Job) (_ *Result, err error) {
	began := time.Now()
	if err := checkRace(u.init, j.Argv[0]); err != nil {
		return nil, err
	}
	dir, err := newWorkDir()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, dir.close()) }()
	if err := dir.give(j.tell(Place{Engine: UMLName, Wanted: u.wanted})); err != nil {
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
	s, err := takeSlot(ctx)
	if err != nil {
		return nil, err
	}
	defer s.free()
	writable := append([]string{dir.path}, j.Out...)
	p, err := launch{argv: u.argv(j), env: u.environment(), dir: dir.path, cpu: s.cpu, writable: writable}.start()
	if err != nil {
		return nil, err
	}
	if err := u.await(ctx, p, j.limit()); err != nil {
		return nil, err
	}
	o, err := dir.outcome()
	if errors.Is(err, io.EOF) {
		return nil, &MachineError{UMLName, u.cause(p), p.console.tail(consoleLines)}
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

// consoleLines is how many lines of its console tell of a machine's end.
const consoleLines = 15

func (j Job) limit() time.Duration {
	if j.Limit > 0 {
		return j.Limit
	}
	return DefaultLimit
}

func (j Job) memory() int {
	if j.Memory > 0 {
		return j.Memory
	}
	return DefaultMemory
}

// argv is the kernel's command line. Its random numbers follow from that, too:
// nothing in it may differ from run to run.
func (u *UML) argv(j Job) []string {
	return []string{
		u.kernel,
		"mem=" + strconv.Itoa(j.memory()) + "M",
		"root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro",
		`init="` + u.init + `"`,
		"con=null", "con0=null,fd:1", "quiet", "panic=-1",
		"uml_dir=./", "umid=lab",
		"seed=" + strconv.FormatUint(j.Seed, 10),
		"time-travel=inf-cpu", "time-travel-start=" + strconv.Itoa(umlEpoch),
		"lab.warp=" + UMLName,
		"--", guestArg, UMLName,
	}
}

// environment is the kernel's. Its C library must not register restartable
// sequences: they are in memory that it takes away from its user processes.
func (u *UML) environment() []string {
	return []string{"GLIBC_TUNABLES=glibc.pthread.rseq=0", "HOME=/", "PATH=/usr/bin:/bin"}
}

// await waits for the machine's end.
func (u *UML) await(ctx context.Context, p *process, limit time.Duration) error {
	late := &LimitError{Limit: limit, Hint: "a program that computes or polls the clock without ever sleeping stops time here: --engine qemu counts its instructions"}
	limited, cancel := context.WithTimeoutCause(ctx, limit, late)
	defer cancel()
	select {
	case <-p.done:
		return nil
	case <-limited.Done():
	}
	if context.Cause(limited) == late {
		// It says what it is at, and ends.
		p.signal(unix.SIGTERM)
		saying, cancel := context.WithTimeout(ctx, time.Second)
		_ = p.wait(saying)
		cancel()
		late.PID, late.Program = computing(p.console.tail(consoleLines))
		return late
	}
	p.kill()
	return context.Cause(limited)
}

// computing finds what a machine that was ended says that it was at.
func computing(lines []string) (pid int, program string) {
	for _, line := range lines {
		if rest, ok := strings.CutPrefix(line, "computing: "); ok {
			number, name, _ := strings.Cut(rest, " ")
			if n, err := strconv.Atoi(number); err == nil && n > 0 {
				return n, name
			}
		}
	}
	return 0, ""
}

// cause says why a machine ended that handed nothing over.
func (u *UML) cause(p *process) string {
	for _, line := range p.console.tail(100) {
		if _, what, ok := strings.Cut(line, "Kernel panic - not syncing: "); ok {
			return "its kernel panicked: " + what
		}
	}
	if p.err != nil {
		return p.err.Error()
	}
	return "it ended without a result"
}
