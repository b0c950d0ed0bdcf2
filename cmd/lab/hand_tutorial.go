package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/byhand"
	"github.com/seed-6fefc909/tcplab/lab/observe"
	"github.com/seed-6fefc909/tcplab/lab/predict"
	"github.com/seed-6fefc909/tcplab/lab/tutorial"
)

func tutorialCommand(s streams) *cobra.Command {
	var name, which string
	c := &cobra.Command{
		Use:   "tutorial",
		Short: "Be led through the book's cases by hand, in terminals of your own",
		Long: `Leads through UNP 5.12 to 5.16 by hand, in about a quarter of an hour. Open three
terminals beside this one: the server's, the client's, and one for faults and for
looking. The tutorial says what to type in which, waits until it has happened, and
tells what it measured and what that means.

Where something is to be looked at it goes on at Enter; elsewhere Enter says
again what is waited for. s and Enter skips it, q and Enter ends the tutorial.
With no input (< /dev/null) only Ctrl-C ends it before its end.
docs/tutorial.md is the same as a page.`,
		Args: onlyNamed,
		RunE: func(c *cobra.Command, _ []string) error {
			parts, err := cases(which)
			if err != nil {
				return err
			}
			if err := needRoot(); err != nil {
				return err
			}
			return lead(c.Context(), s, name, parts)
		},
	}
	nameFlag(c, &name, "of the lab that is made and used: `NAME` (default "+byhand.DefaultName+")")
	c.Flags().StringVar(&which, "case", "", "lead through `CASE` only: P (the programs), A, B, C, D")
	return c
}

// cases are the tutorial's parts, or the one that is asked for.
func cases(which string) ([]tutorial.Part, error) {
	parts, err := tutorial.Parts()
	if err != nil {
		return nil, &exitError{exitInternal, err, ""}
	}
	if which == "" {
		return parts, nil
	}
	i := slices.IndexFunc(parts, func(p tutorial.Part) bool { return strings.EqualFold(p.ID, which) })
	if i < 0 {
		return nil, usageError(fmt.Errorf("--case %s: there are P, A, B, C, D", which), "")
	}
	return parts[i : i+1], nil
}

// lead walks through the parts beside the lab of a name.
func lead(ctx context.Context, s streams, name string, parts []tutorial.Part) error {
	if name == "" {
		name = byhand.DefaultName
	}
	if err := byhand.CheckName(name); err != nil {
		return usageError(err, "")
	}
	up, err := byhand.RunDir.Up()
	if err != nil {
		return byHand(err)
	}
	l := &byNameLab{name}
	params := predict.Defaults()
	params.HZ = observe.HZ()
	g := tutorial.Guide{Lab: l, Keys: lines(s.in), Forget: func() { forget(s.in) }, Params: params, Voice: &tutorial.Voice{W: s.out, Screen: s.screenNow}}
	others := slices.ContainsFunc(up, func(other *byhand.Lab) bool { return other.Name != name })
	if name != byhand.DefaultName || others {
		g.Name = name
	}
	err = g.Walk(ctx, parts)
	switch {
	case errors.Is(err, tutorial.ErrQuit):
	case ctx.Err() != nil:
		return &exitError{exitNotOK, nil, ""}
	case err != nil:
		return byHand(err)
	}
	if found, _ := l.Status(); found != nil {
		fmt.Fprintf(s.out, "%s is still up: %s takes it down.\n", l, g.Command("sudo lab down"))
	}
	return nil
}

// A byNameLab is the lab that has a name at the time that it is asked, if any
// has.
type byNameLab struct{ name string }

func (l *byNameLab) String() string { return (&byhand.Lab{Name: l.name}).String() }

func (l *byNameLab) Status() (*byhand.Status, error) {
	found, err := byhand.RunDir.Find(l.name)
	if err != nil {
		return nil, err
	}
	s, err := found.Status()
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (l *byNameLab) Await(ctx context.Context, event string, since lab.Since) (*lab.Seen, error) {
	found, err := byhand.RunDir.Find(l.name)
	if err != nil {
		return nil, err
	}
	return found.Await(ctx, event, since)
}

// forget drops what was typed into a terminal and not entered.
func forget(in *os.File) { _ = unix.IoctlSetInt(int(in.Fd()), unix.TCFLSH, unix.TCIFLUSH) }

// lines are what somebody types, a line each, closed at the end.
func lines(in io.Reader) <-chan string {
	typed := make(chan string)
	go func() {
		defer close(typed)
		for scanner := bufio.NewScanner(in); scanner.Scan(); {
			typed <- strings.TrimSpace(scanner.Text())
		}
	}()
	return typed
}
