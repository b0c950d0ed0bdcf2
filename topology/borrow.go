package topology

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// BorrowSocket gives a duplicate of the descriptor with which a process of the
// host, by its id there, holds the socket with the given inode: for reading
// what only a holder can, the socket's options. The caller closes it, and soon:
// while it is open, the process's own close ends nothing, and no FIN is sent.
// It shares the process's file status flags (O_NONBLOCK): they are not to be
// changed.
func (h *Host) BorrowSocket(pid int, inode uint32) (*os.File, error) {
	f, err := h.borrowSocket(pid, inode)
	if err != nil {
		return nil, fmt.Errorf("borrow socket %d of process %d of %s: %w", inode, pid, h.Name, err)
	}
	return f, nil
}

func (h *Host) borrowSocket(pid int, inode uint32) (*os.File, error) {
	p, err := h.running()
	if err != nil {
		return nil, err
	}
	m, err := p.ask(initMessage{Op: opBorrow, PID: pid, Inode: inode}, answerTimeout, nil)
	if err != nil {
		return nil, err
	}
	if len(m.fds) != 1 {
		m.discard()
		return nil, fmt.Errorf("%d descriptors came, not one", len(m.fds))
	}
	// Fd of a file that was made of a descriptor leaves O_NONBLOCK as it is.
	return os.NewFile(uintptr(m.fds[0]), socketLink(inode)), nil
}

// lend answers a request for a socket.
func (h *hostInit) lend(m initMessage) {
	answer := initMessage{Op: opDone, ID: m.ID}
	fd, err := duplicateSocket(h.proc, m.PID, m.Inode)
	if err != nil {
		h.tell(answer.failed(err))
		return
	}
	_ = sendMessage(initFD, answer, fd) // as tell
	unix.Close(fd)
}

// duplicateSocket finds the process's descriptor and duplicates it (pidfd_getfd,
// since Linux 5.6).
func duplicateSocket(proc *os.Root, pid int, inode uint32) (int, error) {
	// First, so that what /proc says next is not of another process with
	// the same id.
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return -1, fmt.Errorf("open process: %w", err)
	}
	defer unix.Close(pidfd)
	dir, err := proc.OpenRoot(fmt.Sprintf("%d/fd", pid))
	if err != nil {
		return -1, fmt.Errorf("open descriptors: %w", err)
	}
	defer dir.Close()
	names, err := readNames(dir, ".")
	if err != nil {
		return -1, fmt.Errorf("list descriptors: %w", err)
	}
	for _, name := range names {
		link, err := dir.Readlink(name)
		if err != nil || link != socketLink(inode) {
			continue
		}
		theirs, err := strconv.Atoi(name)
		if err != nil {
			return -1, err
		}
		fd, err := unix.PidfdGetfd(pidfd, theirs, 0)
		if err != nil {
			return -1, fmt.Errorf("duplicate descriptor %d: %w", theirs, err)
		}
		// It may have closed that one meanwhile, and opened another.
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil || uint32(st.Ino) != inode {
			unix.Close(fd)
			continue
		}
		return fd, nil
	}
	return -1, errors.New("it holds no such socket")
}

// socketLink is what proc_pid_fd(5) shows of a socket.
func socketLink(inode uint32) string { return fmt.Sprintf("socket:[%d]", inode) }

// socketInode reads such a link; ok is false if it is of something else.
func socketInode(link string) (inode uint32, ok bool) {
	number, isSocket := strings.CutPrefix(link, "socket:[")
	if !isSocket {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 32)
	return uint32(n), err == nil
}
