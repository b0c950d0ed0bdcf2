package topology

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// surviveSignals lets no signal end the init but SIGKILL from outside of the
// host. The kernel keeps from a PID namespace's process 1 what its own
// processes send only if there is no handler for it, and the runtime has one
// for nearly all, some of which end the program. These are caught, not ignored:
// what is ignored stays so in the programs that are started. Each takes its
// time, so that it is not all signals.
//
// One that is queued with a code of the sender's choosing (sigqueue) is taken
// for the kernel's own, so that SIGSEGV, SIGBUS and SIGFPE end the init that
// way, as ptrace does.
func surviveSignals() {
	signal.Notify(make(chan os.Signal, 1), // runtime/sigtab_linux_generic.go:
		unix.SIGHUP, unix.SIGINT, unix.SIGTERM, // _SigKill
		unix.SIGQUIT, unix.SIGABRT, unix.SIGILL, unix.SIGTRAP, unix.SIGSTKFLT, unix.SIGSYS, // _SigThrow
		unix.SIGBUS, unix.SIGFPE, unix.SIGSEGV, // _SigPanic
	)
}
