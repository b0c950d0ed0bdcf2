package lab

import (
	"strings"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// sameCall tells whether a system call is the one that is meant: C libraries
// and languages have their choice among some that do the same.
func sameCall(name, meant string) bool {
	kind := func(call string) string {
		switch call {
		case "ppoll":
			return "poll"
		case "pselect6":
			return "select"
		case "accept4":
			return "accept"
		case "epoll_pwait", "epoll_pwait2":
			return "epoll_wait"
		}
		return call
	}
	return kind(name) == kind(meant)
}

// isWait tells the calls that are on no descriptor, or on several.
func isWait(call string) bool {
	switch call {
	case "poll", "ppoll", "select", "pselect6", "epoll_wait", "epoll_pwait", "epoll_pwait2", "epoll_ctl", "wait4", "waitid", "kill":
		return true
	}
	return false
}

// resultOf names a call's result as scenarios do: "ok" for success, "EOF" for
// a read of 0, or errno's name.
func resultOf(c *record.Call) string {
	switch {
	case c.Error != "":
		return c.Error
	case c.Name == "getsockopt": // SO_ERROR: the error is what it gives back
		if errno, found := strings.CutPrefix(c.Arg, "SO_ERROR E"); found {
			return "E" + errno
		}
	case c.EndOfFile():
		return "EOF"
	}
	return "ok"
}

func isRead(call string) bool {
	switch call {
	case "read", "readv", "preadv2", "recvfrom", "recvmsg", "recvmmsg":
		return true
	}
	return false
}
