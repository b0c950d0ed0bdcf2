package lab

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
)

// Options change a scenario's run.
type Options struct {
	// Path is the path to build instead of the scenario's, "" for its own.
	Path topology.Path
	// Real leaves all timers as the kernel has them.
	Real bool
	// Sysctls are set over all others, by node: "client", "server", "router".
	Sysctls map[string]map[string]string
	// Grace is the time between SIGTERM and SIGKILL at a shutdown, 0 for
	// topology.DefaultGrace.
	Grace time.Duration
	// Timeout ends the run, 0 for as long as its steps may take.
	Timeout time.Duration
	// Without names observers to leave out: of ObserverNames.
	Without []string
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

func (o Options) path(s *scenarios.Scenario) topology.Path {
	if o.Path != "" {
		return o.Path
	}
	return topology.Path(s.Path)
}

func (o Options) grace() time.Duration {
	if o.Grace > 0 {
		return o.Grace
	}
	return topology.DefaultGrace
}

// Check tells what is wrong with the options for the scenario, before
// anything is built.
func (o Options) Check(s *scenarios.Scenario) error {
	if o.Path != "" && !slices.Contains(topology.Paths, o.Path) {
		return fmt.Errorf("path %q: there are %s", o.Path, list(topology.Paths))
	}
	if s.Paths != nil && !slices.Contains(s.Paths, string(o.path(s))) {
		return fmt.Errorf("path %q: %s is what it says on the path %s only", o.Path, s.Name, strings.Join(s.Paths, ", "))
	}
	for _, name := range o.Without {
		if !slices.Contains(ObserverNames, name) {
			return fmt.Errorf("observer %q: there are %s", name, list(ObserverNames))
		}
	}
	if o.Grace < 0 || o.Timeout < 0 {
		return fmt.Errorf("a negative time")
	}
	if o.path(s) != topology.Router && len(o.Sysctls["router"]) > 0 {
		return fmt.Errorf("sysctl for the router: the path %s has none", o.path(s))
	}
	for node, set := range o.Sysctls {
		for key := range set {
			// An interface has the sysctls that the default one has.
			if !sysctlExists(strings.Replace(key, ".eth0.", ".default.", 1)) {
				return fmt.Errorf("sysctl %s for %s: this kernel has none of that name", key, node)
			}
		}
	}
	return nil
}

// command is the command line that makes such a run.
func (o Options) command(s *scenarios.Scenario) string {
	words := []string{"lab", "run", s.Name}
	if o.Path != "" {
		words = append(words, "--path", string(o.Path))
	}
	if o.Real {
		words = append(words, "--real")
	}
	for _, node := range []string{"client", "server", "router"} {
		var set []string
		for key, value := range o.Sysctls[node] {
			set = append(set, node+":"+key+"="+quote(value))
		}
		slices.Sort(set)
		for _, one := range set {
			words = append(words, "--sysctl", one)
		}
	}
	if o.grace() != topology.DefaultGrace {
		words = append(words, "--grace", o.Grace.String())
	}
	if o.Timeout > 0 {
		words = append(words, "--timeout", o.Timeout.String())
	}
	if len(o.Without) > 0 {
		words = append(words, "--without", strings.Join(o.Without, ","))
	}
	return strings.Join(words, " ")
}

func quote(value string) string {
	if strings.ContainsAny(value, " \t\"'$\\") {
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
