package topology

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lab and a host's init speak over a pair of SOCK_SEQPACKET sockets: one JSON
// object a packet, with descriptors beside it where a program is started or a
// socket borrowed.
// When either end is gone the other reads end of file, which is how the init
// learns that lab died, however it died.

// initFD is where the init finds its end.
const initFD = 3

// maxMessage bounds a packet, in octets. None comes near it: what may be large,
// a program's arguments, goes beside it.
const maxMessage = 1 << 16

type initOp string

const (
	opReady    initOp = "ready"    // the init is up
	opStart    initOp = "start"    // start a program
	opStarted  initOp = "started"  // it runs: PID, or Error
	opSignal   initOp = "signal"   // kill(PID, Signal)
	opShutdown initOp = "shutdown" // SIGTERM to all, Grace, SIGKILL to all
	opPowerOff initOp = "poweroff" // SIGKILL to all, then their sockets
	opBorrow   initOp = "borrow"   // duplicate the socket Inode of process PID
	opDone     initOp = "done"     // what was asked for is done, or Error
	opExited   initOp = "exited"   // a process ended: PID, Status
	opStage    initOp = "stage"    // shutdown: Signal was sent, Left processes remained
)

type initMessage struct {
	Op         initOp          `json:"op"`
	ID         int             `json:"id,omitempty"`   // pairs an answer with its request
	Argc       int             `json:"argc,omitempty"` // start: see arguments
	Credential *Credential     `json:"credential,omitempty"`
	PID        int             `json:"pid,omitempty"`
	Signal     unix.Signal     `json:"signal,omitempty"`
	Grace      time.Duration   `json:"grace,omitempty"`
	Left       int             `json:"left,omitempty"`
	At         int64           `json:"at,omitempty"` // stage, signal: CLOCK_MONOTONIC just before it was sent
	Status     unix.WaitStatus `json:"status,omitempty"`
	Inode      uint32          `json:"inode,omitempty"`
	Error      string          `json:"error,omitempty"`
	Errno      syscall.Errno   `json:"errno,omitempty"`  // what Error wraps, 0: none
	BadDir     bool            `json:"baddir,omitempty"` // Error wraps ErrDirectory

	// fds came with it and are the receiver's.
	fds []int
}

// failed is the answer that tells of an error.
func (m initMessage) failed(err error) initMessage {
	m.Error, m.BadDir = err.Error(), errors.Is(err, ErrDirectory)
	m.Errno, _ = errors.AsType[syscall.Errno](err)
	return m
}

// failure is the error that an answer tells of, nil if none. What the init's
// wrapped, it wraps again, as far as it crosses.
func (m initMessage) failure() error {
	if m.Error == "" {
		return nil
	}
	e := &initError{text: m.Error}
	if m.Errno != 0 {
		e.wrapped = append(e.wrapped, m.Errno)
	}
	if m.BadDir {
		e.wrapped = append(e.wrapped, ErrDirectory)
	}
	return e
}

// An initError is an error that came from a host's init.
type initError struct {
	text    string
	wrapped []error
}

func (e *initError) Error() string   { return e.text }
func (e *initError) Unwrap() []error { return e.wrapped }

// discard closes what came with the message.
func (m initMessage) discard() {
	for _, fd := range m.fds {
		unix.Close(fd)
	}
}

// sendMessage writes one packet; fds go along and stay the caller's.
func sendMessage(fd int, m initMessage, fds ...int) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if len(b) > maxMessage {
		return fmt.Errorf("%s: a message of %d octets: %w", m.Op, len(b), unix.EMSGSIZE)
	}
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	for {
		err := unix.Sendmsg(fd, b, oob, nil, unix.MSG_NOSIGNAL)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// receiveMessage reads one packet. At the end of the conversation it returns
// io.EOF.
func receiveMessage(fd int, buf []byte) (initMessage, error) {
	oob := make([]byte, unix.CmsgSpace(4*8))
	for {
		n, oobn, _, _, err := unix.Recvmsg(fd, buf, oob, unix.MSG_CMSG_CLOEXEC)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if errors.Is(err, unix.ECONNRESET) {
			return initMessage{}, io.EOF
		}
		if err != nil {
			return initMessage{}, err
		}
		return parseMessage(buf[:n], oob[:oobn])
	}
}

// parseMessage reads what a packet and its control messages hold. Where it is
// no message of ours, the descriptors are closed.
func parseMessage(b, oob []byte) (initMessage, error) {
	fds, err := descriptors(oob)
	m := initMessage{fds: fds}
	switch {
	case err != nil:
	case len(b) == 0:
		err = io.EOF
	default:
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		initMessage{fds: fds}.discard()
		return initMessage{}, err
	}
	return m, nil
}

// descriptors are those that came in control messages, the caller's also where
// there is an error of another one.
func descriptors(oob []byte) (fds []int, err error) {
	if len(oob) == 0 {
		return nil, nil
	}
	cmsgs, err := unix.ParseSocketControlMessage(oob)
	for i := range cmsgs {
		got, wrong := unix.ParseUnixRights(&cmsgs[i])
		fds, err = append(fds, got...), errors.Join(err, wrong)
	}
	return fds, err
}
