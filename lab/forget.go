package lab

import "slices"

// maxPast is how much is kept, of an experiment that keeps only the last events,
// of what else becomes more with time: faults, expectations, programs that have
// ended.
const maxPast = 100

// forget drops what is beyond that.
func (e *Experiment) forget() {
	if e.timeline.keep == 0 {
		return
	}
	e.later, e.expectations = last(e.later), last(e.expectations)
	past := 0
	for _, p := range e.programs {
		if _, ended := p.ended(); ended {
			past++
		}
	}
	kept := slices.DeleteFunc(slices.Clone(e.programs), func(p *program) bool {
		if _, ended := p.ended(); !ended || past <= maxPast {
			return false
		}
		past--
		p.close()
		return true
	})
	e.mu.Lock()
	e.programs = kept
	e.mu.Unlock()
}

// last are the last maxPast of a list.
func last[T any](list []T) []T { return slices.Delete(list, 0, max(0, len(list)-maxPast)) }
