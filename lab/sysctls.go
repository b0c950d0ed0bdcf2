package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
)

// kernelDefaults are the sysctls that decide what TCP does and when, with the
// kernel's own values (Documentation/networking/ip-sysctl.rst). They are set
// on each host, so that a run depends on nothing that the machine's
// administrator or another kernel chose.
func kernelDefaults(f topology.Family) map[string]string {
	all := map[string]string{
		"net.ipv4.tcp_retries1":             "3",
		"net.ipv4.tcp_retries2":             "15",
		"net.ipv4.tcp_syn_retries":          "6",
		"net.ipv4.tcp_synack_retries":       "5",
		"net.ipv4.tcp_syn_linear_timeouts":  "4", // since 6.5
		"net.ipv4.tcp_orphan_retries":       "0",
		"net.ipv4.tcp_fin_timeout":          "60",
		"net.ipv4.tcp_keepalive_time":       "7200",
		"net.ipv4.tcp_keepalive_intvl":      "75",
		"net.ipv4.tcp_keepalive_probes":     "9",
		"net.ipv4.tcp_rto_min_us":           "200000", // since 6.11
		"net.ipv4.tcp_rto_max_ms":           "120000", // since 6.15
		"net.ipv4.tcp_early_retrans":        "3",
		"net.ipv4.tcp_recovery":             "1",
		"net.ipv4.tcp_frto":                 "2",
		"net.ipv4.tcp_sack":                 "1",
		"net.ipv4.tcp_timestamps":           "1",
		"net.ipv4.tcp_thin_linear_timeouts": "0",
		"net.ipv4.tcp_mtu_probing":          "0",
		"net.ipv4.tcp_no_metrics_save":      "0",
	}
	maps.Copy(all, interfaceDefaults(f))
	return all
}

// interfaceDefaults are those that an interface inherits from the machine,
// unless they are set.
func interfaceDefaults(f topology.Family) map[string]string {
	v4, neighbours := map[string]string{
		"net.ipv4.ip_forward":                "0",
		"net.ipv4.conf.all.rp_filter":        "0",
		"net.ipv4.conf.default.rp_filter":    "0",
		"net.ipv4.conf.all.arp_ignore":       "0",
		"net.ipv4.conf.default.arp_ignore":   "0",
		"net.ipv4.conf.all.arp_announce":     "0",
		"net.ipv4.conf.default.arp_announce": "0",
	}, "net.ipv4.neigh.eth0."
	if f == topology.IPv6 {
		neighbours = "net.ipv6.neigh.eth0."
	}
	for name, value := range map[string]string{
		"base_reachable_time_ms": "30000",
		"delay_first_probe_time": "5",
		"retrans_time_ms":        "1000",
		"ucast_solicit":          "3",
		"mcast_solicit":          "3",
		"app_solicit":            "0",
	} {
		v4[neighbours+name] = value
	}
	return v4
}

// routerDefaults are those of a router that decide what it answers.
func routerDefaults(f topology.Family) map[string]string {
	if f == topology.IPv6 {
		return map[string]string{"net.ipv6.icmp.ratelimit": "1000"}
	}
	return map[string]string{
		"net.ipv4.icmp_ratelimit":         "1000",
		"net.ipv4.conf.all.rp_filter":     "0",
		"net.ipv4.conf.default.rp_filter": "0",
	}
}

// youngSysctls are those of kernelDefaults that not every supported kernel
// has; where they are missing the kernel uses their defaults as constants.
var youngSysctls = []string{
	"net.ipv4.tcp_syn_linear_timeouts", "net.ipv4.tcp_rto_min_us", "net.ipv4.tcp_rto_max_ms",
}

// sysctlPlan decides what each node's sysctls are to be: the kernel's
// defaults, the scenario's, and what the user asked for, each over the one
// before.
func sysctlPlan(s *scenarios.Scenario, o Options) (plan map[string]map[string]string, changed []string) {
	defaults := map[string]map[string]string{}
	for _, node := range nodes(s) {
		defaults[node] = kernelDefaults(o.family())
		if node == string(topology.Router) {
			defaults[node] = routerDefaults(o.family())
		}
	}
	plan = map[string]map[string]string{}
	for node, set := range defaults {
		plan[node] = maps.Clone(set)
	}
	for _, layer := range []map[string]map[string]string{s.Sysctls, o.Sysctls} {
		for node, set := range layer {
			if plan[node] != nil {
				maps.Copy(plan[node], set)
			}
		}
	}
	for _, node := range slices.Sorted(maps.Keys(plan)) {
		for _, key := range slices.Sorted(maps.Keys(plan[node])) {
			value := plan[node][key]
			if def, known := defaults[node][key]; known && def != value {
				changed = append(changed, fmt.Sprintf("%s %s=%s (kernel default %s)", node, key, value, def))
			} else if !known {
				changed = append(changed, fmt.Sprintf("%s %s=%s", node, key, value))
			}
		}
	}
	for _, key := range youngSysctls {
		if !sysctlExists(key) {
			for node := range plan {
				if plan[node][key] == defaults[node][key] {
					delete(plan[node], key)
				}
			}
		}
	}
	return plan, changed
}

// ParseSysctl reads [HOST:]KEY=VALUE; without a host it is for both.
func ParseSysctl(s string, into map[string]map[string]string) error {
	assignment, hosts := s, []string{"client", "server"}
	if node, rest, found := strings.Cut(s, ":"); found && !strings.ContainsAny(node, "=.") {
		if !slices.Contains(scenarios.Nodes, node) {
			return fmt.Errorf("sysctl %q: no host %q, but %s", s, node, strings.Join(scenarios.Nodes, ", "))
		}
		assignment, hosts = rest, []string{node}
	}
	key, value, err := scenarios.CutSysctl(assignment)
	if err != nil {
		return fmt.Errorf("%w, or HOST:KEY=VALUE", err)
	}
	for _, h := range hosts {
		if into[h] == nil {
			into[h] = map[string]string{}
		}
		into[h][key] = value
	}
	return nil
}

// nodes are those of a scenario's network that have sysctls of interest.
func nodes(s *scenarios.Scenario) []string {
	list := []string{"client", "server"}
	if s.Path == string(topology.Router) {
		list = append(list, string(topology.Router))
	}
	if s.Standby {
		list = append(list, "standby")
	}
	return list
}

// congestionControl is recorded as the machine has it: what sets the congestion
// window. A network namespace of one's own may not choose every algorithm
// (tcp_set_default_congestion_control).
const congestionControl = "net.ipv4.tcp_congestion_control"

// readSysctls reads back what is in force.
func readSysctls(n *topology.Network, plan map[string]map[string]string) (map[string]map[string]string, error) {
	inForce := map[string]map[string]string{}
	for node, set := range plan {
		ns := n.Middle()
		if node != string(topology.Router) {
			h, err := n.Host(node)
			if err != nil {
				return nil, err
			}
			ns = h.Namespace()
		}
		keys := slices.Sorted(maps.Keys(set))
		if node != string(topology.Router) && set[congestionControl] == "" {
			keys = append(keys, congestionControl)
		}
		values, err := ns.Sysctls(keys)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", node, err)
		}
		inForce[node] = values
	}
	return inForce, nil
}

// noSuchSysctl is what is said of a sysctl that there is not.
const noSuchSysctl = "this kernel has none of that name"

// sysctlExists tells whether this kernel has the sysctl: what a new namespace
// has, lab's own has, too, but for the interface.
func sysctlExists(key string) bool {
	_, err := os.Stat("/proc/sys/" + strings.ReplaceAll(ofLoopback(key), ".", "/"))
	return err == nil
}

// ofLoopback is the sysctl of the interface that every namespace has, instead
// of that of a host's. (One that is not the machine's own has no
// net.ipv4.neigh.default.)
func ofLoopback(key string) string { return strings.Replace(key, ".eth0.", ".lo.", 1) }

// checkSettings tells which sysctl of a scenario there is not.
func checkSettings(s *scenarios.Scenario) error {
	for _, one := range s.Settings {
		if !sysctlExists(one.Key) {
			return &scenarios.SyntaxError{Place: one.Place(), Err: fmt.Errorf("sysctl %s for %s: %s", one.Key, one.Node, noSuchSysctl)}
		}
	}
	return nil
}

// TrySysctls sets all that the experiments set beyond lab's own defaults in a
// network namespace that is thrown away: what the kernel refuses is known
// before anything is built. Of a scenario that is not built in, it is all that
// is set in any variant of it. It needs root.
func TrySysctls(experiments []*Experiment) error {
	var t trial
	for _, e := range experiments {
		variants := []*scenarios.Scenario{e.scenario}
		if !e.scenario.BuiltIn() {
			all, err := e.scenario.Every()
			if err != nil {
				return err
			}
			variants = append(variants, all...)
		}
		for _, s := range variants {
			for _, one := range s.Settings {
				t.add(one, one.Place()+": "+one.String())
			}
		}
		for _, one := range e.options.settings() {
			t.add(one, fmt.Sprintf("--sysctl %s:%s=%s", one.Node, one.Key, one.Value))
		}
	}
	return t.run()
}

// A trial is of sysctls, each once.
type trial struct {
	sysctls []scenarios.Setting
	origins []string // where each is asked for
	known   map[[2]string]bool
}

func (t *trial) add(one scenarios.Setting, origin string) {
	if one.Node != string(topology.Router) { // whose ports have other names
		one.Key = ofLoopback(one.Key)
	}
	key := [2]string{one.Key, one.Value}
	if t.known[key] {
		return
	}
	if t.known == nil {
		t.known = map[[2]string]bool{}
	}
	t.known[key] = true
	t.sysctls, t.origins = append(t.sysctls, one), append(t.origins, origin)
}

func (t *trial) run() error {
	if len(t.sysctls) == 0 {
		return nil
	}
	ns, err := topology.NewNamespace()
	if err != nil {
		return fmt.Errorf("try sysctls: %w", err)
	}
	for i, one := range t.sysctls {
		err := ns.SetSysctls(map[string]string{one.Key: one.Value})
		if refused, ok := errors.AsType[*topology.SysctlError](err); ok {
			err = &RefusedError{t.origins[i], refused}
		}
		if err != nil {
			return errors.Join(err, ns.Close())
		}
	}
	return ns.Close()
}

// A RefusedError is a sysctl that a host's network does not take.
type RefusedError struct {
	Origin string // who asks for it: FILE:LINE: TEXT, or the option
	Err    *topology.SysctlError
}

func (e *RefusedError) Error() string {
	// A sysctl of the whole machine is not there, or is only to be read.
	if errors.Is(e.Err, fs.ErrNotExist) || errors.Is(e.Err, fs.ErrPermission) {
		return e.Origin + ": a host's network has none of its own"
	}
	return fmt.Sprintf("%s: the kernel refuses it: %v", e.Origin, e.Err.Cause())
}

func (e *RefusedError) Unwrap() error { return e.Err }
