// Package programs holds the example client and server: those of UNP chapter
// 5, as programs that are run by re-executing this one under their name. They
// use blocking system calls on plain descriptors, not Go's network poller, so
// that what they see is what a C program sees.
package programs

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"strings"

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

// Known tells whether name is one of the example programs, which a scenario
// may start. The server's child is not: it takes its descriptor over.
func Known(name string) bool { return all()[name] != nil && name != childName }

// Run must be called first in main. In a process that was executed under the
// name of an example program it runs that and does not return.
func Run() {
	main := all()[os.Args[0]]
	if main == nil {
		return
	}
	setName(os.Args[0])
	// A C program has one thread; as far as Go lets us, so has this one.
	runtime.LockOSThread()
	// Go's runtime catches SIGTERM, and then sends it to itself once more.
	defaultAction(unix.SIGTERM)
	// At Ctrl-\ it would print where each of its goroutines is.
	defaultAction(unix.SIGQUIT)
	os.Exit(main(os.Args[1:]))
}

// setName sets what ps shows: it was the name of the file that was executed,
// exe. An os.File would start Go's network poller, at which the runtime then
// looks again and again.
func setName(name string) {
	fd, err := unix.Open("/proc/self/comm", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	_, _ = unix.Write(fd, []byte(name))
	unix.Close(fd)
}

// newFlags makes a program's flag set, which itself prints nothing.
func newFlags(name string) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return flags
}

// parseFlags parses a command line that may have this many arguments besides
// its flags.
func parseFlags(flags *flag.FlagSet, args []string, arguments int) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > arguments {
		return fmt.Errorf("argument %q is too many", flags.Arg(arguments))
	}
	return nil
}

// usage prints how a program is used and returns the status to end with: 0 if
// that was asked for, 2 after a mistake.
func usage(flags *flag.FlagSet, arguments string, err error) int {
	fd, status := 2, 2
	var text strings.Builder
	if errors.Is(err, flag.ErrHelp) {
		fd, status = 1, 0
	} else {
		fmt.Fprintf(&text, "%s: %v\n", flags.Name(), err)
	}
	writeUsage(&text, flags, arguments)
	_ = writeAll(fd, []byte(text.String()))
	return status
}

func writeUsage(w io.Writer, flags *flag.FlagSet, arguments string) {
	fmt.Fprintf(w, "usage: %s\n", strings.TrimSpace(flags.Name()+" "+arguments))
	flags.SetOutput(w)
	flags.PrintDefaults()
}

// Usage writes how each program is used.
func Usage(w io.Writer) {
	_, client, _ := parseClient(nil)
	writeUsage(w, client, clientArguments)
	_, server, _ := parseServer(nil)
	fmt.Fprintln(w)
	writeUsage(w, server, serverArguments)
	fmt.Fprintln(w)
	writeUsage(w, newFlags(stubbornName), "")
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

// family is the address family of sockets for addresses like a.
func family(a netip.Addr) int {
	if a.Is6() {
		return unix.AF_INET6
	}
	return unix.AF_INET
}

// socket opens a blocking TCP socket for addresses like a.
func socket(a netip.Addr) (int, error) {
	return unix.Socket(family(a), unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
}

// sockaddr is a's form for the system calls.
func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}
