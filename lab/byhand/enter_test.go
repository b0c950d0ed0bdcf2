package byhand

import (
	"os/signal"
	"testing"

	"golang.org/x/sys/unix"
)

// What was ignored is known to be, and what was not is not.
func TestIgnoredSignals(t *testing.T) {
	bit := func(s unix.Signal) bool { return ignoredSignals()>>(s-1)&1 == 1 }
	if bit(unix.SIGUSR2) {
		t.Skip("this process was started to ignore SIGUSR2")
	}
	signal.Ignore(unix.SIGUSR2)
	defer signal.Reset(unix.SIGUSR2)
	if !bit(unix.SIGUSR2) || bit(unix.SIGTERM) {
		t.Errorf("ignored: %x", ignoredSignals())
	}
}
