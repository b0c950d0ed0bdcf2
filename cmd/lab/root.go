package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/report"
	"github.com/seed-6fefc909/tcplab/topology"
)

// The exit statuses.
const (
	exitOK       = 0
	exitNotOK    = 1 // not as expected, or inconclusive
	exitUsage    = 2
	exitCannot   = 3 // this machine or these privileges do not allow it
	exitInternal = 4 // an internal or clean-up error
)

// An exitError ends the program with a status. Without a cause it says
// nothing: all was said.
type exitError struct {
	status int
	err    error
	hint   string
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func usageError(err error, hint string) error { return &exitError{exitUsage, err, hint} }

// streams are the program's standard streams.
type streams struct {
	in       *os.File
	out      io.Writer
	err      *os.File
	terminal *os.File // that out writes to, nil if that is no file
}

// screenNow is what results are shown on. It may be resized while a run lasts,
// so it is asked for when something is printed.
func (s streams) screenNow() report.Screen {
	if s.terminal == nil {
		return report.Screen{}
	}
	return screenOf(s.terminal)
}

// run executes a command line and returns the exit status.
func run(args []string, in *os.File, out io.Writer, errs *os.File) int {
	root := &cobra.Command{
		Use:   "lab",
		Short: "See what a TCP program sees, and when, after the other side goes away",
		Long: `lab builds a small network out of Linux namespaces, runs a client and a server in
it, makes the server go away in a precisely defined way, and shows everything
that both programs, the wire and the kernel did, with a verdict.

Results go to standard output, progress and errors to standard error.
Exit status: 0 as expected, 1 not as expected or inconclusive, 2 usage,
3 cannot run here, 4 internal or clean-up error, 130 or 143 interrupted.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError(err, "see "+c.CommandPath()+" --help")
	})
	results := &resultWriter{w: out}
	s := streams{in: in, out: results, err: errs}
	s.terminal, _ = out.(*os.File)
	for _, g := range []struct {
		id, title string
		verbs     []*cobra.Command
	}{
		{"run", "Scenarios", []*cobra.Command{listCommand(s), explainCommand(s), showCommand(s), runCommand(s), checkCommand(s), claimsCommand(s)}},
		{"hand", "By hand, in a lab that stays up", []*cobra.Command{
			upCommand(s), execCommand(s), shellCommand(s), standingCommand(s), faultCommand(s), watchCommand(s), awaitCommand(s),
			recordCommand(s), downCommand(s), lsCommand(s), tutorialCommand(s),
		}},
		{"record", "Records", []*cobra.Command{reportCommand(s), diffCommand(s), schemaCommand(s)}},
		{"machine", "This machine, and virtual ones", []*cobra.Command{doctorCommand(s), cleanCommand(s), warpCommand(s)}},
	} {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title + ":"})
		for _, verb := range g.verbs {
			verb.GroupID = g.id
			root.AddCommand(verb)
		}
	}
	root.AddCommand(scenarioTopic(), superviseCommand())
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(results)
	root.SetErr(errs)
	verb, _, _ := root.Find(args) // what is wrong with them is told when it is executed
	_, forProgram := verb.Annotations[runsProgram]
	ctx, stop := interruptible(forProgram)
	defer stop()
	verb, err := root.ExecuteContextC(ctx)
	if _, known := errors.AsType[*exitError](err); err != nil && !known { // whatever cobra says of a command line
		err = usageError(err, "see "+verb.CommandPath()+" --help")
	}
	if errors.Is(results.err, unix.EPIPE) { // the reader had seen enough
		if errors.Is(err, unix.EPIPE) {
			err = nil
		}
		return status(ctx, err, errs)
	}
	if e, known := errors.AsType[*exitError](err); results.err != nil && !(known && e.status == exitInternal) {
		err = &exitError{exitInternal, fmt.Errorf("write output: %w", results.err), ""}
	}
	return status(ctx, err, errs)
}

// A resultWriter remembers that results were lost, whoever wrote them and
// whether it looked.
type resultWriter struct {
	w   io.Writer
	err error
}

func (r *resultWriter) Write(p []byte) (int, error) {
	n, err := r.w.Write(p)
	if err != nil && r.err == nil {
		r.err = err
	}
	return n, err
}

// status reports an error, which is or wraps an *exitError, and says how to end.
func status(ctx context.Context, err error, errs io.Writer) int {
	if err == nil {
		return exitOK
	}
	e, _ := errors.AsType[*exitError](err)
	if e.err != nil {
		fmt.Fprintf(errs, "lab: %s\n", harmless(e.err.Error()))
	}
	if e.hint != "" {
		fmt.Fprintf(errs, "hint: %s\n", harmless(e.hint))
	}
	if s, ok := errors.AsType[interruption](context.Cause(ctx)); ok && e.status != exitInternal {
		return 128 + int(s.signal)
	}
	return e.status
}

// harmless is what is said of several lines, perhaps with the names of programs,
// without what a terminal would obey.
func harmless(text string) string {
	lines := strings.Split(strings.ReplaceAll(text, "\t", "    "), "\n")
	for i, line := range lines {
		lines[i] = report.Clean(line)
	}
	return strings.Join(lines, "\n")
}

// An interruption is the signal that asked to stop.
type interruption struct{ signal unix.Signal }

func (i interruption) Error() string { return "interrupted by " + unix.SignalName(i.signal) }

// Is makes an interruption a cancellation.
func (i interruption) Is(target error) bool { return target == context.Canceled }

// runsProgram marks the verbs that run a program in this terminal: what is ignored
// is so for the program's sake.
const runsProgram = "runs a program"

// interruptible gives a context that the first SIGINT, SIGTERM, SIGHUP or SIGQUIT ends;
// a second one ends the program at once (the hosts' inits then clean up). What this
// process was started to ignore stays ignored for a program; but for one of lab's
// own verbs only SIGHUP does, as nohup(1) has it: a script interrupts its background
// job, which a shell has ignore SIGINT.
func interruptible(forProgram bool) (context.Context, func()) {
	// A reader that goes away is a lost result, and not the end: runs are
	// cleaned up and saved. Caught, not ignored: what is ignored stays so in
	// the programs that are executed.
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	for _, s := range []unix.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGQUIT, unix.SIGHUP} {
		if topology.Ignored(s) && (forProgram || s == unix.SIGHUP) {
			signal.Ignore(s)
		} else {
			signal.Notify(signals, s)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if s, ok := <-signals; ok {
			signal.Stop(signals)
			cancel(interruption{s.(unix.Signal)})
		}
	}()
	stop := sync.OnceFunc(func() { signal.Stop(signals); close(signals); <-done })
	return context.WithValue(ctx, handOverKey{}, stop), func() { stop(); cancel(nil) }
}

type handOverKey struct{}

// handOver gives what leaves the signals to whoever catches them by then: none
// ends the context of interruptible any more, and all that came have.
func handOver(ctx context.Context) func() { return ctx.Value(handOverKey{}).(func()) }

// cannot turns what prevented a run into an error for the user.
func cannot(err error) error {
	if inside, ok := errors.AsType[*insideError](err); ok {
		return &exitError{inside.status, err, ""}
	}
	if ofMachine(err) {
		return machineFailed(err)
	}
	if _, ok := errors.AsType[*lab.RefusedError](err); ok {
		return usageError(err, "")
	}
	if s, ok := errors.AsType[*topology.SysctlError](err); ok {
		return usageError(err, "the kernel refuses "+s.Key+" = "+s.Value)
	}
	if hint, ok := lab.Explain(err); ok {
		return &exitError{exitCannot, err, hint}
	}
	return &exitError{exitInternal, err, ""}
}
