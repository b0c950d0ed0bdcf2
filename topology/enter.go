package topology

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Another process of the machine than the one that made a host can run a
// program there: in its own terminal, session and process group, as if it had
// started it itself. The host's maker gives it a door, by which it enters. The
// program becomes the child of the host's init, and ends with the host.
//
// Were it the entrant's own child, the host could not end while the entrant is
// stopped: a PID namespace waits until the last of its dead is reaped
// (zap_pid_ns_processes). So a usher enters first, starts the program and
// ends, by which the init inherits it.

// UsherName is what an usher is called: RunInit knows it by that, and observers
// that it is no program of anybody's.
const UsherName = "lab-usher"

// Door opens the host to Enter, in whichever process. The file, a pidfd of
// the host's init, is the caller's.
func (h *Host) Door() (*os.File, error) {
	p, err := h.running()
	if err != nil {
		return nil, err
	}
	fd, err := unix.FcntlInt(uintptr(p.pidfd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", h.Name, err)
	}
	return os.NewFile(uintptr(fd), "door of "+h.Name), nil
}

// Adopt makes a process that an Entrant started in a boot of the host one whose
// end the host tells of. It must come before Entrant.Leave. One that is there no
// more, nor its usher, is taken to have been killed, as that was. The error wraps
// ErrDown if that boot is over.
func (h *Host) Adopt(boot, pid int) (*Process, error) {
	h.mu.Lock()
	p := h.init
	if boot != h.boot { // the id is of another's now
		p = nil
	}
	h.mu.Unlock()
	if p == nil {
		return nil, fmt.Errorf("%s: %w", h.Name, ErrDown)
	}
	q := &Process{PID: pid, Host: h, done: make(chan struct{})}
	if err := p.adopt(q); err != nil {
		return nil, err
	}
	return q, nil
}

func (p *initProcess) adopt(q *Process) error {
	proc, err := p.processTable()
	if err != nil {
		return err
	}
	p.mu.Lock()
	up := p.running != nil
	if up {
		p.running[q.PID] = q
	}
	p.mu.Unlock()
	if !up {
		return errInitGone
	}
	// Its usher, which would keep it as a zombie, may have been killed, too: then
	// the init has reaped it, and perhaps told already.
	if _, err := proc.Lstat(strconv.Itoa(q.PID)); errors.Is(err, fs.ErrNotExist) {
		p.deliver(initMessage{Op: opExited, PID: q.PID, Status: unix.WaitStatus(unix.SIGKILL)})
	}
	return nil
}

// An Entrant is a program that has entered a host, while its usher still holds
// it. Either Leave or Abandon is to be called.
type Entrant struct {
	PID  int // in the host's own PID namespace
	conn *os.File
	// ended is closed when the usher was reaped; how it ended, then.
	ended chan struct{}
	how   unix.WaitStatus
	err   error
}

// Interrupted is the error of a program that was not started because a signal came
// before: one to the entrant's process group, such as a key of its terminal sends.
type Interrupted struct{ Signal unix.Signal }

func (i Interrupted) Error() string { return "interrupted by " + unix.SignalName(i.Signal) }

// ErrUsherKilled is of a program that was not started because its usher was killed,
// and not with the host.
var ErrUsherKilled = errors.New("the process that lets it in was killed")

// Enter runs a program on the host behind a door, which stays the caller's. It
// returns when the program was executed, or with the error that prevented it,
// as Host.Start does, an Interrupted or ErrUsherKilled. A nil stream is /dev/null.
func Enter(door *os.File, c Command) (*Entrant, error) {
	e, err := enter(door, c)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Argv[0], err)
	}
	return e, nil
}

func enter(door *os.File, c Command) (*Entrant, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make control socket: %w", err)
	}
	e := &Entrant{conn: os.NewFile(uintptr(pair[0]), "control"), ended: make(chan struct{})}
	theirs := os.NewFile(uintptr(pair[1]), "usher")
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	usher := 0
	if err == nil {
		defer null.Close()
		usher, err = startUsher(door, null, theirs)
	}
	theirs.Close() // so that the usher's end is the only one, and its death is heard
	if err != nil {
		e.conn.Close()
		return nil, err
	}
	go e.reap(usher)
	if err := e.start(c, null); err != nil {
		ended := e.end()
		switch {
		case e.how.Signaled() && e.how.Signal() != unix.SIGKILL:
			err = Interrupted{e.how.Signal()}
		case errors.Is(err, ErrUsherKilled) && initEnds(door):
			err = errInitGone
		}
		return nil, errors.Join(err, ended)
	}
	return e, nil
}

// startUsher executes this program in the namespaces behind the door.
func startUsher(door, null, conn *os.File) (pid int, err error) {
	err = behind(door, func() error {
		pid, err = syscall.ForkExec(Self, []string{UsherName}, &syscall.ProcAttr{
			Dir: "/", Env: []string{"GOMAXPROCS=1"},
			Files: []uintptr{null.Fd(), null.Fd(), os.Stderr.Fd(), conn.Fd()},
		})
		return err
	})
	if errors.Is(err, unix.ESRCH) { // the init has gone
		err = errInitGone
	}
	return pid, err
}

// start has the usher start the program.
func (e *Entrant) start(c Command, null *os.File) error {
	files := []*os.File{c.Stdin, c.Stdout, c.Stderr}
	for i := range files {
		if files[i] == nil {
			files[i] = null
		}
	}
	args, err := arguments{c.Path, c.Dir, c.Argv, c.Env}.pack()
	if err != nil {
		return err
	}
	defer args.Close()
	m := initMessage{Op: opStart, Argc: len(c.Argv), Credential: c.Credential}
	err = sendMessage(int(e.conn.Fd()), m, int(files[0].Fd()), int(files[1].Fd()), int(files[2].Fd()), int(args.Fd()))
	if errors.Is(err, unix.EPIPE) {
		return ErrUsherKilled
	}
	if err != nil {
		return fmt.Errorf("ask usher: %w", err)
	}
	answer, err := receiveMessage(int(e.conn.Fd()), make([]byte, maxMessage))
	if err != nil {
		return ErrUsherKilled
	}
	e.PID = answer.PID
	return answer.failure()
}

// lastBreath is how long a host's init may outlive those whom it kills, in
// milliseconds: it destroys their sockets.
const lastBreath = 1000

// initEnds tells whether the init behind a door has ended, or is about to: its end
// kills a usher first.
func initEnds(door *os.File) bool {
	fds := []unix.PollFd{{Fd: int32(door.Fd()), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, lastBreath)
		if err != unix.EINTR {
			return err == nil && n > 0
		}
	}
}

// Leave leaves the program to the host, which has adopted it.
func (e *Entrant) Leave() error {
	_ = sendMessage(int(e.conn.Fd()), initMessage{Op: opDone}) // an usher that is gone has left it already
	return e.end()
}

// Abandon kills the program, which nobody adopts.
func (e *Entrant) Abandon() error { return e.end() }

// end waits for the usher's.
func (e *Entrant) end() error {
	err := e.conn.Close()
	<-e.ended
	return errors.Join(err, e.err)
}

// reap reaps the usher as soon as it has ended, whatever else is waited for: the
// host, should it go down meanwhile, waits for that.
func (e *Entrant) reap(usher int) {
	defer close(e.ended)
	for {
		_, err := unix.Wait4(usher, &e.how, 0, nil)
		if err != unix.EINTR {
			e.err = err
			return
		}
	}
}

// usherMain is the usher: it starts one program, and ends when that is adopted.
// Told nothing of the kind it kills it.
func usherMain() error {
	unix.CloseOnExec(initFD)
	// It shares the terminal with the program, whose the keys' signals are;
	// caught, and not ignored, for what is ignored stays so in the program.
	keys := make(chan os.Signal, 1)
	for _, s := range []unix.Signal{unix.SIGINT, unix.SIGQUIT, unix.SIGHUP, unix.SIGTERM} {
		if Ignored(s) {
			signal.Ignore(s)
		} else {
			signal.Notify(keys, s)
		}
	}
	buf := make([]byte, maxMessage)
	m, err := receiveMessage(initFD, buf)
	if err != nil {
		return fmt.Errorf("receive request: %w", err)
	}
	answer := initMessage{Op: opStarted}
	if answer.PID, err = execute(m, &syscall.SysProcAttr{}); err != nil {
		answer = answer.failed(err)
	}
	m.discard()
	if err := sendMessage(initFD, answer); err != nil || answer.Error != "" {
		return nil // nobody waits, or for nothing
	}
	if m, err := receiveMessage(initFD, buf); err != nil || m.Op != opDone {
		_ = unix.Kill(answer.PID, unix.SIGKILL)
	}
	return nil
}
