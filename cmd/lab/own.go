package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"mvdan.cc/sh/v3/shell"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
)

// ownFlags are those for the user's own programs.
type ownFlags struct {
	server, client string
	user           string
	input          string
	when           string
	expect         string
	within         time.Duration
	files          bool     // scenario files are run, which may start any program
	empty          []string // those of --server and --client that were given nothing
}

// look notes what was given.
func (f *ownFlags) look(c *cobra.Command) {
	for _, name := range []string{"server", "client"} {
		if flag := c.Flags().Lookup(name); flag.Changed && flag.Value.String() == "" {
			f.empty = append(f.empty, name)
		}
	}
}

func (f *ownFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.server, "server", "", "run `COMMAND` in the place of the scenario's server; {server}, {client}, {port}, {dir} are filled in")
	flags.StringVar(&f.client, "client", "", "run `COMMAND` in the place of its client")
	flags.StringVar(&f.user, "user", "", "run them as `USER` (default: who called sudo)")
	flags.StringVar(&f.input, "input", "", "the client's standard input is `FILE`; - is that of lab")
	flags.StringVar(&f.when, "when", "", "the fault comes at this `MOMENT`: connected (the default), idle:2s, after-bytes:N, output:REGEXP, at:3s")
	flags.StringVar(&f.expect, "expect", "", "the client must be told `ERROR` (errno's name, or EOF), or end with exit=N (default: do something)")
	flags.DurationVar(&f.within, "within", 0, "`TIME` from the fault to that (default "+scenarios.DefaultDemand.String()+")")
}

// used tells whether any program is the user's own.
func (f *ownFlags) used() bool { return f.server != "" || f.client != "" }

// options understands them.
func (f *ownFlags) options(o *lab.Options, s streams) error {
	var err error
	for _, name := range f.empty {
		return usageError(fmt.Errorf("--%s: no program", name), "leave the option out for lab's own")
	}
	if o.Execution, err = f.execution(s); err != nil {
		return err
	}
	if !f.used() {
		if f.when != "" || f.expect != "" || f.within != 0 || f.user != "" && !f.files || f.input != "" && !f.files {
			return usageError(errors.New("--when, --expect, --within, --user and --input are for programs of one's own"), "add --server or --client")
		}
		return nil
	}
	if f.client == "" && f.input != "" {
		return usageError(errors.New("--input is for a client of one's own"), "add --client")
	}
	own := &scenarios.Own{}
	const hint = "more than a program with its arguments is for a shell: sh -c '...'"
	if own.Server, err = words(f.server, o.Execution); err != nil {
		return usageError(fmt.Errorf("--server: %w", err), hint)
	}
	if own.Client, err = words(f.client, o.Execution); err != nil {
		return usageError(fmt.Errorf("--client: %w", err), hint)
	}
	if own.When, err = scenarios.ParseWhen(f.when); err != nil {
		return usageError(fmt.Errorf("--when %w", err), "")
	}
	if own.Demand, err = scenarios.ParseDemand(f.expect, f.within); err != nil {
		return usageError(fmt.Errorf("--%w", err), "for example --expect ETIMEDOUT --within 5s")
	}
	o.Own = own
	return nil
}

// words takes a command line apart as a shell does; nil for none.
func words(command string, x lab.Execution) ([]string, error) {
	if command == "" {
		return nil, nil
	}
	argv, err := shell.Fields(command, x.Variable)
	if err == nil && len(argv) == 0 {
		err = errors.New("no program")
	}
	return argv, err
}

// execution says how the user's own programs are run: as the user who called
// sudo, with their home, unless somebody else is asked for.
func (f *ownFlags) execution(s streams) (lab.Execution, error) {
	x := lab.Execution{Input: f.input}
	if f.input == "-" {
		x.Input, x.Terminal = "", s.in
		if term.IsTerminal(int(s.in.Fd())) {
			x.Tee = s.err
		}
	} else if f.input != "" {
		if _, err := os.Stat(f.input); err != nil {
			return x, usageError(fmt.Errorf("--input: %w", err), "")
		}
	}
	return runAs(f.user, x)
}

// runAs lets an execution be that of a user; without a name, of who called sudo.
func runAs(name string, x lab.Execution) (lab.Execution, error) {
	who := caller()
	var err error
	if name != "" {
		if who, err = user.Lookup(name); err != nil {
			who, err = user.LookupId(name)
		}
		if err != nil {
			return x, usageError(fmt.Errorf("--user %s: there is no such user", name), "")
		}
	}
	if who == nil {
		return x, nil
	}
	if x.Credential, err = credential(who); err != nil {
		return x, usageError(fmt.Errorf("--user %s: %w", who.Username, err), "")
	}
	x.User, x.Env = who.Username, environment(who)
	return x, nil
}

// caller is the user who called sudo, nil if nobody did, or root.
func caller() *user.User {
	uid := os.Getenv("SUDO_UID")
	if uid == "" || uid == "0" || os.Geteuid() != 0 {
		return nil
	}
	who, err := user.LookupId(uid)
	if err != nil { // one whom only a directory service knows
		who = &user.User{Uid: uid, Gid: cmp.Or(os.Getenv("SUDO_GID"), uid), Username: cmp.Or(os.Getenv("SUDO_USER"), uid), HomeDir: "/"}
	}
	return who
}

// credential is a user's, with all groups.
func credential(who *user.User) (*topology.Credential, error) {
	groups, err := who.GroupIds()
	if err != nil {
		groups = nil // they are not known here
	}
	c := &topology.Credential{}
	for i, id := range slices.Concat([]string{who.Uid, who.Gid}, groups) {
		n, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return nil, err
		}
		switch i {
		case 0:
			c.UID = uint32(n)
		case 1:
			c.GID = uint32(n)
		default:
			c.Groups = append(c.Groups, uint32(n))
		}
	}
	return c, nil
}

// environment is lab's own, with what belongs to the user put right.
func environment(who *user.User) []string {
	theirs := map[string]string{"HOME": who.HomeDir, "USER": who.Username, "LOGNAME": who.Username}
	var env []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if _, replaced := theirs[name]; replaced || strings.HasPrefix(name, "SUDO_") {
			continue
		}
		env = append(env, v)
	}
	for _, name := range []string{"HOME", "USER", "LOGNAME"} {
		env = append(env, name+"="+theirs[name])
	}
	return env
}
