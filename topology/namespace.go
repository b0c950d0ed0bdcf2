package topology

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// A Namespace is a network namespace held open by a file descriptor and by
// nothing else: it has no name, no mount, and ends with its last process,
// socket or descriptor.
type Namespace struct {
	handle netns.NsHandle
	inode  uint32
	close  sync.Once
	err    error
}

// NewNamespace makes an empty namespace with its loopback interface up.
func NewNamespace() (*Namespace, error) {
	var ns *Namespace
	err := onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return missingFeature("network namespaces", fmt.Errorf("unshare network namespace: %w", err), unix.EINVAL)
		}
		h, err := netns.Get()
		if err != nil {
			return fmt.Errorf("open new network namespace: %w", err)
		}
		ns, err = adopt(h)
		return err
	})
	if err != nil {
		return nil, err
	}
	return ns.ready()
}

// OpenNamespace opens the network namespace of a process that the caller keeps
// from being reaped.
func OpenNamespace(pid int) (*Namespace, error) {
	h, err := netns.GetFromPid(pid)
	if err != nil {
		return nil, fmt.Errorf("open network namespace of process %d: %w", pid, err)
	}
	ns, err := adopt(h)
	if err != nil {
		return nil, err
	}
	return ns.ready()
}

// ready sets the loopback interface up, or closes the namespace.
func (n *Namespace) ready() (*Namespace, error) {
	if err := n.loopbackUp(); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// adopt takes the ownership of h.
func adopt(h netns.NsHandle) (*Namespace, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(h), &st); err != nil {
		h.Close()
		return nil, fmt.Errorf("stat network namespace: %w", err)
	}
	unix.CloseOnExec(int(h))
	return &Namespace{handle: h, inode: uint32(st.Ino)}, nil
}

// Inode is the namespace's number, as lsns prints it and as the kernel's own
// structures carry it (struct ns_common).
func (n *Namespace) Inode() uint32 { return n.inode }

// FD is the descriptor that holds the namespace, still owned by n.
func (n *Namespace) FD() int { return int(n.handle) }

// Close gives up this process's hold on the namespace.
func (n *Namespace) Close() error {
	n.close.Do(func() { n.err = n.handle.Close() })
	return n.err
}

// Do runs f on a thread inside of the namespace. f must not start goroutines
// that are to be inside too, nor keep anything thread-bound; sockets, files
// and processes that it makes belong to the namespace and can be used from
// anywhere afterwards.
func (n *Namespace) Do(f func() error) error {
	return onOwnThread(func() error {
		if err := netns.Set(n.handle); err != nil {
			return fmt.Errorf("enter network namespace: %w", err)
		}
		return f()
	})
}

// onOwnThread is the one place that changes a thread's namespace. It runs f
// on a locked thread that is not the process's main one, restores the
// thread's network namespace, checks that it did, and only then gives the
// thread back. If that fails the goroutine ends locked, so that the runtime
// ends the thread instead of reusing it in a foreign namespace.
//
// The main thread is never used, because the runtime cannot end it: it would
// stay in the foreign namespace, and /proc/PID/ns/net would lie.
func onOwnThread(f func() error) error {
	return onSideThread(func() (back bool, err error) {
		home, err := netns.Get()
		if err != nil {
			return true, fmt.Errorf("open own network namespace: %w", err)
		}
		err = f()
		restored := netns.Set(home)
		if restored == nil {
			if now, e := netns.Get(); e != nil {
				restored = e
			} else {
				if !now.Equal(home) {
					restored = errors.New("still in another namespace")
				}
				now.Close()
			}
		}
		home.Close()
		if restored != nil {
			err = errors.Join(err, fmt.Errorf("restore network namespace: %w", restored))
		}
		return restored == nil, err
	})
}

// behind runs f on a thread that is in the namespaces of the process behind a
// pidfd, whose children are in its PID namespace too. The thread ends with f: it
// cannot get its mounts back.
func behind(pidfd *os.File, f func() error) error {
	return onSideThread(func() (back bool, err error) {
		// A thread that shares its root and directory with others cannot
		// change its mounts.
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return true, fmt.Errorf("unshare root: %w", err)
		}
		const all = unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC
		if err := unix.Setns(int(pidfd.Fd()), all); err != nil {
			return false, fmt.Errorf("enter namespaces: %w", err)
		}
		return false, f()
	})
}

// onSideThread runs f on a locked thread that is not the process's main one.
// The thread ends with f if that does not want it given back.
func onSideThread(f func() (back bool, err error)) error {
	done := make(chan error, 1)
	var run func()
	run = func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// While this goroutine holds the main thread, the next one
			// must get another.
			next := make(chan struct{})
			go func() { run(); close(next) }()
			<-next
			runtime.UnlockOSThread()
			return
		}
		back, err := f()
		if back {
			runtime.UnlockOSThread()
		}
		done <- err
	}
	go run()
	return <-done
}

// NetlinkHandle opens a netlink handle, which the caller closes, that works
// inside of the namespace. The families are named: without, the library also
// opens XFRM and NETFILTER sockets and fails where the kernel has no such
// modules loaded.
func (n *Namespace) NetlinkHandle(families ...int) (*netlink.Handle, error) {
	var h *netlink.Handle
	err := n.Do(func() (err error) {
		h, err = netlink.NewHandle(families...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	return h, nil
}

func (n *Namespace) loopbackUp() error {
	h, err := n.NetlinkHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	if err := h.LinkSetUp(lo); err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	return nil
}
