package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

func listCommand(s streams) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the scenarios: what dies, what the client sees, how long it takes",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			var table strings.Builder
			w := tabwriter.NewWriter(&table, 0, 8, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tWHAT GOES AWAY\tWHAT THE CLIENT SEES\tTAKES\tWITH --real")
			var narrow strings.Builder
			for _, sc := range scenarios.All() {
				quick, err := takes(sc, lab.Options{})
				if err != nil {
					return err
				}
				real, err := takes(sc, lab.Options{Real: true})
				if err != nil {
					return err
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", sc.Name, sc.Dies, sc.Sees, quick, real)
				fmt.Fprintf(&narrow, "%s (%s; %s with --real)\n    gone: %s\n    seen: %s\n", sc.Name, quick, real, sc.Dies, sc.Sees)
			}
			if err := w.Flush(); err != nil {
				return err
			}
			text := table.String()
			if widest, _, _ := strings.Cut(text, "\n"); s.screenNow().Width > 0 && s.screenNow().Width < len(widest) {
				text = narrow.String()
			}
			_, err := fmt.Fprint(s.out, text)
			return err
		},
	}
}

// takes computes how long a run takes, from its prediction and its own pauses.
func takes(sc *scenarios.Source, o lab.Options) (string, error) {
	e, err := lab.New(sc, o)
	if err != nil {
		return "", err
	}
	d := e.Takes()
	switch {
	case d < time.Second:
		return "1 s", nil
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds()), nil
	}
	return fmt.Sprintf("%.0f min", d.Minutes()), nil
}
