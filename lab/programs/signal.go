package programs

import (
	"os"
	"os/signal"
	"unsafe"

	"golang.org/x/sys/unix"
)

// defaultAction gives a signal its default action back. Go's runtime catches
// nearly all of them.
func defaultAction(sig unix.Signal) {
	// The kernel's struct sigaction, on amd64 and arm64; all zero is SIG_DFL.
	var action struct {
		handler, flags, restorer uintptr
		mask                     uint64
	}
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig),
		uintptr(unsafe.Pointer(&action)), 0, unsafe.Sizeof(action.mask), 0, 0)
	if errno != 0 {
		complain("rt_sigaction", errno)
	}
}

// catchSIGTERM undoes defaultAction: without being told that the signal was
// ignored, the runtime takes its own handler to be still there.
func catchSIGTERM(to chan<- os.Signal) {
	signal.Ignore(unix.SIGTERM)
	signal.Notify(to, unix.SIGTERM)
}

// noteSignals writes the number of each signal that comes into a pipe, for
// poll: the self-pipe, without which a signal just before the wait would go
// unnoticed. It returns the pipe's other end.
func noteSignals(from <-chan os.Signal) (int, error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return -1, err
	}
	go func() {
		for s := range from {
			_ = writeAll(p[1], []byte{byte(s.(unix.Signal))})
		}
	}()
	return p[0], nil
}

// reapChildren is UNP's sig_chld, as a goroutine: it waits at each SIGCHLD.
// The runtime's handler has the system calls that it interrupts restarted
// (SA_RESTART).
func reapChildren(once bool) {
	ended := make(chan os.Signal, 64)
	signal.Notify(ended, unix.SIGCHLD)
	go func() {
		for range ended {
			reap(once, func(int) {})
		}
	}()
}

// reap waits for every child that has ended, as in UNP figure 5.11, for
// several may stand behind one signal; or, once, as in figure 5.7.
func reap(once bool, each func(pid int)) {
	options := unix.WNOHANG
	if once {
		options = 0
	}
	for {
		pid, err := retry(func() (int, error) { return unix.Wait4(-1, nil, options, nil) })
		if err != nil || pid <= 0 {
			return
		}
		each(pid)
		say("child %d exit", pid)
		if once {
			return
		}
	}
}

// maskSignal blocks or unblocks (how) a signal in the calling thread.
func maskSignal(how int, sig unix.Signal) error {
	return unix.PthreadSigmask(how, &unix.Sigset_t{Val: [16]uint64{1 << (sig - 1)}}, nil)
}
