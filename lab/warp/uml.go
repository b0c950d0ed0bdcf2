package warp

import (
	"context"
	"fmt"
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
func (u *UML) Run(ctx context.Context, j Job) (*Result, error) {
	if err := checkRace(u.init, j.Argv[0]); err != nil {
		return nil, err
	}
	return perform(ctx, j, Place{Engine: UMLName, Wanted: u.wanted}, func(dir *workDir, cpu int) (machine, error) {
		writable := append([]string{dir.path}, j.Out...)
		p, err := launch{argv: u.argv(j), env: u.environment(), dir: dir.path, cpu: cpu, writable: writable}.start()
		if err != nil {
			return nil, err
		}
		return &umlMachine{p, dir}, nil
	})
}

// A umlMachine is a running User-Mode Linux.
type umlMachine struct {
	*process
	dir *workDir
}

func (m *umlMachine) outcome() (outcome, error) { return m.dir.outcome() }

func (m *umlMachine) breakdown() *MachineError { return m.process.breakdown(UMLName) }

func (m *umlMachine) close() { m.kill() }

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
func (m *umlMachine) await(ctx context.Context, limit time.Duration) error {
	late := &LimitError{Limit: limit, Hint: "a program that computes or polls the clock without ever sleeping stops time here: --engine qemu counts its instructions"}
	limited, cancel := context.WithTimeoutCause(ctx, limit, late)
	defer cancel()
	select {
	case <-m.done:
		return nil
	case <-limited.Done():
	}
	if context.Cause(limited) == late {
		// It says what it is at, and ends.
		m.signal(unix.SIGTERM)
		saying, cancel := context.WithTimeout(ctx, time.Second)
		_ = m.wait(saying)
		cancel()
		late.PID, late.Program = computing(m.console.tail(consoleLines))
		return late
	}
	m.kill()
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
