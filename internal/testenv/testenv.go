// Package testenv is what this module's tests share: what they may need of
// the machine, and the proof that they left nothing behind.
package testenv

import (
	"fmt"
	"os"
	"strings"
)

// RequireEnv is the variable that turns a skip for want of privileges into a
// failure: where everything is meant to run, a test that did not says nothing.
const RequireEnv = "LAB_REQUIRE"

// TB is what is needed of a *testing.T.
type TB interface {
	Helper()
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// NeedRoot lets a test that makes networks go on only as root with the
// capabilities for it.
func NeedRoot(t TB) {
	t.Helper()
	if euid := os.Geteuid(); euid != 0 {
		Lack(t, "needs root: the effective user id is %d", euid)
		return
	}
	if missing := missingCapabilities(); missing != "" {
		Lack(t, "needs capabilities: root lacks %s", missing)
	}
}

// Lack skips a test for the reason given, which must be one that can be
// checked on this machine; with LAB_REQUIRE=1 it fails the test.
func Lack(t TB, format string, args ...any) {
	t.Helper()
	if os.Getenv(RequireEnv) == "1" {
		t.Fatalf("must not be skipped ("+RequireEnv+"=1): "+format, args...)
		return
	}
	t.Skipf(format, args...)
}

// missingCapabilities names those of linux/capability.h that every test with
// a network takes, as far as this process lacks them.
func missingCapabilities() string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err.Error()
	}
	var effective uint64
	for line := range strings.Lines(string(status)) {
		if hex, found := strings.CutPrefix(line, "CapEff:"); found {
			if _, err := fmt.Sscanf(hex, "%x", &effective); err != nil {
				return "what /proc/self/status does not say: " + err.Error()
			}
		}
	}
	var missing []string
	for _, c := range []struct {
		bit  int
		name string
	}{{12, "CAP_NET_ADMIN"}, {13, "CAP_NET_RAW"}, {19, "CAP_SYS_PTRACE"}, {21, "CAP_SYS_ADMIN"}} {
		if effective&(1<<c.bit) == 0 {
			missing = append(missing, c.name)
		}
	}
	return strings.Join(missing, ", ")
}
