package lab

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/lab/warp"
	"github.com/seed-6fefc909/tcplab/topology"
)

// Options change a scenario's run.
type Options struct {
	// Path is the path to build instead of the scenario's, "" for its own.
	Path topology.Path
	// Family is that of IP: topology.IPv4, which 0 stands for, or IPv6.
	Family topology.Family
	// Delay is what the client's link adds, each way, where that is more than
	// what the scenario says, which may need it; DelaySet with a Delay of 0
	// says that there shall be none. Loss is the share of the frames lost
	// there, from 0 to 1.
	Delay    time.Duration
	DelaySet bool
	Loss     float64
	// Real leaves all timers as the kernel has them.
	Real bool
	// Elsewhere: the run is another kernel's. What this one cannot set is no
	// matter.
	Elsewhere bool
	// Sysctls are set over all others, by node: "client", "server", "router".
	Sysctls map[string]map[string]string
	// Grace is the time between SIGTERM and SIGKILL at a shutdown, 0 for
	// topology.DefaultGrace.
	Grace time.Duration
	// Timeout ends the run, 0 for as long as its steps may take.
	Timeout time.Duration
	// Without names observers to leave out: of ObserverNames.
	Without []string
	// Own are programs in the place of the scenario's, nil for the scenario's.
	Own *scenarios.Own
	// Patience is how long Own's server may take to listen, and its client to
	// connect; 0 for 30 s.
	Patience time.Duration
	// Execution says how programs that are not lab's own are run.
	Execution Execution
	// Frames keeps the beginnings of the frames at both ends for
	// Experiment.Capture.
	Frames bool
	// Tracer is to be shared with other runs; nil: the run loads its own
	// eBPF programs.
	Tracer *Tracer
}

// The observers, as Options.Without names them.
const (
	ObserveWire    = "wire"    // packets at both ends
	ObserveEBPF    = "ebpf"    // system calls, TCP's doings, processes, socket states
	ObserveSockets = "sockets" // socket tables and timers, by sock_diag
)

// ObserverNames lists them.
var ObserverNames = []string{ObserveWire, ObserveEBPF, ObserveSockets}

func (o Options) without(name string) bool { return slices.Contains(o.Without, name) }

func (o Options) family() topology.Family {
	if o.Family == 0 {
		return topology.IPv4
	}
	return o.Family
}

// variant is what the scenario's conditions see of the options.
func (o Options) variant() scenarios.Variant {
	return scenarios.Variant{Real: o.Real, Family: int(o.family()), Path: string(o.Path)}
}

// delay is that of the client's link.
func (o Options) delay(s *scenarios.Scenario) topology.Delay {
	d := topology.Delay{Time: max(s.Delay, o.Delay), Loss: o.Loss, Seed: lossSeed}
	if o.DelaySet && o.Delay == 0 {
		d.Time = 0
	}
	return d
}

func (o Options) delaySet() bool { return o.DelaySet || o.Delay > 0 }

// lossSeed makes the losses of a run those of the next.
const lossSeed = 1

func (o Options) patience() time.Duration {
	if o.Patience > 0 {
		return o.Patience
	}
	return readyTimeout
}

func (o Options) grace() time.Duration {
	if o.Grace > 0 {
		return o.Grace
	}
	return topology.DefaultGrace
}

// A PathError says that a scenario is not what it says on a path.
type PathError struct {
	Scenario string
	Path     string
	Only     []string // the paths on which it is
}

func (e *PathError) Error() string {
	return fmt.Sprintf("path %q: %s is what it says on the path %s only", e.Path, e.Scenario, strings.Join(e.Only, ", "))
}

// Check tells what is wrong with the options for the scenario, before
// anything is built: a *scenarios.SyntaxError is about the scenario's text.
func (o Options) Check(s *scenarios.Scenario) error {
	if err := o.check(); err != nil {
		return err
	}
	if s.Only && !slices.Contains(s.Paths, s.Path) {
		return &PathError{s.Name, s.Path, s.Paths}
	}
	if err := s.Check(); err != nil {
		return err
	}
	if err := checkSettings(s); err != nil {
		return err
	}
	if s.Path != string(topology.Router) && len(o.Sysctls["router"]) > 0 {
		return fmt.Errorf("sysctl for the router: the path %s has none", s.Path)
	}
	for _, one := range o.settings() {
		if !o.Elsewhere && !sysctlExists(one.Key) {
			return fmt.Errorf("sysctl %s for %s: %s", one.Key, one.Node, noSuchSysctl)
		}
	}
	return nil
}

// checkSource tells what is wrong with a scenario in any variant of it, which
// only this package knows. Tests do it for the built-in ones.
func (o Options) checkSource(source *scenarios.Source) error {
	if source.BuiltIn() {
		return nil
	}
	all, err := source.Every()
	if err != nil {
		return err
	}
	for _, s := range all {
		if err := checkSettings(s); err != nil {
			return err
		}
		if _, err := o.declaredOptions(s); err != nil {
			return err
		}
	}
	return nil
}

// settings are the sysctls in an order that is always the same.
func (o Options) settings() []scenarios.Setting {
	var all []scenarios.Setting
	for _, node := range scenarios.Nodes {
		for _, key := range slices.Sorted(maps.Keys(o.Sysctls[node])) {
			all = append(all, scenarios.Setting{Node: node, Key: key, Value: o.Sysctls[node][key]})
		}
	}
	return all
}

// check is about the options alone.
func (o Options) check() error {
	if o.Path != "" && !slices.Contains(topology.Paths, o.Path) {
		return fmt.Errorf("path %q: there are %s", o.Path, list(topology.Paths))
	}
	if f := o.family(); f != topology.IPv4 && f != topology.IPv6 {
		return fmt.Errorf("family %d: there are 4 and 6", f)
	}
	for _, name := range o.Without {
		if !slices.Contains(ObserverNames, name) {
			return fmt.Errorf("observer %q: there are %s", name, list(ObserverNames))
		}
	}
	if o.Grace < 0 || o.Timeout < 0 || o.Delay < 0 {
		return fmt.Errorf("a negative time")
	}
	if o.Delay > scenarios.MaxDelay {
		return fmt.Errorf("delay %v: %v at most", o.Delay, scenarios.MaxDelay)
	}
	if !(o.Loss >= 0 && o.Loss < 1) { // nor NaN
		return fmt.Errorf("loss %v: it must be a share of at least 0 and less than 1", o.Loss)
	}
	return nil
}

// command is the command line that makes such a run.
func (o Options) command(s *scenarios.Scenario) string {
	words := []string{"lab", "run", quote(s.Argument())}
	if o.Path != "" {
		words = append(words, "--path", string(o.Path))
	}
	if o.family() != topology.IPv4 {
		words = append(words, "--family", strconv.Itoa(int(o.Family)))
	}
	if o.delaySet() {
		words = append(words, "--delay", o.Delay.String())
	}
	if o.Loss > 0 {
		words = append(words, "--loss", strconv.FormatFloat(100*o.Loss, 'g', -1, 64)+"%")
	}
	if place, inside := warp.Inside(); inside && o.Real {
		words = append(words, machineWords(place)...)
	} else if o.Real {
		words = append(words, "--real")
	}
	for _, one := range o.settings() {
		words = append(words, "--sysctl", one.Node+":"+one.Key+"="+quote(one.Value))
	}
	if o.grace() != topology.DefaultGrace {
		words = append(words, "--grace", o.Grace.String())
	}
	if o.Timeout > 0 {
		words = append(words, "--timeout", o.Timeout.String())
	}
	if o.Own != nil {
		words = append(words, o.ownWords()...)
	}
	if len(o.Without) > 0 {
		words = append(words, "--without", strings.Join(o.Without, ","))
	}
	return strings.Join(words, " ")
}

// machineWords are the options for a run in a virtual-time machine, which
// leaves the timers as the kernel has them.
func machineWords(p warp.Place) []string {
	words := []string{"--warp"}
	for _, o := range []struct{ option, value string }{
		{"--engine", p.Wanted.Engine}, {"--kernel", p.Wanted.Kernel}, {"--modules", p.Wanted.Modules},
	} {
		if o.value != "" {
			words = append(words, o.option, quote(o.value))
		}
	}
	if p.Wanted.Cold {
		words = append(words, "--cold")
	}
	return append(words, "--seed", strconv.FormatUint(p.Seed, 10))
}

// ownWords are the options for the user's own programs.
func (o Options) ownWords() []string {
	var words []string
	for _, side := range []struct {
		option string
		argv   []string
	}{{"--server", o.Own.Server}, {"--client", o.Own.Client}} {
		if side.argv == nil {
			continue
		}
		quoted := make([]string, len(side.argv))
		for i, a := range side.argv {
			quoted[i] = quote(a)
		}
		words = append(words, side.option, "'"+strings.ReplaceAll(strings.Join(quoted, " "), "'", `'\''`)+"'")
	}
	if when := o.Own.When.String(); when != scenarios.WhenConnected {
		words = append(words, "--when", quote(when))
	}
	if expect := o.Own.Demand.Expect(); expect != "" {
		words = append(words, "--expect", expect)
	}
	if o.Own.Demand.Within != scenarios.DefaultDemand {
		words = append(words, "--within", o.Own.Demand.Within.String())
	}
	if o.Execution.User != "" {
		words = append(words, "--user", quote(o.Execution.User))
	}
	switch {
	case o.Execution.Terminal != nil:
		words = append(words, "--input", "-")
	case o.Execution.Input != "":
		words = append(words, "--input", quote(o.Execution.Input))
	}
	return words
}

func quote(value string) string {
	braces := strings.Contains(value, "{") && (strings.Contains(value, ",") || strings.Contains(value, "..")) // or {port} stands for itself
	if value == "" || braces || strings.ContainsAny(value, " \t\n\"'$\\`|&;<>()*?[]#~!") {
		return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
	}
	return value
}

func list[T ~string](names []T) string {
	words := make([]string, len(names))
	for i, n := range names {
		words[i] = string(n)
	}
	return strings.Join(words, ", ")
}
