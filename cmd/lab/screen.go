package main

import (
	"os"

	"golang.org/x/term"

	"github.com/seed-6fefc909/tcplab/lab/report"
)

// screenOf is what results are shown on: the zero value for anything that is no
// terminal, as a file or a pipe.
func screenOf(f *os.File) report.Screen {
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		return report.Screen{}
	}
	return report.Screen{Width: width, Colour: terminal(f)}
}

// terminal tells whether f is a terminal that can be drawn on, and whose user
// has not asked for plain lines.
func terminal(f *os.File) bool {
	return term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" && os.Getenv("TERM") != "" &&
		os.Getenv("CI") == "" && os.Getenv("NO_COLOR") == ""
}
