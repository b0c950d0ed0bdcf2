package topology

import (
	"os/signal"

	"golang.org/x/sys/unix"
)

// ignored are the signals that this process was started to ignore. It is asked at
// the beginning: signal.Ignored forgets it of those that were caught.
//
// Only of SIGHUP and SIGINT does Go's runtime tell (sigInstallGoHandler): it
// replaces what others did before any of a program's code is run. But who ignores
// SIGINT is taken to ignore SIGQUIT, as the background job of a shell without job
// control does (POSIX.1-2017, XCU 2.11).
var ignored = map[unix.Signal]bool{
	unix.SIGHUP:  signal.Ignored(unix.SIGHUP),
	unix.SIGINT:  signal.Ignored(unix.SIGINT),
	unix.SIGQUIT: signal.Ignored(unix.SIGINT),
}

// Ignored tells whether this process was started to ignore a signal, by nohup(1)
// or as a script's background job. It knows that of SIGHUP, SIGINT and SIGQUIT.
func Ignored(s unix.Signal) bool { return ignored[s] }
