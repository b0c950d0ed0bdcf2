// Package suite reads what is asked of somebody's own programs out of a small
// text file, to be kept beside them: the programs, the ways in which the server
// goes away, and what the client must do about each.
package suite

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"rsc.io/script"

	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

// A Suite is what a file asks for.
type Suite struct {
	File           string
	Server, Client []string // command lines; empty: lab's own
	User           string
	Input          string // the client's standard input, "" for none
	Sysctls        []string
	Real           bool
	Cases          []Case
}

// A Case is one way of going away, and what must come of it.
type Case struct {
	Line     int
	Scenario string
	Family   int
	Path     string
	Real     bool
	When     scenarios.When
	Demand   scenarios.Demand
}

// maxSource bounds a file, in octets.
const maxSource = 1 << 20

// A reader turns the lines of a file into a suite.
type reader struct {
	suite  *Suite
	line   int
	when   scenarios.When
	expect string
	within time.Duration
	family int
	err    error
}

// A command of the language.
type command struct {
	name  string
	usage script.CmdUsage
	run   func(r *reader, args []string) error
}

func commands() []command {
	word := func(set func(r *reader, s string) error) func(*reader, []string) error {
		return func(r *reader, args []string) error {
			if len(args) != 1 {
				return script.ErrUsage
			}
			return set(r, args[0])
		}
	}
	return []command{
		{"server", script.CmdUsage{
			Summary: "the server, instead of lab's own", Args: "PROGRAM [ARG...]",
			Detail: []string{"{server}, {client}, {port} and {dir} are filled in, as with lab run --server."},
		}, func(r *reader, args []string) error { return program(&r.suite.Server, args) }},
		{"client", script.CmdUsage{
			Summary: "the client, instead of lab's own", Args: "PROGRAM [ARG...]",
		}, func(r *reader, args []string) error { return program(&r.suite.Client, args) }},
		{"user", script.CmdUsage{Summary: "run them as this user", Args: "USER"}, word(func(r *reader, s string) error {
			r.suite.User = s
			return nil
		})},
		{"input", script.CmdUsage{Summary: "the client's standard input", Args: "FILE"}, word(func(r *reader, s string) error {
			r.suite.Input = s
			return nil
		})},
		{"sysctl", script.CmdUsage{Summary: "set a sysctl of a host's network", Args: "[HOST:]KEY=VALUE"}, word(func(r *reader, s string) error {
			r.suite.Sysctls = append(r.suite.Sysctls, s)
			return nil
		})},
		{"real", script.CmdUsage{Summary: "leave all timers as the kernel has them"}, func(r *reader, args []string) error {
			if len(args) > 0 {
				return script.ErrUsage
			}
			r.suite.Real = true
			return nil
		}},
		{"when", script.CmdUsage{
			Summary: "the fault's moment, of the cases that follow",
			Args:    "connected | idle:TIME | after-bytes:N | output:REGEXP | at:TIME",
		}, word(func(r *reader, s string) (err error) {
			r.when, err = scenarios.ParseWhen(s)
			return err
		})},
		{"expect", script.CmdUsage{
			Summary: "what the client must be told, or how it must end, in the cases that follow",
			Args:    "ERRNO | EOF | exit=N | anything",
		}, word(func(r *reader, s string) error {
			r.expect = strings.TrimPrefix(s, "anything")
			_, err := scenarios.ParseDemand(r.expect, 0)
			return err
		})},
		{"within", script.CmdUsage{Summary: "how soon, in the cases that follow", Args: "TIME"}, word(func(r *reader, s string) (err error) {
			if r.within, err = time.ParseDuration(s); err == nil && r.within <= 0 {
				err = errors.New("longer than nothing")
			}
			return err
		})},
		{"family", script.CmdUsage{Summary: "that of IP, in the cases that follow", Args: "4 | 6"}, word(func(r *reader, s string) error {
			switch s {
			case "4", "6":
				r.family = int(s[0] - '0')
				return nil
			}
			return script.ErrUsage
		})},
		{"run", script.CmdUsage{
			Summary: "a case for each of these scenarios, or for every way of going away",
			Args:    "[-expect WHAT] [-within TIME] [-when MOMENT] [-path PATH] NAME... | all",
		}, (*reader).run},
	}
}

func program(argv *[]string, args []string) error {
	if len(args) == 0 {
		return script.ErrUsage
	}
	if *argv != nil {
		return errors.New("named twice")
	}
	*argv = args
	return nil
}

// run adds cases.
func (r *reader) run(args []string) error {
	f := flag.NewFlagSet("run", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	expect, within := f.String("expect", r.expect, ""), f.Duration("within", r.within, "")
	when, path := f.String("when", "", ""), f.String("path", "", "")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return script.ErrUsage
		}
		return err
	}
	if f.NArg() == 0 {
		return script.ErrUsage
	}
	c := Case{Line: r.line, Family: r.family, Path: *path, When: r.when}
	var err error
	if c.Demand, err = scenarios.ParseDemand(strings.TrimPrefix(*expect, "anything"), *within); err != nil {
		return err
	}
	if *when != "" {
		if c.When, err = scenarios.ParseWhen(*when); err != nil {
			return err
		}
	}
	for _, name := range f.Args() {
		if name == "all" {
			for _, s := range scenarios.Ways(scenarios.All(), scenarios.Variant{Family: c.Family, Path: c.Path}) {
				if !r.has(s.Name, c) { // one with limits of its own comes before
					c.Scenario = s.Name
					r.suite.Cases = append(r.suite.Cases, c)
				}
			}
			continue
		}
		if s, near := scenarios.Find(name); s == nil {
			err := fmt.Errorf("unknown scenario %q", name)
			if near != "" {
				err = fmt.Errorf("%w: did you mean %s?", err, near)
			}
			return err
		}
		if r.has(name, c) {
			return fmt.Errorf("%s: named twice", name)
		}
		c.Scenario = name
		r.suite.Cases = append(r.suite.Cases, c)
	}
	return nil
}

// has tells whether there is a case of the scenario already.
func (r *reader) has(name string, like Case) bool {
	return slices.ContainsFunc(r.suite.Cases, func(c Case) bool {
		return c.Scenario == name && c.Family == like.Family && c.Path == like.Path
	})
}

// Read reads a suite; file is what errors call it.
func Read(file string, in io.Reader) (*Suite, error) {
	text, err := io.ReadAll(io.LimitReader(in, maxSource+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	if len(text) > maxSource {
		return nil, &scenarios.SyntaxError{Place: file + ":1", Err: fmt.Errorf("longer than %d octets", maxSource)}
	}
	r := &reader{suite: &Suite{File: file}, family: 4}
	engine := &script.Engine{Cmds: map[string]script.Cmd{}, Conds: map[string]script.Cond{}}
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
		engine.Cmds[c.name] = script.Command(c.usage, func(_ *script.State, args ...string) (script.WaitFunc, error) {
			return nil, r.command(c, args)
		})
	}
	state, err := script.NewState(context.Background(), "/", []string{})
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(text) {
		r.line++
		if scenarios.HasVariable(string(line)) {
			return nil, r.syntax(errors.New("there are no variables: put what has a $ in it into 'single quotes'"), names)
		}
		err := engine.Execute(state, file, bufio.NewReader(bytes.NewReader(line)), io.Discard)
		if r.err != nil {
			err = r.err
		}
		if err != nil {
			return nil, r.syntax(err, names)
		}
	}
	if len(r.suite.Server) == 0 && len(r.suite.Client) == 0 {
		return nil, r.syntax(errors.New("neither a server nor a client is named"), names)
	}
	if len(r.suite.Cases) == 0 {
		return nil, r.syntax(errors.New("nothing is run"), names)
	}
	return r.suite, nil
}

// command does one, and keeps its error, which the engine would decorate.
func (r *reader) command(c command, args []string) error {
	err := c.run(r, args)
	if errors.Is(err, script.ErrUsage) {
		err = errors.New(strings.TrimSpace("usage: " + c.name + " " + c.usage.Args))
	} else if err != nil {
		err = fmt.Errorf("%s: %w", c.name, err)
	}
	r.err = err
	return err
}

// syntax says where an error is.
func (r *reader) syntax(err error, names []string) error {
	if e, ok := errors.AsType[*script.CommandError](err); ok && !slices.Contains(names, e.Op) {
		err = fmt.Errorf("unknown command %q: there are %s", e.Op, strings.Join(names, ", "))
	}
	return &scenarios.SyntaxError{Place: fmt.Sprintf("%s:%d", r.suite.File, max(1, r.line)), Err: err}
}

// Reference writes the language's.
func Reference(w io.Writer) error {
	engine := &script.Engine{Cmds: map[string]script.Cmd{}, Conds: map[string]script.Cond{}}
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
		engine.Cmds[c.name] = script.Command(c.usage, nil)
	}
	var b bytes.Buffer
	if err := engine.ListCmds(&b, true, names...); err != nil {
		return err
	}
	for line := range strings.Lines(b.String()) {
		if _, err := io.WriteString(w, strings.TrimRight(line, " \n")+"\n"); err != nil {
			return err
		}
	}
	return nil
}
