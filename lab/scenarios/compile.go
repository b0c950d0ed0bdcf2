package scenarios

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
)

// What a script may ask for, at most.
const (
	maxSteps    = 1000
	maxPrograms = 32
	maxArgs     = 64
	maxText     = 4096 // octets of a line; a pipe takes more without a reader
	maxTime     = 24 * time.Hour
)

// A compiler turns a script's lines into steps: the script's commands do
// nothing else. So a script is known to be right before anything is built.
type compiler struct {
	scenario *Scenario
	lines    *lineReader
	programs map[string]string // by name, the host
	ended    map[string]bool   // programs whose input was ended
	down     map[string]bool   // hosts
	zero     bool              // there was a fault, or a zero
	built    bool              // what is built was said
	err      error             // the first: a ? would hide it from the engine
}

func newCompiler(s *Scenario) *compiler {
	return &compiler{scenario: s, programs: map[string]string{}, ended: map[string]bool{}, down: map[string]bool{}}
}

// errNegated is what a command returns behind an !, where the engine wants to
// see it fail.
var errNegated = errors.New("compiled")

// errNothing is said of a script without a time zero.
var errNothing = errors.New("nothing goes away: neither fault nor zero")

func (c *compiler) compile() error {
	if err := c.read(c.scenario.script, 0); err != nil {
		return err
	}
	if !c.zero {
		return &SyntaxError{fmt.Sprintf("%s:%d", c.scenario.File, max(1, c.lines.number)), errNothing}
	}
	return nil
}

// read compiles some lines of the file, those after the given one.
func (c *compiler) read(text string, after int) error {
	state, err := script.NewState(context.Background(), "/", []string{})
	if err != nil {
		return err
	}
	c.lines, c.err = &lineReader{rest: text, number: after, after: after}, nil
	err = c.engine().Execute(state, c.scenario.File, bufio.NewReader(c.lines), io.Discard)
	if c.err != nil {
		return c.err
	}
	if err != nil {
		return c.syntaxError(err)
	}
	return nil
}

// syntaxError takes what the engine says apart: the place stands in front, as
// the engine counts the lines.
func (c *compiler) syntaxError(err error) error {
	place := fmt.Sprintf("%s:%d", c.scenario.File, max(1, c.lines.number))
	if e, ok := errors.AsType[*script.CommandError](err); ok {
		if !slices.Contains(commandNames(), e.Op) {
			return &SyntaxError{place, fmt.Errorf("unknown command %q: there are %s", e.Op, strings.Join(commandNames(), ", "))}
		}
		return &SyntaxError{place, fmt.Errorf("%s: %w", e.Op, e.Err)}
	}
	text := strings.TrimPrefix(err.Error(), fmt.Sprintf("%s:%d: ", c.scenario.File, max(1, c.lines.number-c.lines.after)))
	return &SyntaxError{place, errors.New(text)}
}

// A lineReader gives the engine one line at a time, and so knows which one a
// command stands in.
type lineReader struct {
	rest   string
	text   string
	number int
	after  int // the number of the line before the first
}

func (r *lineReader) Read(p []byte) (int, error) {
	if r.rest == "" {
		return 0, io.EOF
	}
	if len(r.text) == 0 || strings.HasSuffix(r.text, "\n") {
		r.number++
		r.text = ""
	}
	n := strings.IndexByte(r.rest, '\n') + 1
	if n == 0 {
		n = len(r.rest)
	}
	n = copy(p, r.rest[:n])
	r.text += r.rest[:n]
	r.rest = r.rest[n:]
	return n, nil
}

// line is where the current command stands.
func (c *compiler) line() line {
	text, _, _ := strings.Cut(c.lines.text, "\n")
	text = strings.TrimSpace(text)
	for strings.HasPrefix(text, "[") { // conditions have been looked at
		_, rest, found := strings.Cut(text, "]")
		if !found {
			break
		}
		text = strings.TrimSpace(rest)
	}
	text = withoutComment(text)
	return line{file: c.scenario.File, number: c.lines.number, text: text}
}

// withoutComment is a command without what the engine leaves out of it, too: a
// # that does not stand in quotes, and what follows.
func withoutComment(text string) string {
	quoted := false
	for i, r := range text {
		switch {
		case r == '\'':
			quoted = !quoted
		case r == '#' && !quoted:
			return strings.TrimSpace(text[:i])
		}
	}
	return text
}

// prefix is the ! or ? that the command stands behind, or "".
func (c *compiler) prefix() string {
	switch text := c.line().text; {
	case strings.HasPrefix(text, "! "), strings.HasPrefix(text, "!\t"):
		return "!"
	case strings.HasPrefix(text, "? "), strings.HasPrefix(text, "?\t"):
		return "?"
	}
	return ""
}

// A command of the language.
type command struct {
	name  string
	group string
	usage script.CmdUsage
	run   func(c *compiler, args []string) error
}

// The groups of commands, as the reference tells of them.
const (
	groupBuild = "What is built, before the first step"
	groupDo    = "What is done"
	groupSee   = "What must be seen"
)

func commandNames() []string {
	var all []string
	for _, c := range commands() {
		all = append(all, c.name)
	}
	return all
}

func (c *compiler) engine() *script.Engine {
	e := &script.Engine{Cmds: map[string]script.Cmd{}, Conds: c.conditions()}
	for _, cmd := range commands() {
		e.Cmds[cmd.name] = script.Command(cmd.usage, func(_ *script.State, args ...string) (script.WaitFunc, error) {
			return nil, c.command(cmd, args)
		})
	}
	return e
}

// command compiles one, and gives the engine what it wants to see.
func (c *compiler) command(cmd command, args []string) error {
	err := cmd.run(c, args)
	prefix := c.prefix()
	if err == nil && HasVariable(c.lines.text) {
		err = errors.New("there are no variables: put what has a $ in it into 'single quotes'")
	}
	if err == nil && prefix != "" && cmd.name != "expect" {
		err = fmt.Errorf("%s is for expect only", prefix)
	}
	if err == nil && cmd.group == groupBuild && (c.built || len(c.scenario.Steps) > 0) {
		err = errors.New("belongs before the first step")
	}
	if err == nil && len(c.scenario.Steps) > maxSteps {
		err = fmt.Errorf("more than %d steps", maxSteps)
	}
	if err != nil {
		if errors.Is(err, script.ErrUsage) {
			err = errors.New(strings.TrimSpace("usage: " + cmd.name + " " + cmd.usage.Args))
		} else {
			err = fmt.Errorf("%s: %w", cmd.name, err)
		}
		err = &SyntaxError{c.line().Place(), err}
		if c.err == nil {
			c.err = err
		}
		return err
	}
	if c.err != nil {
		return c.err
	}
	if prefix == "!" {
		return errNegated
	}
	return nil
}

// HasVariable tells whether a line has a $ outside of quotes and of its comment,
// which the engine would replace by nothing.
func HasVariable(line string) bool {
	quoted := false
	for _, r := range line {
		switch {
		case r == '\'':
			quoted = !quoted
		case r == '#' && !quoted:
			return false
		case r == '$' && !quoted:
			return true
		}
	}
	return false
}

func (c *compiler) add(s Step) error {
	c.scenario.Steps = append(c.scenario.Steps, s)
	return nil
}

// conditions are what a line may be guarded with.
func (c *compiler) conditions() map[string]script.Cond {
	s := c.scenario
	when := func(summary string, holds func() bool) script.Cond {
		return script.Condition(summary, func(*script.State) (bool, error) { return holds(), nil })
	}
	return map[string]script.Cond{
		"quick": when("the timers are shortened, which is the default", func() bool { return !s.Real }),
		"real":  when("the kernel's own timers are wanted (--real)", func() bool { return s.Real }),
		"ipv4":  when("the network is of IPv4, which is the default", func() bool { return s.Family == 4 }),
		"ipv6":  when("the network is of IPv6 (--family 6)", func() bool { return s.Family == 6 }),
		"path": script.PrefixCondition("the path is <suffix>", func(_ *script.State, suffix string) (bool, error) {
			if !slices.Contains(paths, suffix) {
				return false, fmt.Errorf("path %q: there are %s", suffix, strings.Join(paths, ", "))
			}
			return s.Path == suffix, nil
		}),
	}
}

// flags is the set of a command's options; its errors are the language's.
func flags(name string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	return f
}

// parse reads a command's options and returns its other arguments.
func parse(f *flag.FlagSet, args []string) ([]string, error) {
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, script.ErrUsage
		}
		return nil, err
	}
	return f.Args(), nil
}

// Reference writes the language's reference: of the same tables that a script
// is compiled with.
func Reference(w io.Writer) error {
	var b bytes.Buffer
	b.WriteString(`A scenario is a text file: a script, then texts for a reader. lab show NAME prints a
built-in one; change it, and give lab run the file:

  lab show crash > mine.lab
  sudo lab run mine.lab

The script is read by rsc.io/script: a command a line, words with spaces between,
'single quotes' around what has spaces in it, # before a comment; one in the first
line is the scenario's title. [CONDITION]
before a command lets it stand only where that holds, [!CONDITION] where it does
not. ! before expect means that nothing of the kind may be seen, ? that it does not
matter. All of it is checked before anything is built; an error names file and line.

Times are such as 300ms, 2.5s, 1m30s. HOST is client or server (standby, where there
is one). WHO is a host, which stands for everything on it, or a program that was
started with -as.
`)
	engine := (&compiler{scenario: &Scenario{Source: &Source{}}}).engine()
	for _, group := range []string{groupBuild, groupDo, groupSee} {
		fmt.Fprintf(&b, "\n%s:\n\n", group)
		var list []string
		for _, c := range commands() {
			if c.group == group {
				list = append(list, c.name)
			}
		}
		if err := engine.ListCmds(&b, true, list...); err != nil {
			return err
		}
	}
	table := func(title string, words []Word) {
		fmt.Fprintf(&b, "%s:\n\n", title)
		width := 0
		for _, w := range words {
			width = max(width, len(w.Name))
		}
		for _, w := range words {
			fmt.Fprintf(&b, "  %-*s  %s\n", width, w.Name, w.Summary)
		}
		b.WriteString("\n")
	}
	table("The events that expect waits for", eventForms())
	table("What a host sends or receives", PacketKinds())
	var faults []Word
	for _, k := range FaultKinds() {
		name := k.Name
		if k.Host {
			name += " HOST"
		}
		faults = append(faults, Word{name, k.Summary + " (" + strings.Join(k.Checks, ", ") + ")"})
	}
	table("Faults, and in parentheses what is verified of each", faults)
	table("Models of a prediction, and from when on they count", Models())
	table("Checks that verify can ask for", Checks())
	b.WriteString("Conditions:\n\n")
	if err := engine.ListConds(&b, nil); err != nil {
		return err
	}
	b.WriteString("\n")
	table("The texts after the script, each behind a line -- NAME --", sections)
	for line := range strings.Lines(b.String()) {
		// The engine leaves a space where a command has no arguments.
		if _, err := io.WriteString(w, strings.TrimRight(line, " \n")+"\n"); err != nil {
			return err
		}
	}
	return nil
}
