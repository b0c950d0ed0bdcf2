package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/seed-6fefc909/tcplab/lab"
)

func doctorCommand(s streams) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Try what this machine can do, and say what is lost without each thing and how to get it",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			fmt.Fprintln(s.out, lab.Machine())
			able, machine := true, false
			lab.Doctor(c.Context(), func(f lab.Finding) {
				machine = machine || f.Machine && f.OK
				mark := "ok     "
				if !f.OK {
					mark = "MISSING"
				}
				fmt.Fprintf(s.out, "%s  %s: %s\n", mark, f.Name, f.Seen)
				if !f.OK {
					fmt.Fprintf(s.out, "         lost: %s\n         to get it: %s\n", f.Lost, f.Get)
					able = able && !f.Needed
				}
			})
			if !able && !machine {
				return &exitError{exitCannot, errors.New("experiments cannot run here"), ""}
			}
			return nil
		},
	}
}
