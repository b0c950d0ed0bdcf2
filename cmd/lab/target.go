package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

// wantFiles refuses options that were given no name where one is needed.
func wantFiles(c *cobra.Command, options ...string) error {
	for _, name := range options {
		if flag := c.Flags().Lookup(name); flag.Changed && flag.Value.String() == "" {
			return usageError(fmt.Errorf("--%s: it names nothing", name), "leave the option out, or name where to write")
		}
	}
	return nil
}

// checkTarget refuses, before anything is written, a file of an option that
// cannot be one, or that is among those which are read.
func checkTarget(option, name string, inputs []string) error {
	if name == "" {
		return nil
	}
	wrong := func(err error) error { return usageError(fmt.Errorf("--%s %s: %w", option, name, err), "") }
	if dir, err := os.Stat(filepath.Dir(name)); err != nil {
		return wrong(err)
	} else if !dir.IsDir() {
		return wrong(fmt.Errorf("%s is not a directory", filepath.Dir(name)))
	}
	target, err := os.Stat(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return wrong(err)
	}
	if target.IsDir() {
		return wrong(errors.New("it is a directory"))
	}
	for _, input := range inputs {
		if info, err := os.Stat(input); err == nil && os.SameFile(info, target) {
			return wrong(errors.New("it is read, too: name another file"))
		}
	}
	return nil
}
