package labtest

import (
	"sync"

	"github.com/seed-6fefc909/tcplab/lab"
)

// A process is what the networks of a test process share: the eBPF programs,
// which take longer to load than all else, and which the kernel would run once
// for each copy. And it counts.
type process struct {
	dir    string // in which it was started, "" if that is not known
	mu     sync.Mutex
	tracer *lab.Tracer       // nil while there is no network
	users  int               // networks, and those who make one
	named  map[string]int    // networks that live, by their test's name
	warped map[string]uint64 // runs in machines, by their test's name
}

// shared is the one variable of the package: parallel tests know nothing of
// each other. The last network that is closed leaves it as it was, but for the
// count.
var shared process

// join counts a network of a test in. number is 1 for the first that lives.
func (p *process) join(test string) (tracer *lab.Tracer, number int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users++; p.tracer == nil {
		p.tracer, p.named = lab.NewTracer(), map[string]int{}
	}
	p.named[test]++
	return p.tracer, p.named[test]
}

// leave counts it out again.
func (p *process) leave(test string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.named[test]--
	if p.users--; p.users > 0 {
		return nil
	}
	tracer := p.tracer
	p.tracer, p.named = nil, nil
	return tracer.Close()
}

// runs counts a test's run in a machine, and returns how many came before.
func (p *process) runs(test string) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.warped == nil {
		p.warped = map[string]uint64{}
	}
	before := p.warped[test]
	p.warped[test]++
	return before
}
