package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"mvdan.cc/sh/v3/syntax"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/byhand"
	"github.com/seed-6fefc909/tcplab/topology"
)

// nameFlag adds the option that names a lab.
func nameFlag(c *cobra.Command, name *string, usage string) {
	c.Flags().StringVar(name, "name", "", usage)
	_ = c.RegisterFlagCompletionFunc("name", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		up, _ := byhand.RunDir.Up()
		var all []string
		for _, l := range up {
			all = append(all, l.Name)
		}
		return all, cobra.ShellCompDirectiveNoFileComp
	})
}

// onlyNamed refuses arguments of a verb that is told by an option which lab it is
// for.
func onlyNamed(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := noArguments(c, args)
	hosts := append([]string{string(topology.Router), string(topology.Switch)}, lab.HostNames...)
	if e, ok := errors.AsType[*exitError](err); ok && nameGiven(c) == "" && !slices.Contains(hosts, args[0]) && byhand.CheckName(args[0]) == nil {
		e.hint = "a lab is named by an option: " + byhand.Command(args[0], verbOf(c)) + "; " + e.hint
	}
	return err
}

// noArguments refuses arguments of a verb that has none.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usageError(fmt.Errorf("unknown argument %q of %s", args[0], c.CommandPath()), "see "+c.CommandPath()+" --help")
}

// verbOf is what a command is called behind lab.
func verbOf(c *cobra.Command) string { return strings.TrimPrefix(c.CommandPath(), "lab ") }

// nameGiven is the lab's name as a command was given it, "" for none.
func nameGiven(c *cobra.Command) string {
	name, _ := c.Flags().GetString("name")
	return name
}

// typed is a use of a command, for the lab that it was given.
func typed(c *cobra.Command, args ...string) string {
	return byhand.Command(cmp.Or(nameGiven(c), byhand.DefaultName), verbOf(c), args...)
}

func example(c *cobra.Command, args ...string) string { return "for example " + typed(c, args...) }

// whichLab is how a verb's option names the lab it is for.
const whichLab = "the lab of that `NAME` (default: that which was given none, or the only one that is up)"

// findLab finds the lab that a verb is for.
func findLab(name string) (*byhand.Lab, error) {
	if err := needRoot(); err != nil {
		return nil, err
	}
	l, err := byhand.RunDir.Find(name)
	return l, byHand(err)
}

// needRoot tells whom a lab's supervisor would not answer.
func needRoot() error {
	err := lab.Preflight()
	if p, ok := errors.AsType[*lab.PrivilegeError](err); ok && p.Root {
		return &exitError{exitCannot, err, "sudo " + commandLine()}
	}
	if err != nil {
		return cannot(err)
	}
	return nil
}

// byHand turns what a supervisor tells into an error for the user.
func byHand(err error) error {
	e, told := errors.AsType[*byhand.Error](err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled): // by a signal
		return &exitError{exitNotOK, err, ""}
	case !told:
		return cannot(err)
	}
	status := map[byhand.Kind]int{
		byhand.Usage: exitUsage, byhand.Refused: exitNotOK, byhand.Cannot: exitCannot,
	}[e.Kind]
	if status == 0 {
		status = exitInternal
	}
	return &exitError{status, err, e.Hint}
}

// commandLine is the one that this program was called with.
func commandLine() string {
	words := []string{"lab"}
	for _, arg := range os.Args[1:] {
		quoted, err := syntax.Quote(arg, syntax.LangBash)
		if err != nil {
			quoted = strconv.Quote(arg) // no shell can have it
		}
		words = append(words, quoted)
	}
	return strings.Join(words, " ")
}
