package lab

import (
	"time"

	"github.com/seed-6fefc909/tcplab/lab/programs"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

// Takes is about how long the run will take, computed from its prediction and
// its own pauses.
func (e *Experiment) Takes() time.Duration {
	d := time.Duration(e.prediction.Max) + e.scenario.Takes
	if own := e.scenario.Own; own != nil {
		d = own.When.Time + min(max(d, reactionTime), own.Demand.Within+overtime)
	}
	for _, step := range e.scenario.Steps {
		switch step := step.(type) {
		case scenarios.Fault:
			if step.Kind == "shutdown" && e.hasStubborn() {
				d += e.options.grace()
			}
		case scenarios.Expect:
			if step.Never {
				d += step.Within
			} else if step.After > 0 {
				d = max(d, step.Within)
			}
		}
	}
	return d
}

// hasStubborn tells whether a shutdown will have to wait for SIGKILL.
func (e *Experiment) hasStubborn() bool {
	for _, step := range e.scenario.Steps {
		if s, ok := step.(scenarios.Start); ok && s.Host == "server" && programs.IgnoresSIGTERM(s.Argv[0]) {
			return true
		}
	}
	return false
}
