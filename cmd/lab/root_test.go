package main

import (
	"bytes"
	"errors"
	"testing"
)

// An error may have the names of programs in it.
func TestErrorHarmless(t *testing.T) {
	var b bytes.Buffer
	status(t.Context(), &exitError{exitNotOK, errors.New("\x1b[31mx was ended:\n\tgone"), "see \u009b2J"}, &b)
	if want := "lab: \\x1b[31mx was ended:\n    gone\nhint: see \\x9b2J\n"; b.String() != want {
		t.Errorf("it says %q, want %q", b.String(), want)
	}
}
