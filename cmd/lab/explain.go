package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/report"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
)

func explainCommand(s streams) *cobra.Command {
	family := 4
	c := &cobra.Command{
		Use:               "explain NAME | FILE",
		Short:             "Tell a scenario's story, its sources and its script; needs no root",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeScenario,
		RunE: func(_ *cobra.Command, args []string) error {
			sc, err := findScenario(args[0])
			if err != nil {
				return err
			}
			return explain(s, sc, lab.Options{Family: topology.Family(family)})
		},
	}
	c.Flags().IntVar(&family, "family", family, "`FAMILY` of IP: 4 or 6")
	return c
}

func explain(s streams, sc *scenarios.Source, o lab.Options) error {
	e, err := lab.New(sc, o)
	if err != nil {
		return usageError(err, "")
	}
	if !sc.BuiltIn() && lab.Preflight() == nil {
		if err := lab.TrySysctls([]*lab.Experiment{e}); err != nil {
			return cannot(err)
		}
	}
	if err := report.Header(s.out, e.Preview(), s.screenNow()); err != nil {
		return err
	}
	var b strings.Builder
	for _, paragraph := range sc.Story {
		b.WriteString("\n" + strings.Join(report.Wrap(paragraph, 80), "\n") + "\n")
	}
	if len(sc.Why) > 0 {
		b.WriteString("\nWhat to take from it:\n")
	}
	for _, paragraph := range sc.Why {
		b.WriteString("\n" + strings.Join(report.Wrap(paragraph, 80), "\n") + "\n")
	}
	fmt.Fprintf(&b, "\nThe script (lab show %s prints it, lab help scenario tells how to read it):\n\n", sc.Argument())
	for line := range strings.Lines(sc.Script()) {
		b.WriteString(strings.TrimRight("  "+line, " \n") + "\n")
	}
	if len(sc.Sources) > 0 {
		b.WriteString("\nSources:\n")
	}
	for _, source := range sc.Sources {
		b.WriteString("  " + source + "\n")
	}
	b.WriteString("\nRun it: sudo " + e.Preview().Command + "\n")
	if len(sc.Next) > 0 {
		b.WriteString("Then: " + strings.Join(sc.Next, ", ") + "\n")
	}
	_, err = fmt.Fprint(s.out, b.String())
	return err
}

// findScenario finds a scenario by its name, or reads it from a file: that is
// what ends like one, or has a directory.
func findScenario(name string) (*scenarios.Source, error) {
	if isFile(name) {
		sc, err := scenarios.Load(name)
		if err != nil {
			return nil, usageError(err, "lab help scenario tells how scenarios are written")
		}
		return sc, nil
	}
	sc, nearest := scenarios.Find(name)
	if sc != nil {
		return sc, nil
	}
	hint := "lab list shows them all"
	if nearest != "" {
		hint = "did you mean " + nearest + "? " + hint
	}
	return nil, usageError(fmt.Errorf("unknown scenario %q", name), hint)
}

// isFile tells a file from a scenario's name.
func isFile(name string) bool {
	return strings.HasSuffix(name, scenarios.Extension) || strings.Contains(name, "/")
}

// completeScenario offers the names, and files.
func completeScenario(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return scenarios.Names(), cobra.ShellCompDirectiveDefault
}
