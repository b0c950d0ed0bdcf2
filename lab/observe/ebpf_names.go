package observe

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// tcpStateNames are the kernel's (include/net/tcp_states.h), by number.
var tcpStateNames = [...]string{
	1: "ESTABLISHED", 2: "SYN_SENT", 3: "SYN_RECV", 4: "FIN_WAIT1", 5: "FIN_WAIT2",
	6: "TIME_WAIT", 7: "CLOSE", 8: "CLOSE_WAIT", 9: "LAST_ACK", 10: "LISTEN",
	11: "CLOSING", 12: "NEW_SYN_RECV", 13: "BOUND_INACTIVE",
}

func tcpStateName(n uint32) string {
	if int(n) < len(tcpStateNames) && tcpStateNames[n] != "" {
		return tcpStateNames[n]
	}
	return fmt.Sprintf("state %d", n)
}

// bpfErrnoName names the error of a system call's result, and is empty for a
// success. 512 to 516 are the kernel's own (include/linux/errno.h): a signal
// interrupted the call, and the program sees it restarted, sees EINTR, or is
// dead.
func bpfErrnoName(ret int64) string {
	if ret >= 0 || ret < -4095 {
		return ""
	}
	switch ret {
	case -512:
		return "ERESTARTSYS"
	case -513:
		return "ERESTARTNOINTR"
	case -514:
		return "ERESTARTNOHAND"
	case -516:
		return "ERESTART_RESTARTBLOCK"
	}
	if name := unix.ErrnoName(unix.Errno(-ret)); name != "" {
		return name
	}
	return fmt.Sprintf("errno %d", -ret)
}

// signalName is a signal's name; 0 is the signal that only probes.
func signalName(n int) string {
	if name := unix.SignalName(unix.Signal(n)); name != "" {
		return name
	}
	if n >= 32 && n <= 64 {
		return fmt.Sprintf("SIGRTMIN+%d", n-32)
	}
	return fmt.Sprintf("signal %d", n)
}

// pollNames are poll's bits in the order in which they are told.
var pollNames = []struct {
	bit  uint16
	name string
}{
	{unix.POLLIN, "POLLIN"},
	{unix.POLLPRI, "POLLPRI"},
	{unix.POLLOUT, "POLLOUT"},
	{unix.POLLRDHUP, "POLLRDHUP"},
	{unix.POLLERR, "POLLERR"},
	{unix.POLLHUP, "POLLHUP"},
	{unix.POLLNVAL, "POLLNVAL"},
}

func pollBits(bits uint16) string {
	var names []string
	for _, n := range pollNames {
		if bits&n.bit != 0 {
			names = append(names, n.name)
		}
	}
	if names == nil {
		return "0"
	}
	return strings.Join(names, "|")
}

// epollBits names epoll's bits, of which most are poll's (eventpoll.h).
func epollBits(bits uint32) string {
	var names []string
	for _, n := range pollNames {
		if bits&uint32(n.bit) != 0 {
			names = append(names, "E"+n.name)
		}
	}
	for _, n := range []struct {
		bit  uint32
		name string
	}{{unix.EPOLLEXCLUSIVE, "EPOLLEXCLUSIVE"}, {unix.EPOLLONESHOT, "EPOLLONESHOT"}, {unix.EPOLLET, "EPOLLET"}} {
		if bits&n.bit != 0 {
			names = append(names, n.name)
		}
	}
	if names == nil {
		return "0"
	}
	return strings.Join(names, "|")
}
