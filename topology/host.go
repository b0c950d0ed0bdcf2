package topology

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// An Interface is a host's network card: what it keeps when it reboots.
type Interface struct {
	Name    string
	MAC     net.HardwareAddr
	Address netip.Prefix
	Gateway netip.Addr // invalid: none
}

// A Host is a machine of the network: a set of namespaces (network, PID,
// mount, UTS, IPC) under an init of its own. Its processes cannot outlive it,
// and it cannot outlive the process that made it.
type Host struct {
	Name string
	NIC  Interface
	// Sysctls are set at each boot, before the interface is up.
	Sysctls map[string]string

	mu    sync.Mutex
	boot  int
	ns    *Namespace
	pidns *pidNamespace
	init  *initProcess // nil while the host is down
}

// initProcess is lab's side of a host's init.
type initProcess struct {
	pid   int // as lab's own PID namespace numbers it
	pidfd int
	conn  *os.File

	mu       sync.Mutex
	lastID   int
	waiting  map[int]func(initMessage) // by request; the last answer removes it
	running  map[int]*Process          // by id in the host
	heard    chan struct{}             // closed when the init's last message was delivered
	finished chan struct{}             // closed when the init was reaped, and heard
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

// initPID is the init's process id outside of the host, 0 if it has none.
func (h *Host) initPID() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.init == nil {
		return 0
	}
	return h.init.pid
}

// start boots the host: namespaces, init, loopback and sysctls. Its interface
// is not there yet.
func (h *Host) start() error {
	p, err := startInit(h.Name)
	if err != nil {
		return fmt.Errorf("boot %s: %w", h.Name, err)
	}
	ns, err := OpenNamespace(p.pid)
	if err != nil {
		p.kill()
		return fmt.Errorf("boot %s: %w", h.Name, err)
	}
	pidns, err := openPIDNamespace(p.pid)
	if err != nil {
		p.kill()
		ns.Close()
		return fmt.Errorf("boot %s: %w", h.Name, err)
	}
	h.mu.Lock()
	h.boot++
	h.ns, h.pidns, h.init = ns, pidns, p
	h.mu.Unlock()
	if err := ns.beQuiet(); err != nil {
		return fmt.Errorf("boot %s: %w", h.Name, err)
	}
	early, _ := h.splitSysctls()
	if err := ns.setSysctls(early); err != nil {
		return fmt.Errorf("boot %s: %w", h.Name, err)
	}
	return nil
}

// bringUp configures the host's interface, which must be there.
func (h *Host) bringUp() error {
	_, late := h.splitSysctls()
	if err := h.Namespace().setSysctls(late); err != nil {
		return fmt.Errorf("%s: %w", h.Name, err)
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

// startInit re-executes this program as the process 1 of new namespaces.
func startInit(host string) (*initProcess, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make control socket: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "control"), os.NewFile(uintptr(pair[1]), "init")
	defer theirs.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		ours.Close()
		return nil, err
	}
	defer null.Close()
	pidfd := -1
	// Should lab die, the init reads end of file from its control socket,
	// powers the host off and ends. Not Pdeathsig: an init that is killed
	// cannot destroy its host's sockets.
	pid, err := syscall.ForkExec(Self, []string{initName, host}, &syscall.ProcAttr{
		Dir:   "/",
		Env:   []string{"GOMAXPROCS=2"},
		Files: []uintptr{null.Fd(), null.Fd(), os.Stderr.Fd(), theirs.Fd()},
		Sys: &syscall.SysProcAttr{
			Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
			Setsid:     true, // a terminal's signals are lab's
			PidFD:      &pidfd,
		},
	})
	if err != nil {
		ours.Close()
		return nil, fmt.Errorf("clone namespaces and execute init: %w", err)
	}
	p := &initProcess{
		pid: pid, pidfd: pidfd, conn: ours,
		waiting: map[int]func(initMessage){}, running: map[int]*Process{},
		heard: make(chan struct{}), finished: make(chan struct{}),
	}
	ready := make(chan struct{})
	p.waiting[0] = func(initMessage) { close(ready) }
	go p.listen()
	go p.wait()
	select {
	case <-ready:
	case <-p.finished:
		p.close()
		return nil, errors.New("init ended before it was ready")
	}
	return p, nil
}

// listen delivers the init's messages until its end of the socket is closed.
// An init that cannot be understood is of no use: it is killed.
func (p *initProcess) listen() {
	defer close(p.heard)
	buf := make([]byte, maxMessage)
	for {
		m, _, err := receiveMessage(int(p.conn.Fd()), buf)
		if err == io.EOF {
			return
		}
		if err != nil {
			_ = unix.PidfdSendSignal(p.pidfd, unix.SIGKILL, nil, 0)
			return
		}
		p.deliver(m)
	}
}

func (p *initProcess) deliver(m initMessage) {
	p.mu.Lock()
	if m.Op == opExited {
		q := p.running[m.PID]
		delete(p.running, m.PID)
		p.mu.Unlock()
		if q != nil {
			q.end(m.Status, false)
		}
		return
	}
	f := p.waiting[m.ID]
	if m.Op != opStage {
		delete(p.waiting, m.ID)
	}
	p.mu.Unlock()
	if f != nil {
		f(m)
	}
}

// wait reaps the init; when it has gone, every process of its PID namespace
// has (zap_pid_ns_processes waits for them).
func (p *initProcess) wait() {
	for {
		_, err := unix.Wait4(p.pid, nil, 0, nil)
		if err != unix.EINTR {
			break
		}
	}
	<-p.heard // what it said before it died
	p.mu.Lock()
	left, waiting := p.running, p.waiting
	p.running, p.waiting = map[int]*Process{}, map[int]func(initMessage){}
	p.mu.Unlock()
	for _, q := range left {
		q.end(0, true)
	}
	close(p.finished)
	for id, f := range waiting {
		if id != 0 {
			f(initMessage{Op: opDone, Error: "the host is down"})
		}
	}
}

// kill ends the init and all of its namespace, and waits until they are gone.
func (p *initProcess) kill() {
	_ = unix.PidfdSendSignal(p.pidfd, unix.SIGKILL, nil, 0) // ESRCH: already gone
	<-p.finished
	p.close()
}

func (p *initProcess) close() {
	p.conn.Close()
	unix.Close(p.pidfd)
}

// request sends m and gives every answer to f.
func (p *initProcess) request(m initMessage, f func(initMessage), files ...*os.File) error {
	p.mu.Lock()
	p.lastID++
	m.ID = p.lastID
	p.waiting[m.ID] = f
	p.mu.Unlock()
	if err := sendMessage(int(p.conn.Fd()), m, files...); err != nil {
		p.mu.Lock()
		delete(p.waiting, m.ID)
		p.mu.Unlock()
		return err
	}
	return nil
}

// running gives the host's init, or an error if it crashed.
func (h *Host) running() (*initProcess, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.init == nil {
		return nil, fmt.Errorf("host %s is down", h.Name)
	}
	return h.init, nil
}

// Start runs a program on the host. It returns when the program was executed,
// or with the error that prevented it.
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
	q := &Process{Host: h, done: make(chan struct{})}
	answer := make(chan initMessage, 1)
	err = p.request(initMessage{Op: opStart, Path: c.Path, Argv: c.Argv, Env: c.Env, Dir: c.Dir}, func(m initMessage) {
		if m.Op == opStarted && m.Error == "" {
			// Here, not below: its end may be the next message.
			q.PID = m.PID
			p.mu.Lock()
			p.running[m.PID] = q
			p.mu.Unlock()
		}
		answer <- m
	}, files...)
	if err == nil {
		if m := <-answer; m.Error != "" {
			err = errors.New(m.Error)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("start %s on %s: %w", c.Argv[0], h.Name, err)
	}
	return q, nil
}

// Signal sends a signal to a process of the host, by its id there; -1 is
// every process but the init, as kill(2) says.
func (h *Host) Signal(pid int, s unix.Signal) error {
	p, err := h.running()
	if err != nil {
		return err
	}
	answer := make(chan initMessage, 1)
	err = p.request(initMessage{Op: opSignal, PID: pid, Signal: s}, func(m initMessage) { answer <- m })
	if err == nil {
		if m := <-answer; m.Error != "" {
			err = errors.New(m.Error)
		}
	}
	if err != nil {
		return fmt.Errorf("send %s to process %d of %s: %w", unix.SignalName(s), pid, h.Name, err)
	}
	return nil
}

// A Stage is a moment of a shutdown: Signal was sent to Left processes.
type Stage struct {
	Signal unix.Signal
	Left   int
	At     int64 // CLOCK_MONOTONIC just before, in nanoseconds
}

// Shutdown ends the host's processes as init does (UNP 5.16): SIGTERM to all,
// up to grace for them to end, SIGKILL to those that remain. The kernel stays
// up: connections whose processes are gone are still answered. each is told
// of the stages as they come. It returns when no process
// is left.
func (h *Host) Shutdown(ctx context.Context, grace time.Duration, each func(Stage)) error {
	p, err := h.running()
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	err = p.request(initMessage{Op: opShutdown, Grace: grace}, func(m initMessage) {
		switch {
		case m.Error != "":
			select {
			case done <- errors.New(m.Error):
			default:
			}
		case m.Op == opStage:
			each(Stage{m.Signal, m.Left, m.At})
		default:
			select {
			case done <- nil:
			default:
			}
		}
	})
	if err == nil {
		select {
		case err = <-done:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	if err != nil {
		return fmt.Errorf("shut down %s: %w", h.Name, err)
	}
	return nil
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
	answer := make(chan initMessage, 1)
	err := p.request(initMessage{Op: opPowerOff}, func(m initMessage) { answer <- m })
	if err == nil {
		if m := <-answer; m.Error != "" {
			err = errors.New(m.Error)
		}
	}
	p.kill()
	if err != nil {
		// The init could not: it was killed by somebody else.
		err = h.Namespace().destroySockets()
	}
	return err
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

// close powers the host off and gives up its namespaces.
func (h *Host) close() error {
	err := errors.Join(h.powerOff(), h.release())
	if err != nil {
		return fmt.Errorf("take %s down: %w", h.Name, err)
	}
	return nil
}
