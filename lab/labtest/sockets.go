package labtest

import (
	"net"
	"sync"
	"syscall"
)

// sockets are those that a network's dialers and listeners gave out: what is
// still open when the network is taken down would keep a host's namespace.
type sockets struct {
	mu     sync.Mutex
	closed bool
	all    []socket
	room   int // when closed ones are looked for
}

// A socket is an open one, perhaps closed by its user meanwhile.
type socket struct {
	conn interface {
		Close() error
		SyscallConn() (syscall.RawConn, error)
	}
	host *Host
	boot int  // of the host
	udp  bool // nothing tells it of its host's end
}

// add keeps a socket. The error is net.ErrClosed if that is too late; then it
// was closed.
func (s *sockets) add(one socket) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		one.conn.Close()
		return net.ErrClosed
	}
	if len(s.all) >= s.room {
		s.keep(socket.open)
		s.room = 2*len(s.all) + 64
	}
	s.all = append(s.all, one)
	return nil
}

// keep forgets those for which it is not true. It needs mu.
func (s *sockets) keep(holds func(socket) bool) {
	kept := s.all[:0]
	for _, one := range s.all {
		if holds(one) {
			kept = append(kept, one)
		}
	}
	clear(s.all[len(kept):])
	s.all = kept
}

// open tells whether nobody has closed it.
func (one socket) open() bool {
	raw, err := one.conn.SyscallConn()
	return err == nil && raw.Control(func(uintptr) {}) == nil
}

// bury closes the sockets of hosts that went down which would not notice.
func (s *sockets) bury(alive func(socket) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(func(one socket) bool {
		if !one.udp || alive(one) {
			return true
		}
		one.conn.Close()
		return false
	})
}

// closeAll closes all, and those to come.
func (s *sockets) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, one := range s.all {
		one.conn.Close()
	}
	s.all = nil
}
