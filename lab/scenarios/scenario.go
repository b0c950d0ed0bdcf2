// Package scenarios holds the language that a scenario is written in, and the
// built-in ones: what is built, who runs, what goes away, what must be seen.
// It does nothing itself.
package scenarios

import (
	"fmt"
	"time"
)

// A Source is a scenario as it is written: a script, and texts for a reader.
type Source struct {
	Name string // the file's name, without its extension
	File string // as errors and expectations call it
	Text string // all of it

	Title   string // the question, in a sentence
	Dies    string // what goes away, in a few words
	Sees    string // what the client sees of it
	Story   []string
	Why     []string // what a run's verdict is explained with
	Sources []string // where it is described
	Next    []string // scenarios to look at next

	script  string
	builtin bool
}

// A Variant is what the conditions in a script depend on.
type Variant struct {
	Real   bool   // the kernel's own timers
	Family int    // 4 or 6: of IP
	Path   string // instead of the script's own, "" for that
}

// A Scenario is what a Source comes to in one Variant.
type Scenario struct {
	*Source
	Variant

	Path string // the one to build; see topology.Path
	// Only tells that Paths are all on which the scenario is what it says.
	Only  bool
	Paths []string
	// AnswerARP: something goes on resolving a dead host's address.
	AnswerARP bool
	Standby   bool   // a third host waits to take the server's address over
	Firewall  string // what the router does with segments of no flow it knows: "", "drop" or "reset"
	Delay     time.Duration
	// Sysctls by node and name, beyond or instead of the kernel's defaults.
	Sysctls map[string]map[string]string
	// Settings are the lines that Sysctls come from.
	Settings []Setting

	Predict Prediction
	Verify  []string      // checks beyond those that the faults bring along
	Takes   time.Duration // about, beyond what the prediction says
	Steps   []Step
	// Own are the user's programs, if they are in the place of the scenario's.
	Own *Own
	// ByHand: the steps come one by one (Lines), and Steps has the last one.
	ByHand bool
	// Typed: a person types them, who may leave out what goes without saying,
	// and sees how things are.
	Typed bool

	requirements []requirement
}

// A Setting is a line that sets a sysctl of a node.
type Setting struct {
	line
	Node, Key, Value string
}

// A requirement is what a line that says what is built needs itself.
type requirement struct {
	line
	needs need
}

// A Prediction names the rule that the detection must follow.
type Prediction struct {
	Model string
	Value time.Duration // where the model takes one
}

// Faults lists the kinds of the scenario's faults, in their order.
func (s *Scenario) Faults() []Fault {
	var list []Fault
	for _, step := range s.Steps {
		if f, ok := step.(Fault); ok {
			list = append(list, f)
		}
	}
	return list
}

// Check tells whether the scenario's network has what its lines need.
func (s *Scenario) Check() error {
	for _, r := range s.requirements {
		if err := r.needs.check(s, r.line); err != nil {
			return err
		}
	}
	for _, step := range s.Steps {
		needs := need("")
		switch step := step.(type) {
		case Fault:
			needs = faultKind(step.Kind).needs
		case Heal:
			needs = needsMiddle
		}
		if err := needs.check(s, step); err != nil {
			return err
		}
	}
	return nil
}

// check is met, with an error that names the line.
func (n need) check(s *Scenario, at Step) error {
	if n.met(s) {
		return nil
	}
	return &SyntaxError{at.Place(), &NeedError{at.String(), string(n), s.Path, n.build()}}
}

// A NeedError says that the scenario's network has not what a line needs.
type NeedError struct {
	Line, Need, Path string
	Build            []string // lines that build a network which has it
}

func (e *NeedError) Error() string {
	return fmt.Sprintf("%s: it takes %s; the path is %s", e.Line, e.Need, e.Path)
}

// A DownError is of something that befalls a host which is down when a person
// asks for it.
type DownError struct{ Host string }

func (e *DownError) Error() string { return e.Host + " is down" }
