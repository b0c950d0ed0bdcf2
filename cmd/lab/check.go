package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/lab/suite"
	"github.com/seed-6fefc909/tcplab/topology"
)

func checkCommand(s streams) *cobra.Command {
	var f runFlags
	var reference strings.Builder
	if err := suite.Reference(&reference); err != nil {
		panic(err) // a strings.Builder takes all
	}
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Hold one's own programs against what a file asks of them; needs root, or --warp",
		Long: `Runs the programs that FILE names through the ways of going away that it names,
and holds what the client was told, and did, against its limits: what lab run
--server --client does, from a file that is kept beside the programs. For
example:

  server redis-server --port 6379 --bind 0.0.0.0 --protected-mode no
  client redis-cli -h {server} subscribe news
  when idle:1s
  within 20s
  run -expect ECONNRESET reboot
  run all

A command a line, 'single quotes' around what has spaces in it, # before a
comment. Programs' relative paths count from where lab is run.

` + strings.TrimRight(reference.String(), "\n"),
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := wantFiles(c, "out"); err != nil {
				return err
			}
			if err := f.virtual.look(c); err != nil {
				return err
			}
			return runCheck(c.Context(), s, f, args[0])
		},
	}
	flags := c.Flags()
	flags.DurationVar(&f.timeout, "timeout", 0, "end a run after `TIME`")
	flags.StringVar(&f.out, "out", "", "write the runs' results into `DIR`")
	flags.StringVar(&f.output, "output", outputText, "print `FORM`: text, json, jsonl")
	flags.IntVar(&f.parallel, "parallel", 0, "run `N` cases at a time (default 1, for the programs share the file system; with --warp, where they do not, one a CPU)")
	f.virtual.addSingle(c)
	f.virtual.machine.addKernel(c)
	return c
}

// runCheck is lab check.
func runCheck(ctx context.Context, s streams, f runFlags, file string) error {
	in, err := os.Open(file)
	if err != nil {
		return usageError(err, "")
	}
	defer in.Close()
	wanted, err := suite.Read(file, in)
	if err != nil {
		return usageError(err, "see lab check --help")
	}
	f.family, f.grace, f.loss = 4, topology.DefaultGrace, "0"
	f.sysctls, f.real = wanted.Sysctls, wanted.Real
	f.own.user, f.own.input = wanted.User, wanted.Input
	o, err := f.options()
	if err != nil {
		return err
	}
	if o.Execution, err = f.own.execution(s); err != nil {
		return err
	}
	if o.Execution.Terminal != nil {
		return usageError(fmt.Errorf("%s: input -: several runs cannot read the same", file), "name a file")
	}
	o.Tracer = lab.NewTracer()
	o.Real, o.Elsewhere = o.Real || f.virtual.warp, f.virtual.warp
	var experiments []*lab.Experiment
	var wrong []error
	for _, c := range wanted.Cases {
		source, _ := scenarios.Find(c.Scenario) // it is there: the file was read
		o.Family, o.Path = topology.Family(c.Family), topology.Path(c.Path)
		o.Own = &scenarios.Own{Server: wanted.Server, Client: wanted.Client, When: c.When, Demand: c.Demand, File: file, Line: c.Line}
		e, err := lab.New(source, o)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s:%d: %s: %w", file, c.Line, c.Scenario, err))
			continue
		}
		experiments = append(experiments, e)
	}
	if err := errors.Join(wrong...); err != nil {
		return usageError(err, "see lab check --help")
	}
	b := &batch{streams: s, flags: f, several: len(experiments) > 1, own: true, live: terminal(s.err) && f.parallel <= 1}
	if f.virtual.warp {
		err = b.performVirtually(ctx, experiments, f.parallel)
	} else {
		err = b.perform(ctx, experiments, o.Tracer, max(f.parallel, 1))
	}
	if err != nil {
		return err
	}
	return b.finish(ctx)
}
