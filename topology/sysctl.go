package topology

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// sysctlPath accepts both spellings of a sysctl, with dots and with slashes.
func sysctlPath(key string) string {
	if !strings.Contains(key, "/") {
		key = strings.ReplaceAll(key, ".", "/")
	}
	return "/proc/sys/" + key
}

// Sysctls reads some of the namespace's sysctls, given with dots
// (net.ipv4.tcp_retries2) or as paths below /proc/sys.
func (n *Namespace) Sysctls(keys []string) (map[string]string, error) {
	values := make(map[string]string, len(keys))
	err := n.Do(func() error {
		for _, key := range keys {
			b, err := os.ReadFile(sysctlPath(key))
			if err != nil {
				return fmt.Errorf("read sysctl %s: %w", key, err)
			}
			values[key] = strings.TrimSpace(string(b))
		}
		return nil
	})
	return values, err
}

// SetSysctls sets them in the order of their names.
func (n *Namespace) SetSysctls(values map[string]string) error {
	return n.Do(func() error {
		for _, k := range slices.Sorted(maps.Keys(values)) {
			if err := os.WriteFile(sysctlPath(k), []byte(values[k]), 0); err != nil {
				return &SysctlError{Key: k, Value: values[k], Err: err}
			}
		}
		return nil
	})
}
