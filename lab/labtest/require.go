package labtest

import (
	"errors"
	"os"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/warp"
)

// RequireEnv is the environment variable that turns a skip into a failure:
// where networks must be had, a test that has none says nothing. "" and "0"
// leave it a skip.
const RequireEnv = "LAB_REQUIRE"

func required() bool {
	v := os.Getenv(RequireEnv)
	return v != "" && v != "0"
}

// lack ends a test that cannot have what it needs, or know what it asks, for a
// reason that lies in this machine or in these privileges: it is skipped, or
// fails where that must not be.
func lack(t TB, reason error) {
	t.Helper()
	hint, _ := lab.Explain(reason)
	if p, ok := errors.AsType[*lab.PrivilegeError](reason); ok && p.Root {
		hint = "go test -exec sudo runs the tests, and nothing else, as root; go test -exec 'lab warp --', or labtest.Warp, takes none"
	}
	if lacking, ok := errors.AsType[*warp.LackError](reason); ok {
		hint = here(lacking.Hint)
	}
	if hint != "" {
		hint = "\nhint: " + hint
	}
	if required() {
		t.Fatalf("must not be skipped (%s=%s): %v%s", RequireEnv, os.Getenv(RequireEnv), reason, hint)
		return
	}
	t.Skipf("%v%s", reason, hint)
}
