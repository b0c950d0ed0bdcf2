package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/shell"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/lab/warp"
)

// An experiment is one that a batch performs: a *lab.Experiment, on this
// machine's kernel, or a *machineRun.
type experiment interface {
	Scenario() *scenarios.Scenario
	Preview() *record.Record
	Takes() time.Duration
	Run(ctx context.Context) (*record.Record, error)
	// Close gives up what Run made. An error says what is left.
	Close() error
}

// performVirtually runs the experiments in machines, n at a time, 0 for as many
// as there are CPUs.
func (b *batch) performVirtually(ctx context.Context, experiments []*lab.Experiment, n int) error {
	runs, err := b.flags.virtual.inMachines(experiments, b.flags.own.input)
	if err != nil {
		return err
	}
	b.several = b.several || len(runs) > 1
	b.quiet = b.quiet || b.flags.output == outputText && b.flags.virtual.compares()
	if err := b.prepareOut(b.runDirs(runs)); err != nil {
		return err
	}
	b.run(ctx, runs, cmp.Or(n, machinesAtOnce()))
	return nil
}

// machinesAtOnce is how many machines run beside each other: each takes a CPU.
func machinesAtOnce() int { return runtime.NumCPU() }

// A machineRun is a run in a virtual-time machine of its own, in which lab
// does what it does here.
type machineRun struct {
	*lab.Experiment // what is run
	engine          warp.Engine
	seed            uint64
	suffix          string // tells its directory from those of the scenario's other runs
	limit           time.Duration
	input           string       // the client's standard input, "": none
	dir             string       // that of the captures in the machine, "" until it runs
	remove          func() error // removes that
}

// label names an engine's kernel in a file's name.
func label(e warp.Engine) string {
	name := filepath.Base(e.Kernel())
	if dir := filepath.Base(filepath.Dir(e.Kernel())); name == "vmlinuz" || name == "linux" {
		name = dir
	}
	return e.Name() + "-" + name
}

// Run starts the machine. The record is never nil.
func (m *machineRun) Run(ctx context.Context) (*record.Record, error) {
	r, err := m.run(ctx)
	if err != nil {
		r = m.Preview()
		r.Kernel = record.Kernel{Warp: &record.Warp{Engine: m.engine.Name(), Seed: m.seed}}
		r.Prediction, r.Reasons = record.Prediction{}, append(r.Reasons, err.Error())
	}
	return r, err
}

func (m *machineRun) run(ctx context.Context) (*record.Record, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	dir, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("find the working directory: %w", err)
	}
	// The command line that makes such a run again is what makes it there.
	words, err := shell.Fields(m.Preview().Command, func(string) string { return "" })
	if err != nil {
		return nil, fmt.Errorf("make the machine's command line: %w", err)
	}
	argv := append([]string{self}, words[1:]...)
	// Frames are captured whether anybody wants them or not: that it takes
	// longer must not make it another run.
	if m.dir, m.remove, err = warp.TempDir(); err != nil {
		return nil, fmt.Errorf("make a directory for captures: %w", err)
	}
	argv = append(argv, "--output", outputJSON, "--"+capturesFlag, m.dir)
	var out, errs bytes.Buffer
	result, err := m.engine.Run(ctx, warp.Job{
		Argv: argv, Env: os.Environ(), Dir: dir, Out: []string{m.dir}, Seed: m.seed, Programs: m.files(), Limit: m.limit, Stdout: &out, Stderr: &errs,
	})
	if err != nil {
		return nil, err
	}
	if result.Status != exitOK && result.Status != exitNotOK {
		return nil, &insideError{result.Status, strings.TrimSpace(errs.String())}
	}
	r, err := record.Read(&out)
	if err != nil {
		return nil, fmt.Errorf("read the record that came from the machine: %w", err)
	}
	return r, nil
}

// files are what the run reads, for a machine that does not see them: the
// scenario, the user's own programs, and of their arguments those that are files.
func (m *machineRun) files() []string {
	s := m.Scenario()
	var names []string
	if !s.BuiltIn() {
		names = append(names, s.File)
	}
	if own := s.Own; own != nil {
		for _, argv := range [][]string{own.Server, own.Client} {
			for i, word := range argv {
				if path, err := exec.LookPath(word); err == nil && i == 0 {
					word = path
				}
				names = append(names, word)
			}
		}
	}
	if m.input != "" {
		names = append(names, m.input)
	}
	var files []string
	for _, name := range names {
		path, err := filepath.Abs(name)
		if err == nil {
			_, err = os.Stat(path)
		}
		if err == nil && !slices.Contains(files, path) {
			files = append(files, path)
		}
	}
	return files
}

// saveCaptures takes the captures that were made in the machine over to a
// directory.
func (m *machineRun) saveCaptures(dir string) error {
	var errs []error
	for _, h := range lab.HostNames {
		to := filepath.Join(dir, captureName(h))
		from, err := m.openCapture(h)
		if errors.Is(err, os.ErrNotExist) {
			// An earlier run's would not be of this record.
			if err = os.Remove(to); errors.Is(err, os.ErrNotExist) {
				err = nil
			}
		} else if err == nil {
			err = saveFile(to, func(w io.Writer) error { _, err := io.Copy(w, from); return err })
			from.Close()
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// openCapture opens what was captured at a host's end. A program in the machine
// could have put a link or a pipe in its place, which is an error.
func (m *machineRun) openCapture(host string) (*os.File, error) {
	if m.dir == "" {
		return nil, os.ErrNotExist
	}
	name := filepath.Join(m.dir, captureName(host))
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("take over %s: not a file", name)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Close removes what the run left.
func (m *machineRun) Close() error {
	if m.remove == nil {
		return nil
	}
	return m.remove()
}

// An insideError is what lab in a machine said when it could not run there.
type insideError struct {
	status int
	said   string
}

func (e *insideError) Error() string {
	said := strings.TrimPrefix(strings.ReplaceAll(e.said, "\n", "; "), "lab: ")
	return fmt.Sprintf("in the machine, with exit status %d: %s", e.status, said)
}
