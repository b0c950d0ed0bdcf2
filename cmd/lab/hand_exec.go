package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/byhand"
	"github.com/seed-6fefc909/tcplab/topology"
)

// execFlags are those of lab exec and lab shell.
type execFlags struct {
	name, user string
}

func (f *execFlags) add(c *cobra.Command) {
	nameFlag(c, &f.name, whichLab)
	c.Flags().StringVar(&f.user, "user", "", "run it as `USER` (default: who called sudo)")
	c.Annotations = map[string]string{runsProgram: ""}
}

// How a program ends that could not be executed, as env(1) has it.
const (
	exitNotExecutable = 126
	exitNotFound      = 127
)

func execCommand(s streams) *cobra.Command {
	var f execFlags
	c := &cobra.Command{
		Use:   "exec [flags] HOST -- PROGRAM [ARG...]",
		Short: "Run a program on a host of a lab that is up, in this terminal",
		Long: `Runs a program, as it is, in the namespaces of a host. The terminal, the streams and
the directory are those that lab is called with, so that keys (Ctrl-C, Ctrl-Z), the
terminal's size and redirections do what they do without lab. A program that is
found in PATH runs as the user who called sudo; echo-server, echo-client and the
other examples are lab's own. {server:port} and the like are filled in.

The exit status is the program's, 128 and the number if a signal ended it, 127 if
there is no such program, 126 if it cannot be executed; 1 if no such lab is up, or
the host is down, 2 if there is no such host.`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usageError(errors.New("run what, on which host?"), example(c, "server", "--", "echo-server", "{any:port}"))
			}
			return nil
		},
		ValidArgsFunction: completeHost,
		RunE: func(c *cobra.Command, args []string) error {
			argv := args[1:]
			switch {
			case argv[0] == "--":
				argv = argv[1:]
			case strings.HasPrefix(argv[0], "-"):
				return usageError(fmt.Errorf("%s is no program", argv[0]), "options come before the host: "+typed(c, argv[0], "...", args[0], "--", "PROGRAM"))
			}
			return f.run(c.Context(), s, args[0], argv)
		},
	}
	c.Flags().SetInterspersed(false)
	f.add(c)
	return c
}

func shellCommand(s streams) *cobra.Command {
	var f execFlags
	c := &cobra.Command{
		Use:   "shell [flags] HOST",
		Short: "Have a shell on a host of a lab that is up",
		Args: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return usageError(errors.New("a shell on which host?"), example(c, "client"))
			case len(args) > 1:
				return usageError(fmt.Errorf("unknown argument %q behind the host", args[1]), "lab exec runs a program; see lab shell --help")
			}
			return nil
		},
		ValidArgsFunction: completeHost,
		RunE: func(c *cobra.Command, args []string) error {
			return f.run(c.Context(), s, args[0], []string{cmp.Or(os.Getenv("SHELL"), "/bin/sh")})
		},
	}
	f.add(c)
	return c
}

func completeHost(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return lab.HostNames, cobra.ShellCompDirectiveNoFileComp
}

// ports are what looks like a host's address to be filled in.
var ports = regexp.MustCompile(`\{\w*:port\}`)

func (f *execFlags) run(ctx context.Context, s streams, host string, argv []string) error {
	if len(argv) == 0 {
		return usageError(errors.New("run what?"), "")
	}
	l, err := findLab(f.name)
	if err != nil {
		return err
	}
	x, err := runAs(f.user, lab.Execution{})
	if err != nil {
		return err
	}
	for _, arg := range argv {
		for _, p := range ports.FindAllString(arg, -1) {
			if p != "{server:port}" && p != "{any:port}" {
				fmt.Fprintf(s.err, "lab: %s stays as it is: there are {server:port}, {any:port}\n", p)
			}
		}
	}
	end, err := l.Exec(ctx, handOver(ctx), host, x, argv)
	if _, told := errors.AsType[*byhand.Error](err); err != nil && !told {
		return notExecuted(err)
	} else if err != nil {
		return byHand(err)
	}
	if end.Signal == unix.SignalName(unix.SIGINT) {
		dieOf(unix.SIGINT)
	}
	if end.Gone != "" {
		err = fmt.Errorf("%s was ended: %s", argv[0], end.Gone)
	}
	if end.Status == 0 && err == nil {
		return nil
	}
	return &exitError{end.Status, err, ""}
}

// dieOf ends this process as the program ended, by which a shell knows that its
// own loop or script is to end, too. It returns only if the signal is ignored: what
// a thread sends itself arrives before it goes on.
func dieOf(s unix.Signal) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	signal.Reset(s)
	_ = unix.Tgkill(os.Getpid(), unix.Gettid(), s)
}

// notExecuted is of a program that could not be.
func notExecuted(err error) error {
	switch {
	case errors.Is(err, topology.ErrDirectory):
		return &exitError{exitNotExecutable, err, "the program is run in this directory, by its user's right"}
	case errors.Is(err, fs.ErrNotExist):
		return &exitError{exitNotFound, err, ""}
	case errors.Is(err, fs.ErrPermission), errors.Is(err, unix.ENOEXEC), errors.Is(err, unix.E2BIG):
		return &exitError{exitNotExecutable, err, ""}
	}
	return byHand(err)
}
