package main

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab/byhand"
)

func downCommand(s streams) *cobra.Command {
	var name string
	var all bool
	c := &cobra.Command{
		Use:   "down",
		Short: "Take a lab down that is up, with all that runs in it",
		Args:  onlyNamed,
		RunE: func(*cobra.Command, []string) error {
			if all && name != "" {
				return usageError(errors.New("--all and --name exclude each other"), "")
			}
			if all {
				return downAll(s)
			}
			l, err := findLab(name)
			if err != nil {
				return err
			}
			return takeDown(s, l)
		},
	}
	nameFlag(c, &name, whichLab)
	c.Flags().BoolVar(&all, "all", false, "all that are up")
	return c
}

func downAll(s streams) error {
	if err := needRoot(); err != nil {
		return err
	}
	up, err := byhand.RunDir.Up()
	if err != nil {
		return byHand(err)
	}
	var errs []error
	for _, l := range up {
		errs = append(errs, takeDown(s, l))
	}
	return errors.Join(errs...)
}

// takeDown takes a lab down. What is being recorded is written first, where
// that was said; if it cannot be, the lab stays up. It is printed last: whoever
// does not read it has taken the lab down all the same.
func takeDown(s streams, l *byhand.Lab) error {
	var saved *recording
	status, err := l.Status()
	e, told := errors.AsType[*byhand.Error](err)
	switch {
	case told && e.Kind == byhand.Usage: // a supervisor of another version, which does nothing else
	case err != nil:
		return byHand(err)
	case status.ToSave() == nil:
	case status.ToSave().Out == "":
		fmt.Fprintln(s.err, "lab: what was being recorded is not kept:", byhand.Command(l.Name, "record stop", "--out", "DIR"), "would have")
	default:
		if saved, err = saveRecording(s, l, status.ToSave().Out); err != nil {
			return err
		}
	}
	err = byHand(l.Down())
	if saved != nil { // what it came to is no matter here
		if unprinted := saved.print(s); !errors.Is(unprinted, unix.EPIPE) {
			err = cmp.Or(err, unprinted)
		}
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s is down\n", l)
	return nil
}
