package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

func standingCommand(s streams) *cobra.Command {
	var name, output string
	c := &cobra.Command{
		Use:   "status",
		Short: "Show how a lab is that is up: hosts, links, processes, sockets, faults in force",
		Args:  onlyNamed,
		RunE: func(*cobra.Command, []string) error {
			if output != outputText && output != outputJSON {
				return usageError(fmt.Errorf("output %q: there are text, json", output), "")
			}
			l, err := findLab(name)
			if err != nil {
				return err
			}
			status, err := l.Status()
			if err != nil {
				return byHand(err)
			}
			if output == outputJSON {
				enc := json.NewEncoder(s.out)
				enc.SetIndent("", " ")
				return enc.Encode(status)
			}
			return status.Write(s.out)
		},
	}
	nameFlag(c, &name, whichLab)
	c.Flags().StringVar(&output, "output", outputText, "print `FORM`: text, json")
	return c
}
