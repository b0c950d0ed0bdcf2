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
	callPreadv2
	callPwritev2
	callSendto
	callRecvfrom
	callSendmsg
	callRecvmsg
	callSendmmsg
	callRecvmmsg
	callSendfile
	callSplice
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
	callEpollCtl
	callWait4
	callWaitid
	callKill
)

var callNames = [...]string{
	callRead: "read", callWrite: "write", callReadv: "readv", callWritev: "writev",
	callPreadv2: "preadv2", callPwritev2: "pwritev2", callSendmmsg: "sendmmsg", callRecvmmsg: "recvmmsg",
	callSendfile: "sendfile", callSplice: "splice", callEpollCtl: "epoll_ctl",
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
	out.Empty = c.flags&bpfCallEmpty != 0
	if returned {
		out.Ret = c.ret
		out.Error = bpfErrnoName(c.ret)
	}
	switch {
	case c.call == callSplice:
		out.Arg = record.SpliceTo
		if c.flags&bpfCallInput != 0 {
			out.Arg = record.SpliceFrom
		}
	case c.call < callSplice:
		out.Data = d.texts.text(c.data)
	default:
		out.Arg = callArg(c, returned)
	}
	if returned && c.ret > 0 {
		out.Ready, out.Partial = d.ready(c), c.partial()
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
			return readyText(selectSets(c.data, c.arg[0]))
		}
		return strings.TrimPrefix(readyText(selectSets(c.data, c.arg[0]))+", ", ", ") + timeoutArg(c.arg[1])
	case callEpollWait, callEpollPwait, callEpollPwait2:
		return timeoutArg(c.arg[1])
	case callEpollCtl:
		return epollCtlArg(c)
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
