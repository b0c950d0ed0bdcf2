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
	Loss      float64 // 0 to 1
	// Sysctls by node and name, beyond or instead of the kernel's defaults.
	Sysctls map[string]map[string]string

	Predict Prediction
	Verify  []string      // checks beyond those that the faults bring along
	Takes   time.Duration // about, beyond what the prediction says
	Steps   []Step
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

// Checks lists the names of all checks of the run's signature: those of its
// first fault, and those that the scenario adds.
func (s *Scenario) Checks() []string {
	var names []string
	seen := map[string]bool{}
	add := func(list []string) {
		for _, name := range list {
			if !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	if faults := s.Faults(); len(faults) > 0 {
		add(faultKind(faults[0].Kind).Checks)
	}
	add(s.Verify)
	return names
}

// Check tells whether the scenario's network has what its steps need.
func (s *Scenario) Check() error {
	for _, step := range s.Steps {
		needs := need("")
		switch step := step.(type) {
		case Fault:
			needs = faultKind(step.Kind).needs
		case Heal:
			needs = needsMiddle
		}
		if !needs.met(s) {
			return &SyntaxError{step.Place(), fmt.Errorf("%s: it takes %s; the path is %s", step, needs, s.Path)}
		}
	}
	return nil
}
