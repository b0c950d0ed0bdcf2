package main

import (
	"github.com/spf13/cobra"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

func schemaCommand(s streams) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON schema of record.json",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := s.out.Write(record.JSONSchema())
			return err
		},
	}
}
