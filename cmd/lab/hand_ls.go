package main

import (
	"github.com/spf13/cobra"

	"github.com/seed-6fefc909/tcplab/lab/byhand"
)

func lsCommand(s streams) *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "List the labs that are up",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			if err := needRoot(); err != nil {
				return err
			}
			up, err := byhand.RunDir.Up()
			if err != nil {
				return byHand(err)
			}
			return byhand.WriteList(s.out, up)
		},
	}
}
