package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-6fefc909/tcplab/lab/warp"
)

func warpSetupCommand(s streams) *cobra.Command {
	var kernels []string
	c := &cobra.Command{
		Use:   "setup",
		Short: "Build the kernel of the virtual-time machine, once: about five minutes, no root",
		Long: `Builds User-Mode Linux from Debian's kernel source, with lab's configuration and
patch, tries it, and keeps it in lab/warp below XDG_CACHE_HOME or ~/.cache. That
takes about five minutes on two CPUs, a download of 150 MB and, meanwhile, 1.5 GB of
room, but no root. If it is interrupted, run it again: it goes on where it was.
A kernel that is there already is checked and tried. Its path is the result.

With --kernel it fetches kernels of Debian's instead, for machines by QEMU, which
is a package of its own: qemu-system-x86. Their paths are the result.

Debian 12 and 13 have the source. A kernel that was built elsewhere runs on any
x86-64: name it in LAB_WARP_KERNEL.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return setUp(c.Context(), s, kernels) },
	}
	c.Flags().StringArrayVar(&kernels, "kernel", nil, "fetch Debian's newest kernel of `VERSION` instead, as 6.1; may be given several times")
	return c
}

func setUp(ctx context.Context, s streams, kernels []string) error {
	if err := becomeCaller(); err != nil {
		return err
	}
	if len(kernels) == 0 {
		return buildKernel(ctx, s)
	}
	for _, version := range kernels {
		k, err := warp.FetchKernel(ctx, version, s.err)
		if err != nil {
			return machineFailed(err)
		}
		fmt.Fprintln(s.out, k.Image)
	}
	return nil
}

func buildKernel(ctx context.Context, s streams) error {
	began := time.Now()
	p := showSetup(s.err)
	path, built, err := warp.SetUp(ctx, p.tell)
	p.close()
	if failed, ok := errors.AsType[*warp.BuildError](err); ok {
		return &exitError{exitInternal, err, failed.Hint}
	}
	if err != nil {
		return machineFailed(err)
	}
	if built.Date.After(began) {
		fmt.Fprintf(s.err, "built from linux-source-6.12 %s in %v\n", built.Source, time.Since(began).Round(time.Second))
	}
	fmt.Fprintln(s.out, path)
	if other := os.Getenv(warp.KernelEnv); other != "" {
		fmt.Fprintf(s.err, "not taken as long as %s is set: %s\n", warp.KernelEnv, other)
	}
	return nil
}

// A setupProgress shows how far a setup is: on one line of a terminal, or
// elsewhere by a line for each step and now and again.
type setupProgress struct {
	f     *os.File
	live  bool
	line  liveLine
	began time.Time
	shown time.Time // when a line was last written
	step  string
}

func showSetup(f *os.File) *setupProgress {
	return &setupProgress{f: f, live: terminal(f), began: time.Now()}
}

func (p *setupProgress) tell(step string, share float64) {
	now := time.Now()
	every := heartbeatEvery
	if p.live {
		every = liveEvery
	}
	if step == p.step && now.Sub(p.shown) < every {
		return
	}
	p.step, p.shown = step, now
	text := "lab warp setup: " + step
	if share > 0 {
		text += fmt.Sprintf(" %.0f%%", 100*share)
	}
	text += fmt.Sprintf(", %v", now.Sub(p.began).Round(time.Second))
	if !p.live {
		fmt.Fprintln(p.f, text)
		return
	}
	p.line.draw(p.f, func(width int) string { return text[:min(len(text), width)] })
}

func (p *setupProgress) close() { p.line.clear() }
