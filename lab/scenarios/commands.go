package scenarios

import (
	"fmt"
	"slices"
	"strings"
)

// commands lists the language's commands, in the order of the reference.
func commands() []command {
	return slices.Concat(buildCommands(), doCommands(), seeCommands())
}

// hosts are those that the scenario has.
func (c *compiler) hosts() []string {
	list := []string{"client", "server"}
	if c.scenario.Standby {
		list = append(list, "standby")
	}
	return list
}

func (c *compiler) host(name string) error {
	if !slices.Contains(c.hosts(), name) {
		return fmt.Errorf("no host %q, but %s", name, strings.Join(c.hosts(), ", "))
	}
	return nil
}

func (c *compiler) program(name string) error {
	if _, ok := c.programs[name]; !ok {
		return fmt.Errorf("no program %q was started", name)
	}
	return nil
}

// input is a program whose standard input was not ended.
func (c *compiler) input(name string) error {
	if err := c.program(name); err != nil {
		return err
	}
	if c.ended[name] {
		return fmt.Errorf("the input of %s was ended before", name)
	}
	return nil
}

// alive is a host that no fault has ended, or a program on one.
func (c *compiler) alive(name string) error {
	if host, ok := c.programs[name]; ok && c.host(name) != nil {
		name = host
	}
	switch {
	case !c.down[name]:
		return nil
	case c.scenario.Typed:
		return &DownError{name}
	}
	return fmt.Errorf("%s is down by then", name)
}

// who is a host or a program.
func (c *compiler) who(name string) error {
	if c.host(name) == nil || c.program(name) == nil {
		return nil
	}
	return fmt.Errorf("%q is neither a host (%s) nor a program that was started", name, strings.Join(c.hosts(), ", "))
}
