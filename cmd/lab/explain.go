package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/report"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

func explainCommand(s streams) *cobra.Command {
	return &cobra.Command{
		Use:               "explain NAME",
		Short:             "Tell a scenario's story, its sources and its script; needs no root",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeScenario,
		RunE: func(_ *cobra.Command, args []string) error {
			sc, err := findScenario(args[0])
			if err != nil {
				return err
			}
			return explain(s.out, sc)
		},
	}
}

func explain(out io.Writer, sc *scenarios.Scenario) error {
	e, err := lab.New(sc, lab.Options{})
	if err != nil {
		return err
	}
	if err := report.Header(out, e.Preview()); err != nil {
		return err
	}
	var b strings.Builder
	for _, paragraph := range sc.Story {
		b.WriteString("\n" + wrap(paragraph, 80) + "\n")
	}
	b.WriteString("\nThe script:\n")
	for _, step := range sc.Steps {
		b.WriteString("  " + step.String() + "\n")
	}
	b.WriteString("\nSources:\n")
	for _, source := range sc.Sources {
		b.WriteString("  " + source + "\n")
	}
	b.WriteString("\nRun it: sudo " + e.Preview().Command + "\n")
	_, err = fmt.Fprint(out, b.String())
	return err
}

// wrap breaks a paragraph into lines of at most width characters.
func wrap(paragraph string, width int) string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(paragraph) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return strings.Join(append(lines, line), "\n")
}

// findScenario finds a scenario by its name.
func findScenario(name string) (*scenarios.Scenario, error) {
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

func completeScenario(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return scenarios.Names(), cobra.ShellCompDirectiveNoFileComp
}
