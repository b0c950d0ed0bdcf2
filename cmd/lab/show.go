package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-6fefc909/tcplab/lab/programs"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

func showCommand(s streams) *cobra.Command {
	return &cobra.Command{
		Use:               "show NAME",
		Short:             "Print a scenario's text, to be copied and changed; needs no root",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeScenario,
		RunE: func(_ *cobra.Command, args []string) error {
			sc, err := findScenario(args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(s.out, sc.Text)
			return err
		},
	}
}

// scenarioTopic is what lab help scenario shows: the language's reference.
func scenarioTopic() *cobra.Command {
	var b strings.Builder
	if err := scenarios.Reference(&b); err != nil {
		panic(err) // a strings.Builder takes all
	}
	b.WriteString("The example programs that start can run:\n\n")
	programs.Usage(&b)
	return &cobra.Command{Use: "scenario", Short: "The language that scenarios are written in", Long: strings.TrimRight(b.String(), "\n")}
}
