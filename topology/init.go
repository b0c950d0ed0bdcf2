package topology

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// initName is what a host's init is called; RunInit knows it by that.
const initName = "lab-init"

// namesEnv is the variable of an init's environment with its host's
// /etc/hosts. The programs that it starts have not the init's environment.
const namesEnv = "HOSTS"

// RunInit must be called first in main of every program that makes networks.
// In a process that was re-executed to be a host's init, or an usher (Enter), it
// does that work and does not return; in any other it does nothing.
func RunInit() {
	var err error
	switch {
	case len(os.Args) == 2 && os.Args[0] == initName && os.Getpid() == 1:
		err = initMain(os.Args[1])
	case len(os.Args) == 1 && os.Args[0] == UsherName:
		err = usherMain()
	default:
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", strings.Join(os.Args, " "), err)
		os.Exit(1)
	}
	os.Exit(0)
}

// hostInit is process 1 of a host. It starts programs, sends signals, reaps
// everything that ends, and ends itself (and with it, by the rules of PID
// namespaces, all of the host) when lab is gone.
type hostInit struct {
	mu       sync.Mutex // held while a child is started, so that its end is told after its start
	children sync.Cond  // signalled at each reaped process
	proc     *os.Root   // the host's /proc, whatever a program mounts over it
}

func initMain(host string) error {
	h := &hostInit{}
	h.children.L = &h.mu
	if err := unix.Sethostname([]byte(host)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := mountOwn(os.Getenv(namesEnv)); err != nil {
		return err
	}
	var err error
	if h.proc, err = os.OpenRoot("/proc"); err != nil {
		return err
	}
	unix.CloseOnExec(initFD)
	if err := surviveSignals(); err != nil {
		return err
	}
	ended := make(chan os.Signal, 64)
	signal.Notify(ended, unix.SIGCHLD)
	go func() {
		for range ended {
			h.reap()
		}
	}()
	if err := sendMessage(initFD, initMessage{Op: opReady}); err != nil {
		return err
	}
	buf := make([]byte, maxMessage)
	for {
		m, err := receiveMessage(initFD, buf)
		if err == io.EOF {
			return h.powerOff()
		}
		if err != nil {
			return fmt.Errorf("receive request: %w", err)
		}
		switch m.Op {
		case opStart:
			h.start(m)
		case opSignal:
			answer := initMessage{Op: opDone, ID: m.ID, At: monotonic()}
			if err := unix.Kill(m.PID, m.Signal); err != nil {
				answer = answer.failed(err)
			}
			h.tell(answer)
		case opBorrow:
			h.lend(m)
		case opShutdown:
			go h.shutdown(m) // new requests must be possible meanwhile
		case opPowerOff:
			answer := initMessage{Op: opDone, ID: m.ID}
			if err := h.powerOff(); err != nil {
				answer = answer.failed(err)
			}
			h.tell(answer)
		}
		m.discard()
	}
}

// tell answers lab. If lab is gone, so is soon this process: nothing to report to.
func (h *hostInit) tell(m initMessage) { _ = sendMessage(initFD, m) }

// reap collects every ended process, the orphans of others included: one
// SIGCHLD may stand for many.
func (h *hostInit) reap() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			break
		}
		h.tell(initMessage{Op: opExited, PID: pid, Status: status})
	}
	h.children.Broadcast()
}

// shutdown does what init does when a system goes down (UNP 5.16): SIGTERM to
// every process, time to end in peace, SIGKILL to those that remain.
func (h *hostInit) shutdown(m initMessage) {
	answer := initMessage{Op: opDone, ID: m.ID}
	h.stage(m.ID, unix.SIGTERM)
	if h.waitAll(m.Grace, func() {}) > 0 {
		h.stage(m.ID, unix.SIGKILL)
		if left := h.waitAll(killTimeout, killAll); left > 0 {
			answer.Error = fmt.Sprintf("%d processes survive SIGKILL", left)
		}
	}
	h.tell(answer)
}

// killTimeout is how long a killed process may need to end: one that the
// kernel holds in an uninterruptible sleep never does.
const killTimeout = 15 * time.Second

// powerOff ends every process at once and then destroys their sockets, which
// would otherwise hold the network namespace for as long as they have
// unacknowledged data: minutes, if the peer is gone.
func (h *hostInit) powerOff() error {
	if err := unix.Kill(-1, unix.SIGKILL); err != nil && err != unix.ESRCH {
		return fmt.Errorf("kill all processes: %w", err)
	}
	left := h.waitAll(killTimeout, killAll)
	err := destroySockets() // all threads are in the host's namespace
	if left > 0 {
		err = errors.Join(err, fmt.Errorf("%d processes survive SIGKILL", left))
	}
	return err
}

// killAll kills whatever has entered the host since the last time.
func killAll() { _ = unix.Kill(-1, unix.SIGKILL) } // ESRCH: nothing

// waitAll waits until no process is left, at most for the given time, and
// returns how many are. Meanwhile it does something every so often.
func (h *hostInit) waitAll(timeout time.Duration, meanwhile func()) int {
	expired := false
	timer := time.AfterFunc(timeout, func() {
		h.mu.Lock()
		expired = true
		h.mu.Unlock()
		h.children.Broadcast()
	})
	defer timer.Stop()
	defer h.lookAgain(meanwhile)()
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		if expired || h.countProcesses(1) == 0 {
			return h.countProcesses(math.MaxInt)
		}
		h.children.Wait()
	}
}

// outsideEvery is how often who waits for the host's last process looks, beside
// when one was reaped: of an usher, whose parent is outside, the end is not told.
const outsideEvery = 100 * time.Millisecond

// lookAgain does something every so often and makes those who wait look, until stop.
func (h *hostInit) lookAgain(do func()) (stop func()) {
	tick, done := time.NewTicker(outsideEvery), make(chan struct{})
	go func() {
		for {
			select {
			case <-tick.C:
				do()
				h.children.Broadcast()
			case <-done:
				return
			}
		}
	}()
	return func() { tick.Stop(); close(done) }
}

// stage signals all processes, and tells lab when it did.
func (h *hostInit) stage(id int, s unix.Signal) {
	left := h.countProcesses(math.MaxInt)
	h.tell(initMessage{Op: opStage, ID: id, Signal: s, Left: left, At: monotonic()})
	if err := unix.Kill(-1, s); err != nil && err != unix.ESRCH {
		h.tell(initMessage{Op: opStage, ID: id, Signal: s, Error: err.Error()})
	}
}

// monotonic is CLOCK_MONOTONIC, in nanoseconds.
func monotonic() int64 {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // cannot fail on Linux
	return now.Nano()
}

// countProcesses counts the host's processes other than this one, up to a limit. A
// zombie whose parent has not waited for it counts: it is still a process.
func (h *hostInit) countProcesses(limit int) int {
	n, err := countProcesses(h.proc, limit)
	if err != nil {
		return 1 // not known to be none
	}
	return n
}

// countProcesses counts the processes of a host's process table but its init, up to
// a limit. A zombie whose parent is outside does not count: of what nsenter(1)
// started, and does not wait for while it is stopped, no host can be rid.
func countProcesses(proc *os.Root, limit int) (int, error) {
	names, err := readNames(proc, ".")
	if err != nil {
		return 0, err
	}
	n := 0
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == 1 || n >= limit {
			continue
		}
		stat, err := proc.ReadFile(name + "/stat")
		if err != nil {
			continue // it ended
		}
		if p, err := parseStat(string(stat), pid); err != nil || p.Parent != 0 || !p.ended() {
			n++
		}
	}
	return n, nil
}
