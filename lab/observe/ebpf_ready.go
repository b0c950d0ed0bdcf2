package observe

import (
	"encoding/binary"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// pollWanted and pollReady read struct pollfd, of which the first eight are
// there.
func pollWanted(b []byte) string { return readyText(pollfds(b, 4, true)) }
func pollReady(b []byte) string  { return readyText(pollfds(b, 6, false)) }

func pollfds(b []byte, at int, idle bool) []record.Ready {
	var fds []record.Ready
	for ; len(b) >= 8; b = b[8:] {
		bits := binary.NativeEndian.Uint16(b[at:])
		if fd := int32(binary.NativeEndian.Uint32(b)); fd >= 0 && (bits != 0 || idle) {
			fds = append(fds, record.Ready{FD: int(fd), Events: pollBits(bits)})
		}
	}
	return fds
}

// selectSets tells which of the first n descriptors, and of the first 64, are
// in the sets.
func selectSets(b []byte, n uint64) []record.Ready {
	if len(b) < 16 {
		return nil
	}
	var out []record.Ready
	for i, what := range []string{"read", "write"} {
		set := binary.NativeEndian.Uint64(b[8*i:])
		if n < 64 {
			set &= 1<<n - 1
		}
		for fd := range 64 {
			if set&(1<<fd) != 0 {
				out = append(out, record.Ready{FD: fd, Events: what})
			}
		}
	}
	return out
}

func readyText(ready []record.Ready) string {
	texts := make([]string, len(ready))
	for i, r := range ready {
		texts[i] = fmt.Sprintf("%d:%s", r.FD, r.Events)
	}
	return strings.Join(texts, " ")
}

// epollEvent reads a struct epoll_event.
func epollEvent(b []byte) (bits uint32, data uint64) {
	return binary.NativeEndian.Uint32(b), binary.NativeEndian.Uint64(b[epollDataAt:])
}

// epollCtlArg tells the operation, the descriptor, and what is waited for.
func epollCtlArg(c *bpfSyscall) string {
	op := fmt.Sprintf("operation %d", c.arg[0])
	switch c.arg[0] {
	case unix.EPOLL_CTL_ADD:
		op = "ADD"
	case unix.EPOLL_CTL_MOD:
		op = "MOD"
	case unix.EPOLL_CTL_DEL:
		return fmt.Sprintf("DEL %d", int32(c.arg[1]))
	}
	op = fmt.Sprintf("%s %d", op, int32(c.arg[1]))
	if len(c.data) < epollEventSize {
		return op
	}
	bits, _ := epollEvent(c.data)
	return op + " " + epollBits(bits)
}

// ready tells what a call that waits for several descriptors returned.
func (d *bpfDecoder) ready(c *bpfSyscall) []record.Ready {
	switch c.call {
	case callPoll, callPpoll:
		return pollfds(c.data, 6, false)
	case callSelect, callPselect6:
		return selectSets(c.data, c.arg[0])
	case callEpollWait, callEpollPwait, callEpollPwait2:
		var out []record.Ready
		for b := c.data; len(b) >= epollEventSize && int64(len(out)) < c.ret; b = b[epollEventSize:] {
			bits, data := epollEvent(b)
			out = append(out, record.Ready{FD: d.epolls.fd(d.process, c.fd, data), Events: epollBits(bits)})
		}
		return out
	}
	return nil
}

// partial tells whether such a call told of more than was copied: of what is
// beyond nothing is known.
func (c *bpfSyscall) partial() bool {
	if c.ret <= 0 {
		return false
	}
	switch c.call {
	case callPoll, callPpoll:
		return c.arg[0] > uint64(len(c.data)/8)
	case callSelect, callPselect6:
		return c.arg[0] > 64
	case callEpollWait, callEpollPwait, callEpollPwait2:
		return c.ret > int64(len(c.data)/epollEventSize)
	}
	return false
}

// A processID tells processes apart: the host's number, and the process id in
// the host.
type processID struct{ host, pid uint32 }

// epollsMax bounds what is remembered of a process.
const epollsMax = 1 << 16

// epolls remember what epoll_ctl said: epoll_wait returns the program's own
// data of a descriptor and not the descriptor.
type epolls map[processID]map[epollKey]int

type epollKey struct {
	epfd int32
	data uint64
}

func (e epolls) control(p processID, c *bpfSyscall) {
	if c.ret != 0 || len(c.data) < epollEventSize ||
		c.arg[0] != unix.EPOLL_CTL_ADD && c.arg[0] != unix.EPOLL_CTL_MOD {
		return
	}
	if e[p] == nil || len(e[p]) >= epollsMax {
		e[p] = map[epollKey]int{}
	}
	_, data := epollEvent(c.data)
	e[p][epollKey{c.fd, data}] = int(int32(c.arg[1]))
}

// fork lets a child know what its parent does. The child's own process has
// not run yet.
func (e epolls) fork(parent, child processID) {
	delete(e, child)
	if len(e[parent]) > 0 {
		e[child] = make(map[epollKey]int, len(e[parent]))
		for k, fd := range e[parent] {
			e[child][k] = fd
		}
	}
}

// fd is -1 if it is not known.
func (e epolls) fd(p processID, epfd int32, data uint64) int {
	if fd, ok := e[p][epollKey{epfd, data}]; ok {
		return fd
	}
	return -1
}
