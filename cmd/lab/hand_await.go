package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/report"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

// An unseenError is of an event that did not come in time.
type unseenError struct{ within time.Duration }

func (e unseenError) Error() string { return fmt.Sprintf("not seen within %v", e.within) }

func awaitCommand(s streams) *cobra.Command {
	var name string
	var within time.Duration
	var fresh bool
	c := &cobra.Command{
		Use:   "await [flags] WHO EVENT...",
		Short: "Wait for something to happen in a lab that is up",
		Long: `Waits for an event that a scenario's expect can wait for, and prints it, with the
seconds since the last thing that was done: a program was run, a fault came. What
came since then counts, too.

  sudo lab await client receives RST
  sudo lab await server socket LISTEN
  sudo lab await -- -times 3 client retransmits

"fault KIND [HOST]" waits for a fault. lab help scenario lists the events.`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usageError(errors.New("wait for what?"), example(c, "client", "receives", "RST"))
			}
			for _, arg := range args {
				flag, ok := strings.CutPrefix(arg, "--")
				if flag, _, _ = strings.Cut(flag, "="); ok && c.Flags().Lookup(flag) != nil && c.ArgsLenAtDash() < 0 {
					return usageError(fmt.Errorf("%s is behind the event", arg), "options come before it: "+typed(c, "--"+flag, "...", args[0], args[1])+"; -- before the event makes it a part of that")
				}
			}
			return nil
		},
		ValidArgsFunction: completeHost,
		RunE: func(c *cobra.Command, args []string) error {
			if within <= 0 {
				return usageError(fmt.Errorf("--within %v: it must be longer than nothing", within), "")
			}
			l, err := findLab(name)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeoutCause(c.Context(), within, unseenError{within})
			defer cancel()
			since := lab.LastAct
			if fresh {
				since = lab.Now
			}
			seen, err := l.Await(ctx, quoted(args), since)
			if _, late := errors.AsType[unseenError](err); late {
				return &exitError{exitNotOK, fmt.Errorf("%s: %w", strings.Join(args, " "), err), ""}
			}
			if c.Context().Err() != nil {
				return &exitError{exitNotOK, nil, ""}
			}
			if err != nil {
				return byHand(err)
			}
			_, err = fmt.Fprintf(s.out, "%13.6f  %v\n", time.Duration(seen.After).Seconds(), report.Clean(seen.String()))
			return err
		},
	}
	c.Flags().SetInterspersed(false)
	nameFlag(c, &name, whichLab)
	c.Flags().DurationVar(&within, "within", scenarios.DefaultWithin, "wait for `TIME`")
	c.Flags().BoolVar(&fresh, "fresh", false, "only what comes from now on counts")
	return c
}

// quoted puts words together as a line of a scenario.
func quoted(words []string) string {
	var line []string
	for _, w := range words {
		if strings.ContainsAny(w, " \t'#$") || w == "" {
			w = "'" + strings.ReplaceAll(w, "'", "''") + "'"
		}
		line = append(line, w)
	}
	return strings.Join(line, " ")
}
