package scenarios

import (
	"errors"
	"strings"
)

// Lines are a scenario by hand: its lines come one by one, while it is
// performed. First those that say what is built, then, once Built was called,
// the steps.
type Lines struct{ c *compiler }

// NewLines begins one. The file is what errors call where a line stands.
func NewLines(name, file string, v Variant) *Lines {
	s := &Scenario{
		Source: &Source{Name: name, File: file}, Variant: v, Path: v.Path, ByHand: true,
		Sysctls: map[string]map[string]string{},
	}
	return &Lines{newCompiler(s)}
}

// Typed says that a person types the steps.
func (l *Lines) Typed() { l.c.scenario.Typed = true }

// Built ends what is built, and returns the scenario. Its Steps become those
// of the line that was added last.
func (l *Lines) Built() *Scenario {
	if l.c.scenario.Path == "" {
		l.c.scenario.Path = "direct"
	}
	l.c.built = true
	return l.c.scenario
}

// Add compiles a line, which is checked against all before it, and returns
// its step; nil if its condition does not hold.
func (l *Lines) Add(file string, number int, text string) (Step, error) {
	s := l.c.scenario
	if strings.ContainsAny(text, "\r\n") {
		return nil, &SyntaxError{line{file: file, number: number}.Place(), errors.New("more than one line")}
	}
	own := s.File
	defer func() { s.File = own }()
	s.File, s.Steps = file, nil
	if err := l.c.read(text, number-1); err != nil {
		return nil, err
	}
	if len(s.Steps) == 0 {
		return nil, nil
	}
	return s.Steps[0], s.Check()
}

// Renew begins another scenario with what was built, and the programs.
func (l *Lines) Renew(name, title string) *Scenario {
	s := *l.c.scenario
	s.Source, s.Steps = &Source{Name: name, File: name, Title: title}, nil
	l.c.scenario, l.c.zero = &s, false
	return &s
}

// Power tells whether a host is down, whatever the lines so far come to.
func (l *Lines) Power(host string, down bool) { l.c.down[host] = down }

// Program makes a program known that is not started by a line. Another of the
// name is forgotten.
func (l *Lines) Program(name, host string) error {
	if err := errors.Join(l.c.host(host), l.c.alive(host)); err != nil {
		return err
	}
	l.c.programs[name] = host
	delete(l.c.ended, name)
	return nil
}
