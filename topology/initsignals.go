package topology

import (
	"fmt"
	"os"
	"os/signal"
	"reflect"
	"unsafe"

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
func surviveSignals() error {
	signal.Notify(make(chan os.Signal, 1), // runtime/sigtab_linux_generic.go:
		unix.SIGHUP, unix.SIGINT, unix.SIGTERM, // _SigKill
		unix.SIGQUIT, unix.SIGABRT, unix.SIGILL, unix.SIGTRAP, unix.SIGSTKFLT, unix.SIGSYS, // _SigThrow
		unix.SIGBUS, unix.SIGFPE, unix.SIGSEGV, // _SigPanic
	)
	for number := firstLibcSignal; number <= lastLibcSignal; number++ {
		if err := disarm(number); err != nil {
			return err
		}
	}
	return nil
}

// The signals that libraries of C use, which os/signal does not know
// (_SigSetStack in runtime/sigtab_linux_generic.go).
const firstLibcSignal, lastLibcSignal = 32, 34

// sigaction is the kernel's, of amd64 and of arm64.
type sigaction struct {
	handler, flags, restorer uintptr
	mask                     uint64
}

// disarm gives a signal that has no handler one that does nothing. Without one
// the signal ends even a process 1, and whoever sent it: the kernel leaves it
// out at once only if the first thread does not block it (sig_ignored), as the
// runtime does for a moment whenever it makes a thread or a process, and ends
// all threads if any other does not block it then (complete_signal). What else
// a handler needs is as the runtime has it, a stack of its own above all.
func disarm(number int) error {
	var is, model sigaction
	if err := rtSigaction(number, nil, &is); err != nil {
		return err
	}
	if is.handler != 0 { // SIG_DFL
		return nil
	}
	if err := rtSigaction(int(unix.SIGTERM), nil, &model); err != nil {
		return err
	}
	model.handler = reflect.ValueOf(doNothing).Pointer()
	return rtSigaction(number, &model, nil)
}

// doNothing is called by the kernel: it compiles to a return, which needs no
// goroutine and no stack.
//
//go:noinline
//go:nosplit
func doNothing() {}

func rtSigaction(number int, set, was *sigaction) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(number),
		uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(was)), unsafe.Sizeof(sigaction{}.mask), 0, 0)
	if errno != 0 {
		return fmt.Errorf("handle signal %d: %w", number, errno)
	}
	return nil
}
