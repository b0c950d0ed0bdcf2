package topology

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// A Note is called at each moment of a fault that takes several, just after
// it took effect.
type Note func(what string)

// Crash lets the host die in silence. The order is what makes it a crash:
// first the link, then the processes, or a FIN escapes; at last the sockets
// that the processes left in the kernel, which would speak up again if the
// link came back.
func (n *Network) Crash(h *Host, note Note) error {
	if err := n.CutLink(h); err != nil {
		return fmt.Errorf("crash %s: %w", h.Name, err)
	}
	note("link down")
	if err := h.powerOff(); err != nil {
		return fmt.Errorf("crash %s: %w", h.Name, err)
	}
	note("every process killed, every socket destroyed")
	return nil
}

// Boot starts a crashed host again: new namespaces, no memory of any
// connection or process, but the same network card and address. It returns
// when the link is up again, unless the path is direct and the other host down;
// nothing runs on the host but its init. Whoever holds a descriptor of the old boot's namespace keeps that from ending.
func (n *Network) Boot(h *Host, note Note) error {
	if err := n.boot(h, note); err != nil {
		return fmt.Errorf("boot %s again: %w", h.Name, err)
	}
	return nil
}

// boot does it. The card waits in a namespace of its own meanwhile: deleted
// with the old one it would take its peer along.
func (n *Network) boot(h *Host, note Note) error {
	shelf, err := NewNamespace()
	if err != nil {
		return err
	}
	defer shelf.Close()
	old := h.Namespace()
	if err := old.moveLink(h.NIC.Name, shelf); err != nil {
		return err
	}
	if err := h.release(); err != nil {
		return fmt.Errorf("close old namespaces: %w", err)
	}
	if err := h.start(); err != nil {
		return err
	}
	note(fmt.Sprintf("network namespace %d thrown away, %d made", old.Inode(), h.Namespace().Inode()))
	if err := shelf.moveLink(h.NIC.Name, h.Namespace()); err != nil {
		return err
	}
	if err := h.bringUp(); err != nil {
		return err
	}
	if err := h.ready(); err != nil {
		return err
	}
	if n.Path == Direct && (n.Client.Down() || n.Server.Down()) {
		note("no carrier: the other host is down")
		return nil
	}
	if err := n.waitUp(h); err != nil {
		return err
	}
	note("link up")
	return nil
}

// CutLink takes the host's own end of its link down. On a direct path the
// other host loses its carrier by it; behind a switch or router it does not.
func (n *Network) CutLink(h *Host) error {
	n.cut.Store(true)
	err := h.Namespace().setDown(h.NIC.Name)
	if err == nil && n.answerARP && n.Path == Switch {
		err = n.answerFor(h)
	}
	if err != nil {
		return fmt.Errorf("cut link of %s: %w", h.Name, err)
	}
	return nil
}

// holderTimeout is how long a socket may be shared between a forking server
// and its child before the server closes its copy.
const holderTimeout = 2 * time.Second

// Holder finds the one process of the host that holds the socket with the
// given inode. While several do, as between a fork and the parent's close, it
// waits.
func (h *Host) Holder(inode uint32) (ProcessInfo, error) {
	deadline := time.Now().Add(holderTimeout)
	for {
		all, err := h.Processes()
		if err != nil {
			return ProcessInfo{}, err
		}
		var holders []ProcessInfo
		for _, p := range all {
			if slices.Contains(p.Sockets, inode) {
				holders = append(holders, p)
			}
		}
		if len(holders) == 1 {
			return holders[0], nil
		}
		if time.Now().After(deadline) {
			return ProcessInfo{}, fmt.Errorf("%s: %d processes hold the socket, not one", h.Name, len(holders))
		}
		time.Sleep(time.Millisecond)
	}
}

// Freeze stops a process (SIGSTOP) and returns when all of its threads are
// stopped: until then it may still do what it was about to.
func (h *Host) Freeze(pid int) error {
	if _, err := h.Signal(pid, unix.SIGSTOP); err != nil {
		return err
	}
	return h.awaitThreads(pid, "stop", func(stopped, all int) bool { return all > 0 && stopped == all })
}

// Thaw lets a stopped process go on (SIGCONT) and returns when none of its
// threads is stopped any more.
func (h *Host) Thaw(pid int) error {
	if _, err := h.Signal(pid, unix.SIGCONT); err != nil {
		return err
	}
	return h.awaitThreads(pid, "go on", func(stopped, _ int) bool { return stopped == 0 })
}

// awaitThreads waits until the count of a process's threads that are stopped
// is as wanted.
func (h *Host) awaitThreads(pid int, what string, wanted func(stopped, all int) bool) error {
	deadline := time.Now().Add(answerTimeout)
	for !wanted(h.stopped(pid)) {
		if time.Now().After(deadline) {
			return fmt.Errorf("process %d of %s does not %s", pid, h.Name, what)
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// DefaultGrace is the time between SIGTERM and SIGKILL at a shutdown; UNP 5.16
// gives 5 to 20 seconds as usual.
const DefaultGrace = 5 * time.Second
