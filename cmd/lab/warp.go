package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/seed-6fefc909/tcplab/internal/paths"
	"github.com/seed-6fefc909/tcplab/lab/warp"
)

// warpFlags are those of lab warp.
type warpFlags struct {
	machine machineFlags
	out     []string
	input   string
	with    []string
	memory  int
}

func warpCommand(s streams) *cobra.Command {
	var f warpFlags
	c := &cobra.Command{
		Use:   "warp [flags] -- COMMAND [ARG...]",
		Short: "Run a command in a virtual-time machine, where waiting takes no time; needs no root",
		Long: `Runs a command in a small Linux whose clock jumps to the next timer whenever
nothing is left to compute: what waits for minutes ends at once. It is root there, sees this
machine's files, and can write anywhere: what it writes is gone afterwards, but
for what is below the directories of --out, which must exist. It has no network
but its own.

A Go test runs there by go test -exec 'lab warp --', and leaves its profiles,
coverage and artefacts where go test wants them.

The exit status is the command's, 128 and the number if a signal ended it; 3 if
there is no such machine here, 4 if the machine broke down or took longer than
--limit.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError(errors.New("lab warp needs a command"), "for example lab warp -- sleep 1h")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return runWarp(c.Context(), s, f, args) },
	}
	c.AddCommand(warpSetupCommand(s))
	c.Flags().SetInterspersed(false)
	f.machine.add(c)
	f.machine.addKernel(c)
	c.Flags().StringArrayVar(&f.out, "out", nil, "let the command write to `DIR` for good; may be repeated")
	c.Flags().StringVar(&f.input, "input", "", "the command's standard input, a `FILE` (default: /dev/null)")
	c.Flags().StringArrayVar(&f.with, "with", nil, "take a `PROGRAM`, file or directory along to qemu, which does not see this machine's files; may be repeated")
	c.Flags().IntVar(&f.memory, "memory", warp.DefaultMemory, "the machine's memory, in `MIB`")
	return c
}

// runWarp is lab warp.
func runWarp(ctx context.Context, s streams, f warpFlags, args []string) error {
	if err := becomeCaller(); err != nil {
		return err
	}
	if err := f.machine.check(); err != nil {
		return err
	}
	if f.memory == 0 { // which is the default's name in a warp.Job
		return usageError(errors.New("--memory 0: a machine needs memory"), "")
	}
	engine, err := warp.Choose(f.machine.wanted)
	if err != nil {
		return noMachine(err)
	}
	j := warp.Job{Env: os.Environ(), Seed: f.machine.seed, Limit: f.machine.limit, Memory: f.memory, Stdout: s.out, Stderr: s.err}
	if j.Dir, err = os.Getwd(); err != nil {
		return usageError(fmt.Errorf("find the working directory: %w", err), "")
	}
	j.Out, j.Programs = testOutputs(args[1:], j.Dir), testInputs(args[1:], j.Dir)
	for _, dir := range f.out {
		j.Out = append(j.Out, paths.Rooted(j.Dir, dir))
	}
	for _, name := range f.with {
		path := paths.Rooted(j.Dir, name)
		if found, err := exec.LookPath(name); err == nil {
			path = paths.Rooted(j.Dir, found)
		}
		j.Programs = append(j.Programs, path)
	}
	if f.input != "" {
		j.Input = paths.Rooted(j.Dir, f.input)
	}
	program, err := exec.LookPath(args[0])
	if err == nil {
		program, err = filepath.Abs(program)
	}
	if err != nil {
		return usageError(err, "")
	}
	j.Argv = append([]string{program}, args[1:]...)
	r, err := engine.Run(ctx, j)
	if err != nil {
		return machineFailed(err)
	}
	if r.Status == 0 {
		return nil
	}
	if err := testTimedOut(args[1:], r.Virtual); err != nil {
		return &exitError{r.Status, err, "go test -timeout 24h"}
	}
	return &exitError{status: r.Status}
}
