package scenarios

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"rsc.io/script"
)

// paths are topology's, which this package does not know.
var paths = []string{"direct", "switch", "router"}

// commands lists the language's commands, in the order of the reference.
func commands() []command {
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
			Detail:  []string{"--delay changes it."},
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

		{"start", groupDo, script.CmdUsage{
			Summary: "run a program on a host",
			Args:    "[-as NAME] HOST PROGRAM [ARG...]",
			Detail: []string{
				"Its name is NAME, or else that of the host. The programs are lab's own: echo-server, echo-client, stubborn.",
				"In an argument {server} stands for the server's address and port, {any} for any address and that port.",
			},
		}, (*compiler).start},
		{"type", groupDo, script.CmdUsage{
			Summary: "type a line into a program's standard input",
			Args:    "PROGRAM TEXT...",
		}, (*compiler).typeText},
		{"eof", groupDo, script.CmdUsage{
			Summary: "end a program's standard input, as Ctrl-D does",
			Args:    "PROGRAM",
		}, (*compiler).eof},
		{"freeze", groupDo, script.CmdUsage{
			Summary: "stop a program, or the process that holds the connection on a host (SIGSTOP)",
			Args:    "WHO",
		}, (*compiler).freeze},
		{"thaw", groupDo, script.CmdUsage{
			Summary: "let it go on (SIGCONT)",
			Args:    "WHO",
		}, (*compiler).thaw},
		{"signal", groupDo, script.CmdUsage{
			Summary: "send a signal to a program, or to the process that holds the connection on a host",
			Args:    "WHO SIGNAL",
		}, (*compiler).signal},
		{"fault", groupDo, script.CmdUsage{
			Summary: "make a process, a host or the network go away",
			Args:    "KIND [HOST]",
			Detail:  []string{"The kinds are below. The first fault is the run's time zero; what it must look like on the wire is verified."},
		}, (*compiler).fault},
		{"heal", groupDo, script.CmdUsage{
			Summary: "take back what the network was told to do to packets",
			Args:    "",
		}, (*compiler).heal},
		{"zero", groupDo, script.CmdUsage{
			Summary: "let times count from here, in a scenario without a fault",
			Args:    "TEXT...",
		}, (*compiler).zeroHere},
		{"sockets", groupDo, script.CmdUsage{
			Summary: "note the socket tables of the hosts, as netstat shows them",
			Args:    "",
		}, (*compiler).sockets},

		{"expect", groupSee, script.CmdUsage{
			Summary: "wait for an event that must be seen",
			Args:    "[-after TIME] [-within TIME] [-since act|fault|seen|start] [-times N] [-told] WHO EVENT",
			Detail: []string{
				"The events are below. The event must come after -after and before -within, counted from -since: the last thing that the script did (act, the default), the first fault, the event that the last expectation saw, or the start of the run. Without -within it is waited for generously.",
				"-times N waits for the N-th such event. -told says that this event tells the program of its peer's end: it is waited for as long as the prediction says, and may be any of the errors that the kernel's rules leave.",
				"! expect -for TIME: no such event from -since on until TIME has passed.",
			},
		}, (*compiler).expect},
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
	return nil
}

func (c *compiler) firewall(args []string) error {
	if len(args) != 1 || args[0] != "drop" && args[0] != "reset" {
		return script.ErrUsage
	}
	c.scenario.Firewall = args[0]
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
	if c.down[name] {
		return fmt.Errorf("%s is down by then", name)
	}
	return nil
}

// who is a host or a program.
func (c *compiler) who(name string) error {
	if c.host(name) == nil || c.program(name) == nil {
		return nil
	}
	return fmt.Errorf("%q is neither a host (%s) nor a program that was started", name, strings.Join(c.hosts(), ", "))
}

func (c *compiler) start(args []string) error {
	f := flags("start")
	as := f.String("as", "", "")
	args, err := parse(f, args)
	if err != nil {
		return err
	}
	if len(args) < 2 {
		return script.ErrUsage
	}
	host, argv := args[0], args[1:]
	if err := errors.Join(c.host(host), c.alive(host)); err != nil {
		return err
	}
	name := host
	if *as != "" {
		name = *as
		if slices.Contains(Nodes, name) || strings.ContainsAny(name, " ()=\t") {
			return fmt.Errorf("-as %q: not a name for a program", name)
		}
	}
	if _, taken := c.programs[name]; taken {
		return fmt.Errorf("there is a program %s already: -as gives another name", name)
	}
	if len(c.programs) == maxPrograms || len(argv) > maxArgs {
		return fmt.Errorf("more than %d programs or %d arguments", maxPrograms, maxArgs)
	}
	for _, a := range argv {
		if len(a) > maxText || strings.ContainsRune(a, 0) {
			return errors.New("an argument is too long, or has a NUL in it")
		}
	}
	c.programs[name] = host
	return c.add(Start{line: c.line(), Name: name, Host: host, Argv: argv})
}

func (c *compiler) typeText(args []string) error {
	if len(args) < 2 {
		return script.ErrUsage
	}
	if err := c.input(args[0]); err != nil {
		return err
	}
	text := strings.Join(args[1:], " ")
	if len(text) > maxText {
		return fmt.Errorf("more than %d octets", maxText)
	}
	return c.add(Type{line: c.line(), Program: args[0], Text: text})
}

func (c *compiler) eof(args []string) error {
	if len(args) != 1 {
		return script.ErrUsage
	}
	if err := c.input(args[0]); err != nil {
		return err
	}
	c.ended[args[0]] = true
	return c.add(CloseInput{line: c.line(), Program: args[0]})
}

func (c *compiler) freeze(args []string) error { return c.stop(args, false) }
func (c *compiler) thaw(args []string) error   { return c.stop(args, true) }

func (c *compiler) stop(args []string, thaw bool) error {
	if len(args) != 1 {
		return script.ErrUsage
	}
	if err := errors.Join(c.who(args[0]), c.alive(args[0])); err != nil {
		return err
	}
	return c.add(Freeze{line: c.line(), Who: args[0], Thaw: thaw})
}

func (c *compiler) signal(args []string) error {
	if len(args) != 2 {
		return script.ErrUsage
	}
	if err := errors.Join(c.who(args[0]), c.alive(args[0])); err != nil {
		return err
	}
	if unix.SignalNum(args[1]) == 0 {
		return fmt.Errorf("no signal %q: such as SIGTERM", args[1])
	}
	return c.add(Signal{line: c.line(), Who: args[0], Signal: args[1]})
}

func (c *compiler) fault(args []string) error {
	if len(args) == 0 || len(args) > 2 {
		return script.ErrUsage
	}
	kind := faultKind(args[0])
	if kind == nil {
		var list []Word
		for _, k := range FaultKinds() {
			list = append(list, Word{k.Name, k.Summary})
		}
		return fmt.Errorf("no fault %q: there are %s", args[0], names(list))
	}
	if kind.Host != (len(args) == 2) {
		if kind.Host {
			return fmt.Errorf("%s of which host?", kind.Name)
		}
		return fmt.Errorf("%s is no host's", kind.Name)
	}
	f := Fault{line: c.line(), Kind: kind.Name}
	if kind.Host {
		if err := errors.Join(c.host(args[1]), c.alive(args[1])); err != nil {
			return err
		}
		f.Host = args[1]
		c.down[f.Host] = kind.down
	}
	c.zero = true
	return c.add(f)
}

func (c *compiler) heal(args []string) error {
	if len(args) != 0 {
		return script.ErrUsage
	}
	return c.add(Heal{line: c.line()})
}

func (c *compiler) zeroHere(args []string) error {
	if len(args) == 0 {
		return script.ErrUsage
	}
	if c.zero {
		return errors.New("the run has its time zero already")
	}
	c.zero = true
	return c.add(Zero{line: c.line(), What: strings.Join(args, " ")})
}

func (c *compiler) sockets(args []string) error {
	if len(args) != 0 {
		return script.ErrUsage
	}
	return c.add(Sockets{line: c.line()})
}

func (c *compiler) expect(args []string) error {
	f := flags("expect")
	within, after, during := f.Duration("within", 0, ""), f.Duration("after", 0, ""), f.Duration("for", 0, "")
	since, times, told := f.String("since", "act", ""), f.Int("times", 1, ""), f.Bool("told", false, "")
	args, err := parse(f, args)
	if err != nil {
		return err
	}
	if len(args) < 2 {
		return script.ErrUsage
	}
	x := Expect{line: c.line(), After: *after, Within: *within, Times: *times, Detection: *told}
	x.Never, x.Optional = c.prefix() == "!", c.prefix() == "?"
	switch {
	case x.Never && (*during <= 0 || *within != 0 || *after != 0 || *told):
		return errors.New("! expect wants -for TIME, and no window")
	case !x.Never && *during != 0:
		return errors.New("-for TIME is for ! expect")
	case *within < 0 || *after < 0 || *within > maxTime || *after > maxTime || *during > maxTime:
		return fmt.Errorf("a time must be between 0 and %v", maxTime)
	case *within > 0 && *after > *within, *within == 0 && *after > 0:
		return errors.New("-after wants a later -within")
	case *times < 1 || *times > 100_000:
		return fmt.Errorf("-times %d: between 1 and 100000", *times)
	}
	if x.Never {
		x.Within = *during
	}
	switch *since {
	case "act":
	case "fault":
		x.Since = SinceFault
		if !c.zero {
			return errors.New("-since fault: there was none yet")
		}
	case "seen":
		x.Since = SinceSeen
	case "start":
		x.Since = SinceStart
	default:
		return fmt.Errorf("-since %q: there are act, fault, seen, start", *since)
	}
	if x.Detection && !c.zero {
		return errors.New("-told: there was no fault yet")
	}
	x.Event, err = c.event(args)
	if err != nil {
		return err
	}
	return c.add(x)
}

func number(s string, most int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("%q is no number between 0 and %d", s, most)
	}
	return n, nil
}
