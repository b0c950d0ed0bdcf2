package warp

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

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
	if err := unix.Access(init, unix.R_OK|unix.X_OK); err != nil {
		return nil, &LackError{fmt.Sprintf("read this program, %s: %v", init, err), "the machine's first process is this program: its user must be allowed to read it"}
	}
	return &UML{kernel: kernel, init: init}, nil
}

// Name is "uml".
func (u *UML) Name() string { return UMLName }

// Kernel is the file of User-Mode Linux.
func (u *UML) Kernel() string { return u.kernel }

// Run is Engine's.
func (u *UML) Run(ctx context.Context, j Job) (*Result, error) {
	if err := j.check(); err != nil {
		return nil, err
	}
	if err := checkRace(u.init, j.Argv[0]); err != nil {
		return nil, err
	}
	j.Out = topmost(j.Out)
	return perform(ctx, j, Place{Engine: UMLName, Wanted: u.wanted}, func(dir *workDir, cpu int) (machine, error) {
		if err := os.Symlink(u.init, filepath.Join(dir.path, initFile)); err != nil {
			return nil, fmt.Errorf("link this program: %w", err)
		}
		writable := append([]string{dir.path}, j.Out...)
		files, err := openWritable(writable)
		if err != nil {
			return nil, err
		}
		defer func() {
			for _, f := range files {
				f.Close()
			}
		}()
		p, err := launch{argv: u.argv(j), env: u.environment(), dir: dir.path, cpu: cpu, writable: writable, files: files}.start()
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

func (m *umlMachine) outcome() (outcome, error) {
	o, err := m.dir.outcome()
	if err == io.EOF {
		// It may have been too early to say more than that a call failed.
		if lack := CheckTrace(); lack != nil {
			return o, lack
		}
	}
	return o, err
}

// asleep is what the kernel panics with when it has no timer left to wait for
// (time_travel_set_time in arch/um/kernel/time.c).
const asleep = "The system was going to sleep forever"

func (m *umlMachine) breakdown() *MachineError {
	e := m.process.breakdown(UMLName)
	if strings.Contains(e.What, asleep) {
		e.What = "nothing will ever happen in it, and its processes wait: " + readEnding(m.console.tail(maxProcesses)).waits()
	}
	return e
}

// maxProcesses bounds the lines that the kernel tells of its processes.
const maxProcesses = 1000

func (m *umlMachine) close() { m.kill() }

// The kernel writes to what these of its descriptors are open on, and to
// nothing else of the host's: the machine's directory, and those of the job.
const (
	workFD = 3
	outFD  = 4
	// maxOut bounds these. What is not needed is open on nothing: the kernel's
	// command line says how many there are, and is to be the same always.
	maxOut = 15
)

// openWritable opens them.
func openWritable(dirs []string) (files []*os.File, err error) {
	for len(dirs) < 1+maxOut {
		dirs = append(dirs, os.DevNull)
	}
	for _, dir := range dirs {
		f, err := os.Open(dir)
		if err != nil {
			for _, f := range files {
				f.Close()
			}
			return nil, fmt.Errorf("open what the machine may write to: %w", err)
		}
		files = append(files, f)
	}
	return files, nil
}

// topmost are the directories without those that are in others: each is
// written to by one way only.
func topmost(dirs []string) (top []string) {
	for _, dir := range slices.Sorted(slices.Values(dirs)) {
		if !slices.ContainsFunc(top, func(t string) bool { return dir == t || strings.HasPrefix(dir, t+"/") }) {
			top = append(top, dir)
		}
	}
	return top
}

// hostFD is the path of what a descriptor of the kernel's is open on, for
// hostfs.
func hostFD(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// argv is the kernel's command line. Its random numbers follow from that, too:
// nothing in it may differ from run to run.
func (u *UML) argv(j Job) []string {
	return []string{
		u.kernel,
		"mem=" + strconv.Itoa(j.memory()) + "M",
		"root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro",
		"init=" + umlDir + "/" + initFile,
		"con=null", "con0=null,fd:1", "quiet", "panic=-1",
		"uml_dir=./", "umid=lab",
		"hostfs_writable=" + strconv.Itoa(1+maxOut),
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

func (m *umlMachine) overdue(ctx context.Context) *LimitError {
	m.signal(unix.SIGTERM) // it says what it is at, and ends
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	_ = m.wait(ctx)
	late := &LimitError{Hint: "a program that computes, polls the clock or writes without ever sleeping stops time here: give it longer with --limit, or --engine qemu, which counts instructions"}
	late.tell(readEnding(m.console.tail(maxProcesses)))
	return late
}
