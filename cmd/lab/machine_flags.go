package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/warp"
)

// machineFlags choose a virtual-time machine, for all commands that start some.
type machineFlags struct {
	wanted warp.Wanted
	seed   uint64
	limit  time.Duration
}

func (f *machineFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.wanted.Engine, "engine", "", "the machine's `ENGINE`: uml, qemu (default: that of the kernel, or uml if it is there)")
	flags.BoolVar(&f.wanted.Cold, "cold", false, "let qemu boot, which takes seconds, and not go on from a copy of a booted machine")
	flags.Uint64Var(&f.seed, "seed", 1, "what the machine's random `NUMBER`s follow from")
	flags.DurationVar(&f.limit, "limit", warp.DefaultLimit, "end a machine that has not ended after `TIME` on this clock")
}

// check refuses what cannot be meant: 0 is not for no limit.
func (f *machineFlags) check() error {
	if f.limit <= 0 {
		return usageError(fmt.Errorf("--limit %v: it must be more than nothing", f.limit), "for example --limit 5m")
	}
	return nil
}

// kernelHelp says what --kernel takes.
const kernelHelp = "the machine's `KERNEL`: uml, a version that lab warp setup --kernel fetched, or a file"

// addKernel adds those for one kernel.
func (f *machineFlags) addKernel(c *cobra.Command) {
	c.Flags().StringVar(&f.wanted.Kernel, "kernel", "", kernelHelp)
	c.Flags().StringVar(&f.wanted.Modules, "modules", "", "the `DIR` of the modules of a kernel's file (default: the usual one)")
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
		if err1 != nil || err2 != nil || b < a {
			return nil, usageError(fmt.Errorf("--seeds %s: %q is no seed, nor a range", f.seeds, part), "for example --seeds 1..200")
		}
		if b-a >= maxSeeds-uint64(len(seeds)) {
			return nil, usageError(fmt.Errorf("--seeds %s: there may be %d at most", f.seeds, maxSeeds), "")
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
func (f *virtualFlags) inMachines(experiments []*lab.Experiment, input string) ([]experiment, error) {
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
				m := &machineRun{Experiment: e, engine: engine, seed: seed, limit: f.machine.limit, input: input}
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
