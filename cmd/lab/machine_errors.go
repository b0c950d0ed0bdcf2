package main

import (
	"context"
	"errors"

	"github.com/seed-6fefc909/tcplab/lab/warp"
)

// becomeCaller gives up being root under sudo: machines need none, and what they
// leave is the caller's.
func becomeCaller() error {
	if err := warp.BecomeCaller(); err != nil {
		return &exitError{exitCannot, err, "it needs no root: run it without sudo"}
	}
	return nil
}

// noMachine turns the lack of an engine into an error for the user.
func noMachine(err error) error {
	if lack, ok := errors.AsType[*warp.LackError](err); ok {
		return &exitError{exitCannot, err, lack.Hint}
	}
	if errors.Is(err, warp.ErrNoEngine) {
		return &exitError{exitCannot, err, ""}
	}
	return usageError(err, "")
}

// ofMachine tells whether an error is about a virtual-time machine.
func ofMachine(err error) bool {
	_, late := errors.AsType[*warp.LimitError](err)
	_, broken := errors.AsType[*warp.MachineError](err)
	_, wrong := errors.AsType[*warp.JobError](err)
	return late || broken || wrong || errors.Is(err, warp.ErrNoEngine)
}

// machineFailed turns what kept a machine from doing its job into one.
func machineFailed(err error) error {
	if errors.Is(err, warp.ErrNoEngine) {
		return noMachine(err)
	}
	if late, ok := errors.AsType[*warp.LimitError](err); ok {
		return &exitError{exitInternal, err, late.Hint}
	}
	if wrong, ok := errors.AsType[*warp.JobError](err); ok {
		return usageError(err, wrong.Hint)
	}
	if errors.Is(err, context.Canceled) {
		return &exitError{exitNotOK, err, ""}
	}
	return &exitError{exitInternal, err, ""}
}
