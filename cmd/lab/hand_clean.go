package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/seed-6fefc909/tcplab/lab/byhand"
)

func cleanCommand(s streams) *cobra.Command {
	return &cobra.Command{
		Use:   "clean",
		Short: "Remove what labs and runs left that were killed, or a machine that crashed; labs that are up stay",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := needRoot(); err != nil {
				return err
			}
			return clean(s.out)
		},
	}
}

func clean(w io.Writer) error {
	found := 0
	err := byhand.RunDir.Clean(func(what string) {
		found++
		fmt.Fprintln(w, harmless(what))
	})
	if err != nil {
		return &exitError{exitInternal, fmt.Errorf("clean: %w", err), ""}
	}
	if found == 0 {
		fmt.Fprintln(w, "nothing was left")
	}
	return nil
}
