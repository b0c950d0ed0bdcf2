package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/seed-6fefc909/tcplab/lab/report"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

func faultCommand(s streams) *cobra.Command {
	var name string
	c := &cobra.Command{
		Use:   "fault KIND [HOST] [PID]",
		Short: "Make something go away in a lab that is up, or come back",
		Long: `Does what a scenario's line of the same words does. Without HOST it befalls the
server. A PID, as its host numbers it, is of a process; without one the process
that holds the connection is meant, and by thaw every process that a fault has
stopped.

` + faultKinds(),
		Args: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return usageError(errors.New("which fault?"), example(c, "crash")+"; see lab fault --help")
			case len(args) > 3:
				return usageError(fmt.Errorf("unknown argument %q behind a process id", args[3]), "see lab fault --help")
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return []string{"client", "server"}, cobra.ShellCompDirectiveNoFileComp
			}
			var all []string
			for _, w := range scenarios.TypedFaults() {
				all = append(all, w.Name)
			}
			return all, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := findLab(name)
			if err != nil {
				return err
			}
			did, err := l.Do(faultLine(args))
			if err != nil {
				return byHand(err)
			}
			for _, one := range did {
				fmt.Fprintln(s.out, report.Clean(one))
			}
			status, err := l.Status()
			if err != nil || len(status.Faults) == 0 {
				return byHand(err)
			}
			return status.WriteFaults(s.out)
		},
	}
	nameFlag(c, &name, whichLab)
	return c
}

// faultKinds lists what lab fault does.
func faultKinds() string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, w := range scenarios.TypedFaults() {
		fmt.Fprintf(t, "  %s\t%s\n", w.Name, w.Summary)
	}
	t.Flush()
	_, _ = io.WriteString(&b, "\nA scenario's name stands for the fault in it: lab fault partition-to-server.\n")
	return b.String()
}

// faultLine is the line of a scenario that does what was asked for.
func faultLine(args []string) string {
	kind, of := args[0], args[1:]
	if len(of) > 0 && strings.Trim(of[0], "0123456789") == "" { // a process of the server
		of = append([]string{"server"}, of...)
	}
	switch kind {
	case "heal", "freeze", "thaw":
	default:
		kind = "fault " + kind
	}
	return strings.Join(append([]string{kind}, of...), " ")
}
