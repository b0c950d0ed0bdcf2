// Package viewer shows a run's packets in Wireshark or tshark while the run goes
// on.
package viewer

import (
	"errors"
	"os"
	"os/exec"
)

// A Program is one that reads a capture from its standard input and shows it as
// it comes.
type Program struct {
	Name string // as one calls it: Wireshark, tshark
	Argv []string
	// Window: it shows the capture in a window of its own, which stays. Else
	// it prints, and ends where the capture does.
	Window bool
}

// ErrNone: no such program can be used here. Hint says what to do about that.
var ErrNone = errors.New("neither Wireshark, with a display, nor tshark is here")

// Hint says how to get a program.
const Hint = "sudo apt-get install tshark, or wireshark where there is a display"

// Find finds Wireshark where there is a display for it, else tshark.
func Find() (Program, error) {
	if os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != "" {
		if path, err := exec.LookPath("wireshark"); err == nil {
			return Program{"Wireshark", []string{path, "-k", "-i", "-"}, true}, nil
		}
	}
	if path, err := exec.LookPath("tshark"); err == nil {
		// -r, not -i: for that dumpcap is needed, which most users may not
		// execute. -n: no names are asked for.
		return Program{"tshark", []string{path, "-n", "-l", "-r", "-"}, false}, nil
	}
	return Program{}, ErrNone
}
