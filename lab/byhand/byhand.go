// Package byhand keeps a lab up for as long as somebody wants it: a supervisor
// process holds its network and observers, and answers whoever asks over a UNIX
// socket, from any terminal.
//
// Whatever a lab is ends with its supervisor, however that ends: nothing of it
// has a name but its socket, and where it was asked for the names of its
// network namespaces.
package byhand

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
)

// DefaultName is that of a lab which is given none.
const DefaultName = "lab"

// names are what a lab may be called: it is part of file names, and of those
// that iproute2 shows.
var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$`)

// CheckName tells what is wrong with a lab's name.
func CheckName(name string) error {
	if !names.MatchString(name) {
		return fmt.Errorf("%q is no name for a lab: up to 32 letters, digits, and, but for the first, _ . -", name)
	}
	return nil
}

// called is what a lab is called in a sentence.
func called(name string) string {
	if name == DefaultName {
		return "the lab"
	}
	return "lab " + name
}

// Command is what is typed to do something with a lab of a name.
func Command(name, verb string, args ...string) string {
	line := []string{"sudo lab", verb}
	if name != DefaultName {
		line = append(line, "--name", name)
	}
	return strings.Join(append(line, args...), " ")
}

// A Config says what lab to build.
type Config struct {
	Name   string          `json:"name"`
	Path   topology.Path   `json:"path"`
	Family topology.Family `json:"family,omitempty"` // 0: IPv4
	// ARPFails: the address of a dead host is not resolved any more.
	ARPFails bool              `json:"arp_fails,omitempty"`
	Standby  bool              `json:"standby,omitempty"`
	Firewall topology.Firewall `json:"firewall,omitempty"`
	Delay    time.Duration     `json:"delay,omitempty"` // each way, on the client's link
	Loss     float64           `json:"loss,omitempty"`  // 0 to 1
	// Sysctls by node: "client", "server", "router", "standby".
	Sysctls map[string]map[string]string `json:"sysctls,omitempty"`
	// Grace is the time between SIGTERM and SIGKILL at a shutdown; 0 for
	// topology.DefaultGrace.
	Grace time.Duration `json:"grace,omitempty"`
	// NetNS: the hosts' network namespaces have names for iproute2.
	NetNS bool `json:"netns,omitempty"`
	// Command is the command line that makes such a lab.
	Command string `json:"command"`
}

// open builds the lab.
func (c Config) open() (*lab.Session, error) {
	o := lab.Options{
		Path: c.Path, Family: c.Family, Delay: c.Delay, Loss: c.Loss, Grace: c.Grace, Sysctls: c.Sysctls,
	}
	return lab.Open(c.hand(), o)
}

// Kept is how many events are known while nothing is recorded, for those who
// watch: some ten megabytes.
const Kept = 1 << 14

// hand says how the lab goes on while nothing is recorded.
func (c Config) hand() lab.Hand {
	return lab.Hand{
		Name: c.Name, Title: "a lab, by hand", Command: c.Command, Build: lab.BuildLines(c.ARPFails, c.Standby, c.Firewall),
		Text: true, Typed: true, Keep: Kept,
	}
}

// recorded says how the lab goes on while it is recorded.
func (c Config) recorded() lab.Hand {
	h := c.hand()
	h.Keep = 0
	return h
}

// An Error is one that a supervisor tells of.
type Error struct {
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"`
	Kind Kind   `json:"kind"`
}

func (e *Error) Error() string { return e.Text }

// A Kind says what an Error lies in.
type Kind string

// The kinds of errors.
const (
	Usage    Kind = "usage"    // in what was asked for
	Cannot   Kind = "cannot"   // in the machine, or these privileges
	Refused  Kind = "refused"  // in how things are: there is nothing to act upon
	Internal Kind = "internal" // in lab
)

// errorOf makes what went wrong one that can be told.
func errorOf(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if wrong, ok := errors.AsType[*lab.OptionsError](err); ok {
		if e, ok := errors.AsType[*scenarios.SyntaxError](wrong.Err); ok { // its place is no file's
			return usage(e.Err, upHelp)
		}
		return usage(wrong, upHelp)
	}
	if refused, ok := errors.AsType[*topology.SysctlError](err); ok {
		return usage(err, "the kernel refuses "+refused.Key+" = "+refused.Value)
	}
	if hint, ok := lab.Explain(err); ok {
		return &Error{err.Error(), hint, Cannot}
	}
	return &Error{Text: err.Error(), Kind: Internal}
}

const upHelp = "see lab up --help"

func usage(err error, hint string) *Error { return &Error{err.Error(), hint, Usage} }
