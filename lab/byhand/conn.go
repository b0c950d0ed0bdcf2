package byhand

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A supervisor and who asks it speak JSON over a stream socket, an object a
// line. The asker says what it wants in a request; what follows depends on
// that, and is an answer a line until the connection ends.

// Version is that of the protocol. A supervisor answers only to its own,
// but to opDown.
const Version = 2

// maxLine bounds a line, in octets: a record has a hundred thousands of events at
// most, and frames beside.
const maxLine = 1 << 30

// A conn is one end of a conversation.
type conn struct {
	c    *net.UnixConn
	buf  []byte
	peer unix.Ucred

	writing sync.Mutex
	// unread is how long the other end may read nothing of what is sent, and then
	// send fails; 0 is for ever. It is set before anything is.
	unread  time.Duration
	keeping sync.Mutex // guards files: who closes does not wait for who listens
	files   []*os.File // that came, and nobody took yet
}

func newConn(c *net.UnixConn) (*conn, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	var peer *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) { peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err := errors.Join(err, failed); err != nil {
		return nil, fmt.Errorf("ask who is at the other end: %w", err)
	}
	return &conn{c: c, peer: *peer}, nil
}

// send writes an object; the files go along, and stay the caller's.
func (c *conn) send(v any, files ...*os.File) error {
	w := sender{c: c.c, unread: c.unread}
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		w.rights = unix.UnixRights(fds...)
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	return json.NewEncoder(&w).Encode(v)
}

// A sender writes a line; with its first octet go the rights to files.
type sender struct {
	c      *net.UnixConn
	rights []byte
	unread time.Duration
}

// maxPiece is how much is written in one go: what is read of it is progress.
const maxPiece = 1 << 16

func (w *sender) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil { // a stream's message may be cut
		if w.unread > 0 {
			if err := w.c.SetWriteDeadline(time.Now().Add(w.unread)); err != nil {
				return n, err
			}
		}
		var m int
		m, _, err = w.c.WriteMsgUnix(b[n:min(n+maxPiece, len(b))], w.rights, nil)
		n, w.rights = n+m, nil
	}
	return n, err
}

// receive reads the next object into v. At the end it returns io.EOF.
func (c *conn) receive(v any) error {
	scanned := 0
	for {
		if i := bytes.IndexByte(c.buf[scanned:], '\n'); i >= 0 {
			line := c.buf[:scanned+i]
			c.buf = c.buf[scanned+i+1:]
			return json.Unmarshal(line, v)
		}
		if scanned = len(c.buf); scanned > maxLine {
			return fmt.Errorf("a line of more than %d octets", maxLine)
		}
		if err := c.fill(); err != nil {
			return err
		}
	}
}

func (c *conn) fill() error {
	b, oob := make([]byte, 1<<16), make([]byte, unix.CmsgSpace(4*4))
	n, oobn, _, _, err := c.c.ReadMsgUnix(b, oob)
	if err != nil {
		return err
	}
	c.buf = append(c.buf, b[:n]...)
	if oobn == 0 {
		return nil
	}
	c.keeping.Lock()
	defer c.keeping.Unlock()
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return err
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return err
		}
		for _, fd := range fds {
			c.files = append(c.files, os.NewFile(uintptr(fd), "passed"))
		}
	}
	return nil
}

// file takes the one that came with what was received; nil if none did.
func (c *conn) file() *os.File {
	c.keeping.Lock()
	defer c.keeping.Unlock()
	if len(c.files) == 0 {
		return nil
	}
	f := c.files[0]
	c.files = c.files[1:]
	return f
}

func (c *conn) close() error {
	c.keeping.Lock()
	defer c.keeping.Unlock()
	for _, f := range c.files {
		f.Close()
	}
	c.files = nil
	return c.c.Close()
}
