package topology

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
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
// when the link is up again; nothing runs on the host but its init. Whoever
// holds a descriptor of the old boot's namespace keeps that from ending.
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
	note(fmt.Sprintf("network namespace %d thrown away", old.Inode()))
	if err := h.start(); err != nil {
		return err
	}
	note(fmt.Sprintf("network namespace %d made", h.Namespace().Inode()))
	if err := shelf.moveLink(h.NIC.Name, h.Namespace()); err != nil {
		return err
	}
	if err := h.bringUp(); err != nil {
		return err
	}
	if err := errors.Join(n.waitUp(), h.ready()); err != nil {
		return err
	}
	note("link up")
	return nil
}

// CutLink takes the host's own end of its link down. On a direct path the
// other host loses its carrier by it; behind a switch or router it does not.
func (n *Network) CutLink(h *Host) error {
	if err := h.Namespace().setDown(h.NIC.Name); err != nil {
		return fmt.Errorf("cut link of %s: %w", h.Name, err)
	}
	return nil
}

// HostUnreachable makes the router answer everything for the server with ICMP
// host unreachable (RFC 792 code 1): its table says so.
func (n *Network) HostUnreachable() error {
	dst := n.Server.NIC.Address.Addr()
	return n.reroute("make host unreachable", func(h *netlink.Handle, _ netlink.Link) error {
		return h.RouteReplace(&netlink.Route{
			Dst: ipNet(netip.PrefixFrom(dst, dst.BitLen())), Type: unix.RTN_UNREACHABLE,
		})
	})
}

// NetUnreachable makes the router answer everything for the server's network
// with ICMP net unreachable (code 0): it lost its route there.
func (n *Network) NetUnreachable() error {
	return n.reroute("make net unreachable", func(h *netlink.Handle, port netlink.Link) error {
		return h.RouteDel(&netlink.Route{
			LinkIndex: port.Attrs().Index, Dst: ipNet(n.Server.NIC.Address.Masked()),
			Scope: netlink.SCOPE_LINK, // as the kernel made it with the address
		})
	})
}

// reroute changes the router's table; change is given its port to the server.
func (n *Network) reroute(what string, change func(*netlink.Handle, netlink.Link) error) error {
	if n.Path != Router {
		return fmt.Errorf("%s: the path is %s, without a router", what, n.Path)
	}
	if err := n.middle.withLink(n.port(n.Server).name, change); err != nil {
		return fmt.Errorf("%s: %w", what, err)
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
	deadline := time.Now().Add(answerTimeout)
	for !h.stopped(pid) {
		if time.Now().After(deadline) {
			return fmt.Errorf("process %d of %s does not stop", pid, h.Name)
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// DefaultGrace is the time between SIGTERM and SIGKILL at a shutdown; UNP 5.16
// gives 5 to 20 seconds as usual.
const DefaultGrace = 5 * time.Second
