package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/lab/viewer"
	"github.com/seed-6fefc909/tcplab/topology"
)

// runFlags are the command line's, before they are understood.
type runFlags struct {
	path     string
	family   int
	delay    time.Duration
	delaySet bool // also if it is 0
	loss     string
	sysctls  []string
	real     bool
	quick    bool
	grace    time.Duration
	timeout  time.Duration
	without  []string
	out      string
	captures string // the directory for captures alone, "" for none
	output   string
	parallel int
	// wireshark is the host whose packets are shown, "" for none.
	wireshark string
	follow    bool
	own       ownFlags
	virtual   virtualFlags
}

// The forms of --output.
const (
	outputText  = "text"
	outputJSON  = "json"
	outputJSONL = "jsonl"
)

func runCommand(s streams) *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run NAME... | FILE... | all",
		Short: "Run scenarios on this kernel and judge what was seen; needs root, or --warp",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError(errors.New("which scenario?"), "name some, or files, or all; lab list shows them")
			}
			return nil
		},
		ValidArgsFunction: completeScenario,
		RunE: func(c *cobra.Command, args []string) error {
			if err := wantFiles(c, "out"); err != nil {
				return err
			}
			f.delaySet = c.Flags().Changed("delay")
			f.own.look(c)
			f.own.files = slices.ContainsFunc(args, isFile)
			if err := f.virtual.look(c); err != nil {
				return err
			}
			return runScenarios(c.Context(), s, f, args)
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.path, "path", "", "build `PATH` (direct, switch, router) instead of the scenario's own")
	flags.IntVar(&f.family, "family", 4, "`FAMILY` of IP: 4 or 6")
	flags.DurationVar(&f.delay, "delay", 0, "delay what passes the client's link by `TIME`, each way")
	flags.StringVar(&f.loss, "loss", "0", "lose a `SHARE` of what passes the client's link, each way: 5% or 0.05")
	flags.StringArrayVar(&f.sysctls, "sysctl", nil, "set `[HOST:]KEY=VALUE` on client, server, router or standby (default: client and server)")
	flags.BoolVar(&f.real, "real", false, "leave all timers as the kernel has them: runs may take minutes")
	flags.BoolVar(&f.quick, "quick", false, "shorten the timers as the scenario says (the default)")
	flags.DurationVar(&f.grace, "grace", topology.DefaultGrace, "`TIME` from SIGTERM to SIGKILL at a shutdown")
	flags.DurationVar(&f.timeout, "timeout", 0, "end a run after `TIME`")
	flags.StringSliceVar(&f.without, "without", nil, "leave `OBSERVER`s out: "+strings.Join(lab.ObserverNames, ", "))
	flags.BoolVar(&f.follow, "follow", false, "print what happens while it happens; with --output jsonl a line an event, {\"scenario\": NAME, \"event\": ...}, before its run's record")
	flags.StringVar(&f.out, "out", "", "write report.html, record.json and a capture of each end into `DIR` (of several runs: DIR/NAME, and an index.html), and junit.xml of all")
	flags.StringVar(&f.captures, capturesFlag, "", "write a capture of each end, and nothing else, into `DIR`")
	_ = flags.MarkHidden(capturesFlag) // it is there
	flags.StringVar(&f.output, "output", outputText, "print `FORM`: text, json, jsonl (a line as each run ends)")
	flags.IntVar(&f.parallel, "parallel", 0, "run `N` scenarios at a time (default: 1, for all of lab's own programs: as many as there are)")
	flags.StringVar(&f.wireshark, "wireshark", "", "show the packets at `HOST` (default client), and what happened between them, while the run goes on: in Wireshark, or without a display by tshark")
	flags.Lookup("wireshark").NoOptDefVal = "client"
	f.own.add(c)
	f.virtual.add(c)
	c.MarkFlagsMutuallyExclusive("real", "quick")
	return c
}

// capturesFlag is for lab in a machine, which is run by lab.
const capturesFlag = "captures"

// options understands the flags.
func (f *runFlags) options() (lab.Options, error) {
	o := lab.Options{
		Path: topology.Path(f.path), Family: topology.Family(f.family), Delay: f.delay, DelaySet: f.delaySet, Real: f.real || f.virtual.warp, Elsewhere: f.virtual.warp, Grace: f.grace, Timeout: f.timeout, Without: f.without,
		Frames:  f.out != "" || f.captures != "" || f.wireshark != "",
		Sysctls: map[string]map[string]string{},
	}
	for _, one := range f.sysctls {
		if err := lab.ParseSysctl(one, o.Sysctls); err != nil {
			return o, usageError(err, "for example --sysctl client:net.ipv4.tcp_retries2=3")
		}
	}
	var err error
	if o.Loss, err = share(f.loss); err != nil {
		return o, usageError(fmt.Errorf("--loss %s: %w", f.loss, err), "for example --loss 5%")
	}
	if !slices.Contains([]string{outputText, outputJSON, outputJSONL}, f.output) {
		return o, usageError(fmt.Errorf("output %q: there are text, json, jsonl", f.output), "")
	}
	if f.grace <= 0 {
		return o, usageError(fmt.Errorf("--grace %v: it must be longer than nothing", f.grace), "")
	}
	if f.parallel < 0 {
		return o, usageError(fmt.Errorf("--parallel %d: there must be one at a time at least", f.parallel), "")
	}
	return o, nil
}

// share reads a part of a whole: a percentage, or a number up to 1.
func share(s string) (float64, error) {
	number, percent := strings.CutSuffix(s, "%")
	x, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, errors.New("it must be a percentage, or a number less than 1")
	}
	if percent {
		x /= 100
	}
	return x, nil
}

// runScenarios is lab run.
func runScenarios(ctx context.Context, s streams, f runFlags, names []string) error {
	o, err := f.options()
	if err != nil {
		return err
	}
	if err := f.own.options(&o, s); err != nil {
		return err
	}
	var todo []*scenarios.Source
	parallel := max(f.parallel, 1)
	all := slices.Equal(names, []string{"all"})
	if all {
		todo = scenarios.All()
		switch {
		case o.Own != nil:
			// One at a time: they share the file system, and so perhaps a
			// lock, a data directory, a pid file.
			todo = scenarios.Ways(todo, scenarios.Variant{Real: o.Real, Family: f.family, Path: f.path})
		case f.parallel == 0:
			parallel = len(todo)
		}
	} else {
		for _, name := range names {
			if name == "all" {
				return usageError(errors.New("all stands alone"), "")
			}
			sc, err := findScenario(name)
			if err != nil && f.wireshark != "" && slices.Contains(lab.HostNames, name) {
				return usageError(fmt.Errorf("unknown scenario %q", name), "a host of --wireshark is joined to it by =, as in --wireshark="+name)
			}
			if err != nil {
				return err
			}
			if slices.ContainsFunc(todo, func(s *scenarios.Source) bool { return s.Name == sc.Name }) {
				return usageError(fmt.Errorf("%s is named twice", sc.Name), "")
			}
			todo = append(todo, sc)
		}
	}
	if err := f.checkFollow(min(parallel, len(todo)), o.Execution.Terminal != nil); err != nil {
		return err
	}
	if o.Execution.Terminal != nil && len(todo) > 1 {
		return usageError(errors.New("--input -: several runs cannot read the same"), "run one, or give --input a file")
	}
	o.Tracer = lab.NewTracer()
	b := &batch{streams: s, flags: f, several: len(todo) > 1, own: o.Own != nil, live: terminal(s.err) && min(parallel, len(todo)) == 1 && o.Execution.Tee == nil}
	experiments, leftOut, err := prepare(todo, o)
	if err == nil && (!all || len(experiments) == 0) {
		err = errors.Join(leftOut...)
	}
	if err != nil {
		return usageError(err, "see lab run --help")
	}
	for _, err := range leftOut {
		fmt.Fprintf(s.err, "lab: left out: %v\n", err)
	}
	if f.virtual.warp {
		if err := b.performVirtually(ctx, experiments, f.parallel); err != nil {
			return err
		}
		return b.finish(ctx)
	}
	if err := b.findViewer(experiments); err != nil {
		return err
	}
	if err := b.perform(ctx, experiments, o.Tracer, parallel); err != nil {
		return err
	}
	return b.finish(ctx)
}

// prepare makes the experiments, but for those that are not what they say on
// the path that is asked for. Its error is of all others that cannot be made.
func prepare(todo []*scenarios.Source, o lab.Options) (experiments []*lab.Experiment, leftOut []error, err error) {
	var wrong []error
	for _, sc := range todo {
		e, err := lab.New(sc, o)
		if err == nil {
			experiments = append(experiments, e)
			continue
		}
		if !scenarios.IsSyntax(err) {
			err = fmt.Errorf("%s: %w", sc.Name, err)
		}
		if _, elsewhere := errors.AsType[*lab.PathError](err); elsewhere {
			leftOut = append(leftOut, err)
		} else {
			wrong = append(wrong, err)
		}
	}
	return experiments, leftOut, errors.Join(wrong...)
}

// A batch is the runs of one command line.
type batch struct {
	streams streams
	flags   runFlags
	several bool
	live    bool // a status line is kept on the terminal
	line    liveLine
	quiet   bool            // the runs themselves are not printed
	own     bool            // they are of the user's own programs
	program *viewer.Program // shows the packets, nil if nothing is to
	viewer  *viewer.Viewer  // is it

	mu       sync.Mutex
	records  []*record.Record
	dirs     map[*record.Record]string // in that of --out, of those that were saved
	notBegun []*record.Record          // for an interrupt came before
	failed   []error
}

// perform runs the experiments, which share the tracer, as many at a time as
// are asked for. Its error came before any run.
func (b *batch) perform(ctx context.Context, experiments []*lab.Experiment, tracer *lab.Tracer, parallel int) error {
	if err := lab.Preflight(); err != nil {
		return cannot(err)
	}
	if err := lab.TrySysctls(experiments); err != nil {
		return cannot(err)
	}
	runs := make([]experiment, len(experiments))
	for i, e := range experiments {
		runs[i] = e
	}
	if err := b.prepareOut(b.runDirs(runs)); err != nil {
		return err
	}
	if err := b.startViewer(); err != nil {
		return err
	}
	b.run(ctx, runs, min(parallel, mostAtOnce))
	if err := tracer.Close(); err != nil {
		b.fail(&cleanupError{err})
	}
	return nil
}

// mostAtOnce is how many runs there may be beside each other: they wait for
// timers most of their time, but each has its namespaces and captures.
const mostAtOnce = 64

// run performs the experiments, n at a time. Of several at a time those begin
// first that take longest.
func (b *batch) run(ctx context.Context, experiments []experiment, n int) {
	var running sync.WaitGroup
	slots := make(chan struct{}, n)
	b.records, b.dirs = make([]*record.Record, len(experiments)), map[*record.Record]string{}
	dirs := b.runDirs(experiments)
	order := make([]int, len(experiments))
	for i := range order {
		order[i] = i
	}
	if n > 1 {
		slices.SortStableFunc(order, func(i, j int) int {
			return cmp.Compare(experiments[j].Takes(), experiments[i].Takes())
		})
	}
	for _, i := range order {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		running.Go(func() {
			defer func() { <-slots }()
			b.one(ctx, experiments[i], i, dirs[i], n == 1)
		})
	}
	running.Wait()
	for i, r := range b.records {
		if r == nil {
			r = experiments[i].Preview()
			r.Reasons = append(r.Reasons, "not begun: "+context.Cause(ctx).Error())
			b.notBegun = append(b.notBegun, r)
		}
	}
	b.records = slices.DeleteFunc(b.records, func(r *record.Record) bool { return r == nil })
}

// one performs an experiment and prints it. Alone, its header comes before
// the run; beside others, all of it at the end.
func (b *batch) one(ctx context.Context, e experiment, i int, dir string, alone bool) {
	here, isHere := e.(*lab.Experiment)
	alone = alone && isHere
	alone = alone && (b.flags.follow || !(b.own && b.several))
	if alone && b.flags.output == outputText && !b.quiet {
		b.print(func(w io.Writer) error { return report.Header(w, e.Preview(), b.streams.screenNow()) })
	}
	watched := func(*record.Record) {}
	if isHere {
		stop, shown, told := b.showStatus(here, alone), b.showPackets(ctx, here), b.follow(ctx, here)
		watched = func(r *record.Record) { stop(); shown(r); told(r) }
	}
	r, err := e.Run(ctx)
	watched(r)
	b.mu.Lock()
	b.records[i] = r
	broke := err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, lab.ErrTimeout) && !errors.Is(err, lab.ErrScenario)
	if broke {
		b.failed = append(b.failed, fmt.Errorf("%s: %w", r.Scenario, err))
	}
	b.mu.Unlock()
	b.print(func(w io.Writer) error {
		switch {
		case b.quiet:
			return nil
		case broke && r.Fault.Kind == "":
			return nil // nothing was run: the error says why
		case b.flags.output == outputText && b.own && b.several && r.Outcome == record.AsExpected && !b.flags.follow:
			return nil // it has its row in the table
		case b.flags.output == outputJSONL:
			return json.NewEncoder(w).Encode(r)
		case b.flags.output == outputJSON:
			return nil // all at the end
		case !alone:
			if err := report.Header(w, r, b.streams.screenNow()); err != nil {
				return err
			}
		}
		show := report.Text
		if b.flags.follow {
			show = report.Verdict
		}
		if err := show(w, r, b.streams.screenNow()); err != nil {
			return err
		}
		if b.several {
			fmt.Fprintln(w)
		}
		return nil
	})
	if err := b.save(e, dir, r); err != nil {
		b.fail(&outputError{err})
	} else {
		b.mu.Lock()
		b.dirs[r] = dir
		b.mu.Unlock()
	}
	if err := e.Close(); err != nil {
		b.fail(&cleanupError{fmt.Errorf("%s: %w", r.Scenario, err)})
	}
}

// A cleanupError says what could not be removed.
type cleanupError struct{ err error }

func (e *cleanupError) Error() string { return "clean up: " + e.err.Error() }
func (e *cleanupError) Unwrap() error { return e.err }

// An outputError says which result could not be handed over. Whatever its
// cause is, it tells nothing of the machine's ability to run experiments.
type outputError struct{ err error }

func (e *outputError) Error() string { return e.err.Error() }
func (e *outputError) Unwrap() error { return e.err }

func (b *batch) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed = append(b.failed, err)
}

// print writes a piece of output in one go. That it could not be written the
// resultWriter remembers.
func (b *batch) print(f func(io.Writer) error) {
	var buf bytes.Buffer
	if err := f(&buf); err != nil {
		b.fail(&outputError{fmt.Errorf("make output: %w", err)})
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if buf.Len() == 0 {
		return
	}
	b.line.hide()
	_, _ = b.streams.out.Write(buf.Bytes())
	b.line.show()
}

// finish prints what concerns all runs, and decides the exit status.
func (b *batch) finish(ctx context.Context) error {
	switch {
	case b.flags.output == outputJSON && b.several:
		b.print(func(w io.Writer) error {
			enc := json.NewEncoder(w)
			enc.SetIndent("", " ")
			return enc.Encode(b.records)
		})
	case b.flags.output == outputJSON && len(b.records) > 0:
		b.print(b.records[0].Write)
	case b.flags.output == outputText && b.flags.virtual.seeds != "":
		b.print(func(w io.Writer) error { return b.tellSpread(w) })
	case b.flags.output == outputText && len(b.flags.virtual.kernels) > 1:
		b.print(func(w io.Writer) error { return b.tellKernels(w) })
	case b.flags.output == outputText && b.several && b.own:
		b.print(func(w io.Writer) error { return report.Ways(w, b.records, b.streams.screenNow()) })
	case b.flags.output == outputText && b.several:
		b.print(func(w io.Writer) error { return report.Summary(w, b.records, b.streams.screenNow()) })
	}
	// For want of those that never began it would look better than it was.
	all := slices.Concat(b.records, b.notBegun)
	if err := errors.Join(b.saveJUnit(all), b.saveDiffs(), b.saveIndex()); err != nil {
		b.fail(&outputError{err})
	}
	tellGitHub(b.streams.err, all)
	if err := b.trouble(ctx); err != nil {
		return err
	}
	for _, r := range b.records {
		if r.Outcome != record.AsExpected {
			return &exitError{status: exitNotOK}
		}
	}
	return nil
}

// trouble is what kept runs from being performed, cleaned up or handed over.
func (b *batch) trouble(ctx context.Context) error {
	if len(b.failed) > 0 {
		err := errors.Join(b.failed...)
		if _, unclean := errors.AsType[*cleanupError](err); unclean {
			return &exitError{exitInternal, err, "lab doctor says what is left"}
		}
		if _, lost := errors.AsType[*outputError](err); lost {
			return &exitError{exitInternal, err, ""}
		}
		return cannot(err)
	}
	if ctx.Err() != nil {
		return &exitError{exitNotOK, context.Cause(ctx), ""}
	}
	return nil
}
