package topology

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// An Interface is a host's network card: what it keeps when it reboots.
type Interface struct {
	Name    string
	MAC     net.HardwareAddr
	Address netip.Prefix // invalid: none, as a standby's before it takes over
	Gateway netip.Addr   // invalid: none
}

// A Host is a machine of the network: a set of namespaces (network, PID,
// mount, UTS, IPC) under an init of its own. Its processes cannot outlive it,
// and it cannot outlive the process that made it.
//
// The file system is the machine's, and so are its users, clock, cgroups,
// kernel and /sys. The host's own are its mounts, which begin as a copy of the
// machine's; /proc; an empty /run/netns and /run/nscd; and /etc/hosts,
// /etc/resolv.conf and /etc/nsswitch.conf, by which the names of the network's
// hosts resolve and no service of the machine is asked for a name. What of
// these the machine does not have, the host has neither: without /etc/hosts no
// name resolves, and where there is no /run/netns "ip netns add" makes it, on
// the machine, and leaves an empty file there. Nor is a file of the host's own
// any more that the machine meanwhile replaces by renaming another, as some
// DHCP clients do with resolv.conf: the kernel takes the mount off
// (detach_mounts).
//
// A program may do what it likes to stay, and ends with the host: no signal of
// a host's process ends its init, and none that is not root's can look into
// it. One that is root's can by ptrace(2), /proc/1 and pidfd_getfd(2), as on
// any machine: it can end its host, or lie to lab in the init's name. It can
// also do what root may do to a machine that shares its file system and
// kernel: ask a service over a socket there to run something, change files,
// clock and modules. That is no sandbox.
type Host struct {
	Name string
	NIC  Interface
	// Sysctls are set at each boot, before the interface is up.
	Sysctls map[string]string

	family Family // of the network
	names  string // its /etc/hosts, at each boot

	mu    sync.Mutex
	boot  int
	ns    *Namespace
	pidns *pidNamespace
	init  *initProcess   // nil while the host is down
	past  []*initProcess // of earlier boots, that were not reaped when those ended
}

// Boot counts the host's boots, from 1.
func (h *Host) Boot() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.boot
}

// Namespace is the network namespace of the host's current boot; it is closed
// when the host crashes or is closed.
func (h *Host) Namespace() *Namespace {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ns
}

// PIDNamespace is the inode of the current boot's PID namespace. No other
// namespace gets the number before the host boots again or is closed.
func (h *Host) PIDNamespace() uint32 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pidns == nil {
		return 0
	}
	return h.pidns.inode
}

// InitPID is the process id of the current boot's init, as the process that made
// the host numbers it: by it nsenter(1) finds the host's namespaces. 0 if the host
// is down.
func (h *Host) InitPID() int {
	p, err := h.running()
	if err != nil {
		return 0
	}
	return p.pid
}

// start boots the host: namespaces, init, loopback and sysctls. Its interface
// is not there yet, and its init may not take requests yet (ready).
func (h *Host) start() error {
	p, err := startInit(h.Name, h.names)
	if err != nil {
		return fmt.Errorf("boot %s: %w", h.Name, err)
	}
	ns, err := OpenNamespace(p.pid)
	if err != nil {
		return fmt.Errorf("boot %s: %w", h.Name, errors.Join(err, p.kill()))
	}
	pidns, err := openPIDNamespace(p.pid)
	if err != nil {
		return fmt.Errorf("boot %s: %w", h.Name, errors.Join(err, p.kill(), ns.Close()))
	}
	h.mu.Lock()
	h.boot++
	h.ns, h.pidns, h.init = ns, pidns, p
	h.mu.Unlock()
	if err := ns.beQuiet(h.family); err != nil {
		return fmt.Errorf("boot %s: %w", h.Name, err)
	}
	early, _ := h.splitSysctls()
	if err := ns.SetSysctls(early); err != nil {
		return fmt.Errorf("boot %s: %w", h.Name, err)
	}
	return nil
}

// ready waits until the host's init takes requests.
func (h *Host) ready() error {
	p, err := h.running()
	if err != nil {
		return err
	}
	return p.awaitReady()
}

// bringUp configures the host's interface, which must be there. That of a
// standby which has no address yet stays down.
func (h *Host) bringUp() error {
	_, late := h.splitSysctls()
	if err := h.Namespace().SetSysctls(late); err != nil {
		return fmt.Errorf("%s: %w", h.Name, err)
	}
	if !h.NIC.Address.IsValid() {
		return nil
	}
	if err := h.NIC.up(h.Namespace()); err != nil {
		return fmt.Errorf("%s: %w", h.Name, err)
	}
	return nil
}

// splitSysctls parts those that can be set at boot from those of the
// interface, which exist when it does.
func (h *Host) splitSysctls() (early, late map[string]string) {
	early, late = map[string]string{}, map[string]string{}
	for k, v := range h.Sysctls {
		if strings.Contains(k, "."+h.NIC.Name+".") {
			late[k] = v
		} else {
			early[k] = v
		}
	}
	return early, late
}

// running gives the host's init, or an error that wraps ErrDown.
func (h *Host) running() (*initProcess, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.init == nil {
		return nil, fmt.Errorf("%s: %w", h.Name, ErrDown)
	}
	return h.init, nil
}

// Start runs a program on the host. It returns when the program was executed,
// or with the error that prevented it, which wraps the kernel's: of execve(2)
// fs.ErrNotExist, fs.ErrPermission, unix.ENOEXEC, unix.E2BIG and others; that
// of the working directory is ErrDirectory besides.
func (h *Host) Start(c Command) (*Process, error) {
	p, err := h.running()
	if err != nil {
		return nil, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	files := []*os.File{c.Stdin, c.Stdout, c.Stderr}
	for i := range files {
		if files[i] == nil {
			files[i] = null
		}
	}
	if c.Dir == "" {
		c.Dir = "/"
	}
	args, err := arguments{c.Path, c.Dir, c.Argv, c.Env}.pack()
	if err != nil {
		return nil, fmt.Errorf("start %s on %s: %w", c.Argv[0], h.Name, err)
	}
	defer args.Close()
	q := &Process{Host: h, done: make(chan struct{})}
	m := initMessage{Op: opStart, Argc: len(c.Argv), Credential: c.Credential}
	if _, err = p.ask(m, answerTimeout, q, append(files, args)...); err != nil {
		return nil, fmt.Errorf("start %s on %s: %w", c.Argv[0], h.Name, err)
	}
	return q, nil
}

// Signal sends a signal to a process of the host, by its id there; -1 is
// every process but the init, as kill(2) says. at is CLOCK_MONOTONIC just
// before it was sent, in nanoseconds.
func (h *Host) Signal(pid int, s unix.Signal) (at int64, err error) {
	p, err := h.running()
	if err != nil {
		return 0, err
	}
	m, err := p.ask(initMessage{Op: opSignal, PID: pid, Signal: s}, answerTimeout, nil)
	if err != nil {
		return 0, fmt.Errorf("send %s to process %d of %s: %w", unix.SignalName(s), pid, h.Name, err)
	}
	return m.At, nil
}

// A Stage is a moment of a shutdown: Signal was sent to Left processes.
type Stage struct {
	Signal unix.Signal
	Left   int
	At     int64 // CLOCK_MONOTONIC just before, in nanoseconds
}

// Shutdown ends the host's processes as init does (UNP 5.16): SIGTERM to all,
// up to grace for them to end, SIGKILL to those that remain. The kernel stays
// up: connections whose processes are gone are still answered. each is told of
// the stages as they come. It returns when no process is left.
func (h *Host) Shutdown(ctx context.Context, grace time.Duration, each func(Stage)) error {
	err := h.shutdown(ctx, grace, each)
	if err != nil {
		return fmt.Errorf("shut down %s: %w", h.Name, err)
	}
	return nil
}

func (h *Host) shutdown(ctx context.Context, grace time.Duration, each func(Stage)) error {
	p, err := h.running()
	if err != nil {
		return err
	}
	answers, err := p.request(initMessage{Op: opShutdown, Grace: grace}, nil)
	if err != nil {
		return err
	}
	for {
		select {
		case m, ok := <-answers:
			switch {
			case !ok:
				return errInitGone
			case m.Error != "":
				return m.failure()
			case m.Op == opDone:
				return nil
			}
			each(Stage{m.Signal, m.Left, m.At})
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// powerOff ends every process of the host at once, and their sockets, and the
// init; then the namespace is held by this process alone.
func (h *Host) powerOff() error {
	h.mu.Lock()
	p := h.init
	h.init = nil
	h.mu.Unlock()
	if p == nil {
		return nil
	}
	asked := p.powerOff()
	h.mu.Lock()
	h.past = append(slices.DeleteFunc(h.past, (*initProcess).isReaped), p)
	h.mu.Unlock()
	if err := p.kill(); err != nil {
		return err
	}
	if asked != nil {
		// The init could not: somebody else killed or stopped it.
		return h.Namespace().destroySockets()
	}
	return nil
}

// Down tells whether the host is down: it crashed, or its init ended.
func (h *Host) Down() bool {
	_, err := h.running()
	return err != nil || h.lost()
}

// lost tells whether the host's init ended without having been told to.
func (h *Host) lost() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.init == nil {
		return false
	}
	select {
	case <-h.init.finished:
		return true
	default:
		return false
	}
}

// release gives up the namespaces of a host that is down.
func (h *Host) release() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var errs []error
	if h.ns != nil {
		errs = append(errs, h.ns.Close())
	}
	if h.pidns != nil {
		errs = append(errs, h.pidns.close())
	}
	return errors.Join(errs...)
}

// close powers the host off and gives up its namespaces. Its error says who outside
// keeps what is left of it.
func (h *Host) close() error {
	err := errors.Join(h.powerOff(), h.release())
	h.mu.Lock()
	past := slices.Clone(h.past)
	h.mu.Unlock()
	for _, p := range past {
		err = errors.Join(err, p.awaitReaped())
	}
	if err != nil {
		return fmt.Errorf("take %s down: %w", h.Name, err)
	}
	return nil
}
