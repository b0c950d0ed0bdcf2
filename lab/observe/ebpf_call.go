package observe

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// The system calls by enum call of bpf/event.h.
const (
	callRead = 1 + iota
	callWrite
	callReadv
	callWritev
	callSendto
	callRecvfrom
	callSendmsg
	callRecvmsg
	callConnect
	callAccept
	callAccept4
	callListen
	callBind
	callShutdown
	callClose
	callGetsockopt
	callPoll
	callPpoll
	callSelect
	callPselect6
	callEpollWait
	callEpollPwait
	callEpollPwait2
	callWait4
	callWaitid
	callKill
)

var callNames = [...]string{
	callRead: "read", callWrite: "write", callReadv: "readv", callWritev: "writev",
	callSendto: "sendto", callRecvfrom: "recvfrom", callSendmsg: "sendmsg", callRecvmsg: "recvmsg",
	callConnect: "connect", callAccept: "accept", callAccept4: "accept4", callListen: "listen",
	callBind: "bind", callShutdown: "shutdown", callClose: "close", callGetsockopt: "getsockopt",
	callPoll: "poll", callPpoll: "ppoll", callSelect: "select", callPselect6: "pselect6",
	callEpollWait: "epoll_wait", callEpollPwait: "epoll_pwait", callEpollPwait2: "epoll_pwait2",
	callWait4: "wait4", callWaitid: "waitid", callKill: "kill",
}

func callName(n uint32) string {
	if int(n) < len(callNames) && callNames[n] != "" {
		return callNames[n]
	}
	return fmt.Sprintf("call %d", n)
}

// fillCall fills in everything but the addresses, for a call that began or
// that returned.
func (d *bpfDecoder) fillCall(out *record.Call, c *bpfSyscall, returned bool) {
	out.Name = callName(c.call)
	out.FD = int(c.fd)
	out.Socket = c.sk != 0
	if returned {
		out.Ret = c.ret
		out.Error = bpfErrnoName(c.ret)
	}
	switch c.call {
	case callRead, callWrite, callReadv, callWritev, callSendto, callRecvfrom, callSendmsg, callRecvmsg:
		out.Data = d.texts.text(c.data)
	default:
		out.Arg = callArg(c, returned)
	}
}

// callArg is the argument that matters, as text, and of a call that returned
// what it gave back through its arguments.
func callArg(c *bpfSyscall, returned bool) string {
	ok := returned && c.ret >= 0
	switch c.call {
	case callConnect, callBind:
		return sockaddr(c.data)
	case callListen:
		return strconv.Itoa(int(int32(c.arg[0])))
	case callShutdown:
		switch c.arg[0] {
		case unix.SHUT_RD:
			return "SHUT_RD"
		case unix.SHUT_WR:
			return "SHUT_WR"
		case unix.SHUT_RDWR:
			return "SHUT_RDWR"
		}
		return strconv.Itoa(int(int32(c.arg[0])))
	case callGetsockopt:
		if !ok || len(c.data) < 4 {
			return "SO_ERROR"
		}
		if e := binary.NativeEndian.Uint32(c.data); e != 0 {
			return "SO_ERROR " + bpfErrnoName(-int64(e))
		}
		return "SO_ERROR 0"
	case callPoll, callPpoll:
		if ok && c.ret > 0 {
			return pollReady(c.data)
		}
		return strings.TrimPrefix(pollWanted(c.data)+", ", ", ") + timeoutArg(c.arg[1])
	case callSelect, callPselect6:
		if ok && c.ret > 0 {
			return selectSets(c.data, c.arg[0])
		}
		return strings.TrimPrefix(selectSets(c.data, c.arg[0])+", ", ", ") + timeoutArg(c.arg[1])
	case callEpollWait, callEpollPwait, callEpollPwait2:
		return timeoutArg(c.arg[1])
	case callWait4:
		if !ok {
			return fmt.Sprintf("pid %d", int32(c.arg[0]))
		}
		return waited(c)
	case callWaitid:
		return waitidArg(c, ok)
	case callKill:
		return fmt.Sprintf("pid %d %s", int32(c.arg[0]), signalName(int(int32(c.arg[1]))))
	}
	return ""
}

// sockaddr is an address as connect and bind take it.
func sockaddr(b []byte) string {
	if len(b) < 8 {
		return ""
	}
	family := binary.NativeEndian.Uint16(b)
	port := binary.BigEndian.Uint16(b[2:])
	raw := b[4:]
	if family == unix.AF_INET6 {
		if len(b) < 24 {
			return ""
		}
		raw = b[8:]
	}
	if port == 0 {
		// decodeAddr takes port 0 for no address; bind means "any port".
		a := decodeAddr(family, raw, 1)
		if !a.IsValid() {
			return ""
		}
		return strings.TrimSuffix(a.String(), "1") + "0"
	}
	if a := decodeAddr(family, raw, port); a.IsValid() {
		return a.String()
	}
	return ""
}

// timeoutArg tells nanoseconds, -1 for ever.
func timeoutArg(ns uint64) string {
	if int64(ns) < 0 {
		return "no timeout"
	}
	return "timeout " + time.Duration(ns).String()
}

// pollWanted and pollReady read struct pollfd, of which the first eight are
// there.
func pollWanted(b []byte) string { return pollfds(b, 4, true) }
func pollReady(b []byte) string  { return pollfds(b, 6, false) }

func pollfds(b []byte, at int, idle bool) string {
	var fds []string
	for ; len(b) >= 8; b = b[8:] {
		bits := binary.NativeEndian.Uint16(b[at:])
		if fd := int32(binary.NativeEndian.Uint32(b)); fd >= 0 && (bits != 0 || idle) {
			fds = append(fds, fmt.Sprintf("%d:%s", fd, pollBits(bits)))
		}
	}
	return strings.Join(fds, " ")
}

// selectSets tells which of the first n descriptors, and of the first 64, are
// in the sets.
func selectSets(b []byte, n uint64) string {
	if len(b) < 16 {
		return ""
	}
	var out []string
	for i, what := range []string{"read", "write"} {
		set := binary.NativeEndian.Uint64(b[8*i:])
		if n < 64 {
			set &= 1<<n - 1
		}
		for fd := range 64 {
			if set&(1<<fd) != 0 {
				out = append(out, fmt.Sprintf("%d:%s", fd, what))
			}
		}
	}
	return strings.Join(out, " ")
}

// waited tells what wait4 returned.
func waited(c *bpfSyscall) string {
	if c.ret == 0 {
		return "no child ended"
	}
	pid := fmt.Sprintf("pid %d", c.ret)
	if len(c.data) < 4 {
		return pid
	}
	status := unix.WaitStatus(binary.NativeEndian.Uint32(c.data))
	switch {
	case status.Exited():
		return fmt.Sprintf("%s exit %d", pid, status.ExitStatus())
	case status.Signaled():
		return pid + " " + signalName(int(status.Signal()))
	case status.Stopped():
		return pid + " stopped"
	}
	return pid + " continued"
}

// waitidArg tells whom waitid waits for, and of its siginfo_t what ended:
// si_code at 8, si_pid at 16, si_status at 24.
func waitidArg(c *bpfSyscall, ok bool) string {
	if ok && len(c.data) >= 28 {
		ne := binary.NativeEndian
		pid, status := int32(ne.Uint32(c.data[16:])), int(int32(ne.Uint32(c.data[24:])))
		const exited, killed, dumped = 1, 2, 3 // CLD_EXITED and so on
		switch ne.Uint32(c.data[8:]) {
		case exited:
			return fmt.Sprintf("pid %d exit %d", pid, status)
		case killed, dumped:
			return fmt.Sprintf("pid %d %s", pid, signalName(status))
		}
		if pid == 0 {
			return "no child ended"
		}
		return fmt.Sprintf("pid %d", pid)
	}
	switch c.arg[0] {
	case unix.P_PID:
		return fmt.Sprintf("pid %d", int32(c.arg[1]))
	case unix.P_PIDFD:
		return fmt.Sprintf("pidfd %d", int32(c.arg[1]))
	case unix.P_PGID:
		return fmt.Sprintf("process group %d", int32(c.arg[1]))
	}
	return "any child"
}
