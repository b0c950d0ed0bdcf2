package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rsc.io/script"
)

// paths are topology's, which this package does not know.
var paths = []string{"direct", "switch", "router"}

// buildCommands say what is built.
func buildCommands() []command {
	return []command{
		{"path", groupBuild, script.CmdUsage{
			Summary: "what lies between the two hosts",
			Args:    "[-only] PATH...",
			Detail: []string{
				"The first PATH is built, unless --path asks for another: direct (one veth pair), switch (a bridge between) or router (a routed hop between).",
				"With -only, the scenario is what it says on these paths only.",
			},
		}, (*compiler).path},
		{"arp", groupBuild, script.CmdUsage{
			Summary: "whether a dead host's address is still resolved",
			Args:    "answered | fails",
			Detail:  []string{"answered: something in the network goes on answering ARP (IPv6: neighbour discovery) for it, as the fabrics of clouds do. fails: as on a plain LAN; the default."},
		}, (*compiler).arp},
		{"standby", groupBuild, script.CmdUsage{
			Summary: "have a third host, which can take the server's address over",
			Args:    "",
		}, (*compiler).standby},
		{"firewall", groupBuild, script.CmdUsage{
			Summary: "let the router know its flows",
			Args:    "drop | reset",
			Detail:  []string{"What belongs to no flow that it saw begin is dropped, or answered with a RST."},
		}, (*compiler).firewall},
		{"delay", groupBuild, script.CmdUsage{
			Summary: "delay what passes the client's link, each way",
			Args:    "TIME",
			Detail:  []string{"--delay can make it longer, and --delay 0 takes it away."},
		}, (*compiler).delay},
		{"sysctl", groupBuild, script.CmdUsage{
			Summary: "set a sysctl of a host's network",
			Args:    "client|server|router|standby KEY=VALUE",
		}, (*compiler).sysctl},
		{"predict", groupBuild, script.CmdUsage{
			Summary: "the rule of the kernel's that the outcome must follow",
			Args:    "MODEL [TIME]",
			Detail:  []string{"The run's verdict holds what was measured against it. The models are below. Without, nothing is predicted, and the expectations and checks alone decide."},
		}, (*compiler).predict},
		{"verify", groupBuild, script.CmdUsage{
			Summary: "check more of what was seen than the fault's kind brings along",
			Args:    "CHECK...",
			Detail:  []string{"The checks are below. They are part of the run's signature."},
		}, (*compiler).verify},
		{"takes", groupBuild, script.CmdUsage{
			Summary: "about how long a run takes, where no prediction tells",
			Args:    "TIME",
			Detail:  []string{"It is what lab list shows."},
		}, (*compiler).takes},
	}
}

func (c *compiler) path(args []string) error {
	f := flags("path")
	only := f.Bool("only", false, "")
	args, err := parse(f, args)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return script.ErrUsage
	}
	for _, p := range args {
		if !slices.Contains(paths, p) {
			return fmt.Errorf("%q: there are %s", p, strings.Join(paths, ", "))
		}
	}
	s := c.scenario
	s.Only, s.Paths = *only, args
	if s.Variant.Path == "" {
		s.Path = args[0]
	}
	return nil
}

func (c *compiler) arp(args []string) error {
	if len(args) != 1 || args[0] != "answered" && args[0] != "fails" {
		return script.ErrUsage
	}
	c.scenario.AnswerARP = args[0] == "answered"
	return nil
}

func (c *compiler) standby(args []string) error {
	if len(args) != 0 {
		return script.ErrUsage
	}
	c.scenario.Standby = true
	return c.require(needsSwitch)
}

func (c *compiler) firewall(args []string) error {
	if len(args) != 1 || args[0] != "drop" && args[0] != "reset" {
		return script.ErrUsage
	}
	c.scenario.Firewall = args[0]
	return c.require(needsRouter)
}

// require notes what the current line needs of the network.
func (c *compiler) require(n need) error {
	c.scenario.requirements = append(c.scenario.requirements, requirement{c.line(), n})
	return nil
}

// MaxDelay is the longest delay of a link: what is longer under way is taken
// for another packet.
const MaxDelay = 2 * time.Second

func (c *compiler) delay(args []string) error {
	if len(args) != 1 {
		return script.ErrUsage
	}
	d, err := duration(args[0])
	if err != nil {
		return err
	}
	if d > MaxDelay {
		return fmt.Errorf("%v: %v at most", d, MaxDelay)
	}
	c.scenario.Delay = d
	return nil
}

// Nodes are those that have sysctls.
var Nodes = []string{"client", "server", "router", "standby"}

func (c *compiler) sysctl(args []string) error {
	if len(args) != 2 {
		return script.ErrUsage
	}
	node := args[0]
	if !slices.Contains(Nodes, node) {
		return fmt.Errorf("no host %q, but %s", node, strings.Join(Nodes, ", "))
	}
	key, value, err := CutSysctl(args[1])
	if err != nil {
		return err
	}
	if c.scenario.Sysctls[node] == nil {
		c.scenario.Sysctls[node] = map[string]string{}
	}
	c.scenario.Sysctls[node][key] = value
	c.scenario.Settings = append(c.scenario.Settings, Setting{c.line(), node, key, value})
	switch node {
	case "router":
		return c.require(needsRouter)
	case "standby":
		return c.require(needsStandby)
	}
	return nil
}

// CutSysctl reads KEY=VALUE.
func CutSysctl(s string) (key, value string, err error) {
	key, value, found := strings.Cut(s, "=")
	if !found || key == "" || value == "" {
		return "", "", fmt.Errorf("sysctl %q: not of the form KEY=VALUE", s)
	}
	if !strings.HasPrefix(key, "net.") || strings.ContainsAny(key, "/ \t\n\x00") || strings.Contains(key, "..") {
		return "", "", fmt.Errorf("sysctl %q: only those below net. belong to a host's network, spelled with dots", s)
	}
	return key, value, nil
}

func duration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("time %q: such as 300ms, 2.5s, 1m30s", s)
	}
	if d < 0 || d > maxTime {
		return 0, fmt.Errorf("time %v: between 0 and %v", d, maxTime)
	}
	return d, nil
}

func (c *compiler) predict(args []string) error {
	if len(args) == 0 || len(args) > 2 {
		return script.ErrUsage
	}
	if !known(Models(), args[0]) {
		return fmt.Errorf("no model %q: there are %s", args[0], names(Models()))
	}
	p := Prediction{Model: args[0]}
	if takes := args[0] == "heartbeat"; takes != (len(args) == 2) {
		if takes {
			return fmt.Errorf("%s takes a time", args[0])
		}
		return fmt.Errorf("%s takes no time", args[0])
	}
	if len(args) == 2 {
		var err error
		if p.Value, err = duration(args[1]); err != nil {
			return err
		}
	}
	c.scenario.Predict = p
	return nil
}

func (c *compiler) takes(args []string) error {
	if len(args) != 1 {
		return script.ErrUsage
	}
	d, err := duration(args[0])
	c.scenario.Takes = d
	return err
}

func (c *compiler) verify(args []string) error {
	if len(args) == 0 {
		return script.ErrUsage
	}
	for _, name := range args {
		if !known(Checks(), name) {
			return fmt.Errorf("no check %q: see lab help scenario", name)
		}
		if slices.Contains(c.scenario.Verify, name) {
			return fmt.Errorf("%s twice", name)
		}
		c.scenario.Verify = append(c.scenario.Verify, name)
	}
	return nil
}
