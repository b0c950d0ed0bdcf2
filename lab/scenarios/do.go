package scenarios

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	"rsc.io/script"
)

// doCommands say what is done.
func doCommands() []command {
	return []command{
		{"start", groupDo, script.CmdUsage{
			Summary: "run a program on a host",
			Args:    "[-as NAME] HOST PROGRAM [ARG...]",
			Detail: []string{
				"Its name is NAME, or else that of the host. The programs are lab's own, echo-server, echo-client and stubborn, or any other that is found in PATH, as it is: it runs with lab's environment and in its working directory, as the user who called sudo.",
				"In an argument {server}, {client} and {any} stand for addresses, the last for any; {port} is 9998, {server:port} and {any:port} are both in one; {dir} is a directory for this host and this run alone.",
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
	}
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
	if len(c.programs) >= maxPrograms && !c.scenario.Typed || len(argv) > maxArgs {
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
	if thaw && len(args) == 0 && c.scenario.Typed { // whatever was frozen
		return c.add(Freeze{line: c.line(), Thaw: true})
	}
	who, pid, err := c.whom(args)
	if err != nil {
		return err
	}
	if err := errors.Join(c.who(who), c.alive(who)); err != nil {
		return err
	}
	if pid != 0 && c.host(who) != nil {
		return c.host(who)
	}
	return c.add(Freeze{line: c.line(), Who: who, PID: pid, Thaw: thaw})
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
