package lab

import (
	"fmt"
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
func kernelDefaults() map[string]string {
	return map[string]string{
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

		// Interfaces inherit these from the machine, unless they are set.
		"net.ipv4.ip_forward":                "0",
		"net.ipv4.conf.all.rp_filter":        "0",
		"net.ipv4.conf.default.rp_filter":    "0",
		"net.ipv4.conf.all.arp_ignore":       "0",
		"net.ipv4.conf.default.arp_ignore":   "0",
		"net.ipv4.conf.all.arp_announce":     "0",
		"net.ipv4.conf.default.arp_announce": "0",

		"net.ipv4.neigh.eth0.base_reachable_time_ms": "30000",
		"net.ipv4.neigh.eth0.delay_first_probe_time": "5",
		"net.ipv4.neigh.eth0.retrans_time_ms":        "1000",
		"net.ipv4.neigh.eth0.ucast_solicit":          "3",
		"net.ipv4.neigh.eth0.mcast_solicit":          "3",
		"net.ipv4.neigh.eth0.app_solicit":            "0",
	}
}

// routerDefaults are those of a router that decide what it answers.
func routerDefaults() map[string]string {
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
// defaults, the scenario's, what it shortens unless the timers are real, and
// what the user asked for, each over the one before.
func sysctlPlan(s *scenarios.Scenario, o Options) (plan map[string]map[string]string, changed []string) {
	plan = map[string]map[string]string{"client": kernelDefaults(), "server": kernelDefaults(), "router": routerDefaults()}
	layer := func(values map[string]map[string]string) {
		for node, set := range values {
			maps.Copy(plan[node], set)
		}
	}
	layer(s.Sysctls)
	if !o.Real {
		layer(s.Quick)
	}
	layer(o.Sysctls)

	defaults := kernelDefaults()
	maps.Copy(defaults, routerDefaults())
	for _, node := range slices.Sorted(maps.Keys(plan)) {
		if node == "router" && o.path(s) != topology.Router {
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(plan[node])) {
			value := plan[node][key]
			if def, known := defaults[key]; known && def != value {
				changed = append(changed, fmt.Sprintf("%s %s=%s (kernel default %s)", node, key, value, def))
			} else if !known {
				changed = append(changed, fmt.Sprintf("%s %s=%s", node, key, value))
			}
		}
	}
	for _, key := range youngSysctls {
		if !sysctlExists(key) {
			for _, node := range []string{"client", "server"} {
				if plan[node][key] == defaults[key] {
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
		if node != "client" && node != "server" && node != "router" {
			return fmt.Errorf("sysctl %q: no host %q, but client, server and router", s, node)
		}
		assignment, hosts = rest, []string{node}
	}
	key, value, found := strings.Cut(assignment, "=")
	if !found || key == "" || value == "" {
		return fmt.Errorf("sysctl %q: not of the form [HOST:]KEY=VALUE", s)
	}
	if !strings.HasPrefix(key, "net.") || strings.ContainsAny(key, "/ \t\n") || strings.Contains(key, "..") {
		return fmt.Errorf("sysctl %q: only those below net. belong to a host's network, spelled with dots", s)
	}
	for _, h := range hosts {
		if into[h] == nil {
			into[h] = map[string]string{}
		}
		into[h][key] = value
	}
	return nil
}

// readSysctls reads back what is in force.
func readSysctls(n *topology.Network, plan map[string]map[string]string) (map[string]map[string]string, error) {
	inForce := map[string]map[string]string{}
	nodes := map[string]*topology.Namespace{"client": n.Client.Namespace(), "server": n.Server.Namespace()}
	if n.Path == topology.Router {
		nodes["router"] = n.Middle()
	}
	for node, ns := range nodes {
		values, err := ns.Sysctls(slices.Sorted(maps.Keys(plan[node])))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", node, err)
		}
		inForce[node] = values
	}
	return inForce, nil
}

// sysctlExists tells whether this kernel has the sysctl: what lab's own
// namespace has, a new one has too.
func sysctlExists(key string) bool {
	_, err := os.Stat("/proc/sys/" + strings.ReplaceAll(key, ".", "/"))
	return err == nil
}
