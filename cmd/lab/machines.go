package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"mvdan.cc/sh/v3/shell"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
	"github.com/seed-6fefc909/tcplab/lab/report/page"
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

// virtualFlags are those for runs in virtual-time machines.
type virtualFlags struct {
	warp    bool
	machine machineFlags
	seeds   string
	kernels []string
	modules []string // of each, in the same order
}

func (f *virtualFlags) add(c *cobra.Command) {
	f.addSingle(c)
	c.Flags().StringArrayVar(&f.kernels, "kernel", nil, kernelHelp+"; several are compared")
	c.Flags().StringArrayVar(&f.modules, "modules", nil, "the `DIR` of the modules of a kernel's file (default: the usual one); of several, one for each --kernel")
	c.Flags().StringVar(&f.seeds, "seeds", "", "with --warp: run once for each of these `SEEDS`, 1..200 or 3,5,8, and tell how far the runs spread")
}

// addSingle adds those that make sense where each scenario is run once.
func (f *virtualFlags) addSingle(c *cobra.Command) {
	c.Flags().BoolVar(&f.warp, "warp", false, "run in virtual-time machines, without root: the kernel's own timers, and no waiting")
	f.machine.add(c)
}

// engines finds those that are asked for, one for each kernel.
func (f *virtualFlags) engines() ([]warp.Engine, error) {
	kernels := f.kernels
	if len(kernels) == 0 {
		kernels = []string{f.machine.wanted.Kernel}
	}
	if n := len(f.modules); n > 0 && n != len(kernels) {
		return nil, usageError(fmt.Errorf("%d kernels, and modules of %d", len(kernels), n), "give --modules once for each --kernel, or not at all")
	}
	var engines []warp.Engine
	for i, kernel := range kernels {
		if slices.Contains(kernels[:i], kernel) {
			return nil, usageError(fmt.Errorf("--kernel %s is given twice", kernel), "")
		}
		w := f.machine.wanted
		w.Kernel = kernel
		if len(f.modules) > 0 {
			w.Modules = f.modules[i]
		}
		engine, err := warp.Choose(w)
		if err != nil {
			return nil, noMachine(err)
		}
		engines = append(engines, engine)
	}
	return engines, nil
}

// look notes what was given, and what of it cannot be.
func (f *virtualFlags) look(c *cobra.Command) error {
	set := func(names ...string) string {
		for _, name := range names {
			if flag := c.Flags().Lookup(name); flag != nil && flag.Changed {
				return name
			}
		}
		return ""
	}
	if !f.warp {
		if name := set("engine", "cold", "kernel", "modules", "seed", "seeds", "limit"); name != "" {
			return usageError(fmt.Errorf("--%s is for virtual-time machines", name), "add --warp")
		}
		return nil
	}
	if err := f.machine.check(); err != nil {
		return err
	}
	if err := becomeCaller(); err != nil {
		return err
	}
	if name := set("quick", "follow", "wireshark"); name != "" {
		why := map[string]string{
			"quick":     "there the timers are the kernel's own",
			"follow":    "there a run is over before one could look",
			"wireshark": "there a run is over before one could look: see the captures of --out",
		}
		return usageError(fmt.Errorf("--%s goes not with --warp: %s", name, why[name]), "")
	}
	if set("input") != "" && c.Flags().Lookup("input").Value.String() == "-" {
		return usageError(errors.New("--input -: a virtual-time machine has no terminal"), "give --input a file")
	}
	if set("seed") != "" && set("seeds") != "" {
		return usageError(errors.New("--seed and --seeds exclude each other"), "")
	}
	return nil
}

// compares tells whether runs are compared with each other, and not looked at
// one by one.
func (f *virtualFlags) compares() bool { return f.seeds != "" || len(f.kernels) > 1 }

// maxSeeds bounds how many runs a command line asks for.
const maxSeeds = 10_000

// list gives the seeds that are asked for.
func (f *virtualFlags) list() ([]uint64, error) {
	if f.seeds == "" {
		return []uint64{f.machine.seed}, nil
	}
	var seeds []uint64
	for part := range strings.SplitSeq(f.seeds, ",") {
		from, to, isRange := strings.Cut(part, "..")
		if !isRange {
			to = from
		}
		a, err1 := strconv.ParseUint(from, 10, 64)
		b, err2 := strconv.ParseUint(to, 10, 64)
		if err1 != nil || err2 != nil || b < a || b-a >= maxSeeds {
			return nil, usageError(fmt.Errorf("--seeds %s: %q is no seed, nor a range of at most %d", f.seeds, part, maxSeeds), "for example --seeds 1..200")
		}
		for s := a; ; s++ {
			if slices.Contains(seeds, s) {
				return nil, usageError(fmt.Errorf("--seeds %s: %d is named twice", f.seeds, s), "")
			}
			if seeds = append(seeds, s); s == b {
				break
			}
		}
	}
	return seeds, nil
}

// inMachines makes the experiments runs in machines: each with every engine
// and every seed.
func (f *virtualFlags) inMachines(experiments []*lab.Experiment, captures bool, input string) ([]experiment, error) {
	engines, err := f.engines()
	if err != nil {
		return nil, err
	}
	seeds, err := f.list()
	if err != nil {
		return nil, err
	}
	var runs []experiment
	for _, e := range experiments {
		for _, engine := range engines {
			for _, seed := range seeds {
				m := &machineRun{Experiment: e, engine: engine, seed: seed, limit: f.machine.limit, captures: captures, input: input}
				if len(engines) > 1 {
					m.suffix = "-" + label(engine)
				}
				if len(seeds) > 1 {
					m.suffix += "-seed-" + strconv.FormatUint(seed, 10)
				}
				runs = append(runs, m)
			}
		}
	}
	return runs, nil
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
	captures        bool
	input           string       // the client's standard input, "": none
	dir             string       // that of --out in the machine, "": none
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
	argv = append(argv, "--output", outputJSON)
	var writable []string
	if m.captures {
		if m.dir, m.remove, err = warp.TempDir(); err != nil {
			return nil, fmt.Errorf("make a directory for captures: %w", err)
		}
		argv = append(argv, "--out", m.dir)
		writable = append(writable, m.dir)
	}
	var out, errs bytes.Buffer
	result, err := m.engine.Run(ctx, warp.Job{
		Argv: argv, Env: os.Environ(), Dir: dir, Out: writable, Seed: m.seed, Programs: m.files(), Limit: m.limit, Stdout: &out, Stderr: &errs,
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

// saveCaptures moves the captures that were made in the machine to a directory.
func (m *machineRun) saveCaptures(dir string) error {
	for _, h := range lab.HostNames {
		from, to := filepath.Join(m.dir, captureName(h)), filepath.Join(dir, captureName(h))
		content, err := os.ReadFile(from)
		if errors.Is(err, os.ErrNotExist) {
			if err = os.Remove(to); errors.Is(err, os.ErrNotExist) {
				err = nil
			}
		} else if err == nil {
			err = saveFile(to, func(w io.Writer) error { _, err := w.Write(content); return err })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Close removes what the run left.
func (m *machineRun) Close() error {
	if m.remove == nil {
		return nil
	}
	return m.remove()
}

// tellSpread writes how far the runs of the seeds spread, and which were not as
// expected.
func (b *batch) tellSpread(w io.Writer) error {
	screen := b.streams.screenNow()
	var odd []*record.Record
	for _, r := range b.records {
		if r.Outcome != record.AsExpected {
			odd = append(odd, r)
		}
	}
	if err := report.SpreadText(w, report.Spreads(b.records), screen); err != nil || len(odd) == 0 {
		return err
	}
	fmt.Fprintln(w, "\nnot as expected:")
	for _, r := range odd {
		fmt.Fprintf(w, "  --seed %d  ", r.Kernel.Warp.Seed)
		if err := report.Summary(w, []*record.Record{r}, report.Screen{}); err != nil {
			return err
		}
	}
	return nil
}

// tellKernels compares each scenario's run of the first kernel with those of
// the others.
func (b *batch) tellKernels(w io.Writer) error {
	screen := b.streams.screenNow()
	first := map[string]*record.Record{}
	for _, r := range b.records {
		a := first[r.Scenario]
		if a == nil {
			first[r.Scenario] = r
			continue
		}
		if err := report.Diff(w, a, r, screen); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	return report.Summary(w, b.records, screen)
}

// saveDiffs writes the pages of the same comparisons.
func (b *batch) saveDiffs() error {
	if b.flags.out == "" || len(b.flags.virtual.kernels) < 2 || b.flags.virtual.seeds != "" {
		return nil
	}
	first := map[string]*record.Record{}
	for _, r := range b.records {
		a := first[r.Scenario]
		if a == nil {
			first[r.Scenario] = r
			continue
		}
		dir, saved := b.dirs[r]
		if !saved {
			continue
		}
		name := filepath.Join(b.flags.out, dir, diffName)
		if err := saveFile(name, func(w io.Writer) error { return page.Diff(w, a, r) }); err != nil {
			return err
		}
	}
	return nil
}

// diffName is what the page is called that compares a run with that of the
// first kernel.
const diffName = "diff.html"

// An insideError is what lab in a machine said when it could not run there.
type insideError struct {
	status int
	said   string
}

func (e *insideError) Error() string {
	said := strings.TrimPrefix(strings.ReplaceAll(e.said, "\n", "; "), "lab: ")
	return fmt.Sprintf("in the machine, with exit status %d: %s", e.status, said)
}
