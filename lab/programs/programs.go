// Package programs holds the example client and server: those of UNP chapter
// 5, as programs that are run by re-executing this one under their name. They
// use blocking system calls on plain descriptors, not Go's network poller, so
// that what they see is what a C program sees.
package programs

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// DefaultPort is where the echo server of the source listens.
const DefaultPort = 9998

// all maps a program's name, its Argv[0], to its main.
func all() map[string]func(args []string) int {
	return map[string]func(args []string) int{
		serverName:   serverMain,
		childName:    childMain,
		clientName:   clientMain,
		stubbornName: stubbornMain,
	}
}

// Known tells whether name is one of the example programs.
func Known(name string) bool { return all()[name] != nil }

// Run must be called first in main. In a process that was executed under the
// name of an example program it runs that and does not return.
func Run() {
	main := all()[os.Args[0]]
	if main == nil {
		return
	}
	// What ps shows; it was the name of the file that was executed, exe.
	_ = os.WriteFile("/proc/self/comm", []byte(os.Args[0]), 0)
	dieOfSIGTERM()
	os.Exit(main(os.Args[1:]))
}

// dieOfSIGTERM gives SIGTERM its default action back. Go's runtime catches it
// and then sends it to itself once more, which no C program does.
func dieOfSIGTERM() {
	// The kernel's struct sigaction, on amd64 and arm64; all zero is SIG_DFL.
	var action struct {
		handler, flags, restorer uintptr
		mask                     uint64
	}
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGTERM),
		uintptr(unsafe.Pointer(&action)), 0, unsafe.Sizeof(action.mask), 0, 0)
	if errno != 0 {
		complain("rt_sigaction", errno)
	}
}

// retry repeats a system call that a signal interrupted.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// writeAll writes all of p to a blocking descriptor (UNP's writen).
func writeAll(fd int, p []byte) error {
	for len(p) > 0 {
		n, err := retry(func() (int, error) { return unix.Write(fd, p) })
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// say prints a line on standard output in one system call. Nobody is there to
// be told if that fails.
func say(format string, args ...any) { _ = writeAll(1, fmt.Appendf(nil, format+"\n", args...)) }

// complain prints a line on standard error: the call that failed, and errno's
// name beside its text.
func complain(call string, err error) {
	if errno, ok := errors.AsType[unix.Errno](err); ok {
		_ = writeAll(2, fmt.Appendf(nil, "%s: %s (%s)\n", call, errno.Error(), unix.ErrnoName(errno)))
		return
	}
	_ = writeAll(2, fmt.Appendf(nil, "%s: %v\n", call, err))
}

// socket opens a blocking TCP socket for addresses like a.
func socket(a netip.Addr) (int, error) {
	family := unix.AF_INET
	if a.Is6() {
		family = unix.AF_INET6
	}
	return unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
}

// sockaddr is a's form for the system calls.
func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}
