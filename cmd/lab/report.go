package main

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
)

func reportCommand(s streams) *cobra.Command {
	return &cobra.Command{
		Use:   "report DIR | RECORD.json",
		Short: "Show a record again; needs no root",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			name := args[0]
			if info, err := os.Stat(name); err == nil && info.IsDir() {
				name = filepath.Join(name, recordName)
			}
			r, err := record.ReadFile(name)
			if err != nil {
				return usageError(err, "it must be the record.json of a run")
			}
			if err := report.Header(s.out, r); err != nil {
				return &exitError{exitInternal, err, ""}
			}
			if err := report.Text(s.out, r); err != nil {
				return &exitError{exitInternal, err, ""}
			}
			return nil
		},
	}
}
