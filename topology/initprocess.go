package topology

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// initProcess is lab's side of a host's init: the process, and the
// conversation with it.
type initProcess struct {
	host  string
	pid   int // as lab's own PID namespace numbers it
	pidfd int
	conn  *os.File
	ready <-chan initMessage // one message, when the init takes requests

	mu       sync.Mutex
	proc     *os.Root // the host's own /proc, nil before the init was ready
	lastID   int
	waiting  map[int]*initRequest // by request; the last answer removes it
	running  map[int]*Process     // by id in the host
	heard    chan struct{}        // closed when the init's last message was delivered
	finished chan struct{}        // closed when nothing of the host runs any more (finish)
	reaped   chan struct{}        // closed when the init was
}

// An initRequest waits for its answers.
type initRequest struct {
	answers chan initMessage // closed after the last one, and when the init is gone
	process *Process         // start: what becomes of it is told to this one
}

// maxAnswers is how many answers a request can get: a shutdown's two stages,
// each with an error, and its end.
const maxAnswers = 5

// answerTimeout is how long the init may take to answer what it can do at
// once; it is generous, for a loaded machine.
const answerTimeout = 30 * time.Second

var (
	errInitGone   = fmt.Errorf("%w: its init is gone", ErrDown)
	errInitSilent = errors.New("the host's init does not answer")
	errInitHeld   = errors.New("the host's init is held by a tracer")
)

// startInit re-executes this program as the process 1 of new namespaces. They
// are there when it returns; the init is not ready yet.
func startInit(host, names string) (*initProcess, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make control socket: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "control"), os.NewFile(uintptr(pair[1]), "init")
	defer theirs.Close() // again: closed it must be before the init is listened to
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
		Env:   []string{"GOMAXPROCS=2", namesEnv + "=" + names},
		Files: []uintptr{null.Fd(), null.Fd(), os.Stderr.Fd(), theirs.Fd()},
		Sys: &syscall.SysProcAttr{
			Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
			Setsid:     true, // a terminal's signals are lab's
			PidFD:      &pidfd,
		},
	})
	theirs.Close() // so that the init's end is the only one, and its death is heard
	if err != nil {
		ours.Close()
		return nil, missingFeature("network and PID namespaces", fmt.Errorf("clone namespaces and execute init: %w", err), unix.EINVAL)
	}
	p := &initProcess{
		host: host, pid: pid, pidfd: pidfd, conn: ours,
		waiting: map[int]*initRequest{}, running: map[int]*Process{},
		heard: make(chan struct{}), finished: make(chan struct{}), reaped: make(chan struct{}),
	}
	ready := &initRequest{answers: make(chan initMessage, 1)}
	p.waiting[0], p.ready = ready, ready.answers
	go p.listen()
	go p.wait()
	return p, nil
}

// awaitReady waits until the init takes requests. Its namespaces are there
// before that. It is called once.
func (p *initProcess) awaitReady() error {
	_, err := p.answer(p.ready, answerTimeout)
	if err != nil {
		return fmt.Errorf("start init of %s: %w", p.host, err)
	}
	// The init mounted its own /proc; this is the way into it from outside,
	// and now, before a program can mount anything over it.
	proc, err := os.OpenRoot(fmt.Sprintf("/proc/%d/root/proc", p.pid))
	if err != nil {
		return fmt.Errorf("open process table of %s: %w", p.host, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.proc = proc
	return nil
}

// processTable is the host's own /proc, which stays p's. It is closed when the
// init is killed; it may be used until then, and gives errors afterwards.
func (p *initProcess) processTable() (*os.Root, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.proc == nil {
		return nil, errInitSilent
	}
	return p.proc, nil
}

// listen delivers the init's messages until its end of the socket is closed.
// An init that cannot be understood is of no use: it is killed.
func (p *initProcess) listen() {
	defer close(p.heard)
	buf := make([]byte, maxMessage)
	for {
		m, err := receiveMessage(int(p.conn.Fd()), buf)
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
	defer p.mu.Unlock()
	if m.Op == opExited {
		if q := p.running[m.PID]; q != nil {
			delete(p.running, m.PID)
			q.end(m.Status, false)
		}
		return
	}
	r := p.waiting[m.ID]
	if r == nil {
		m.discard() // nobody waits for it any more
		return
	}
	if r.process != nil && m.Op == opStarted && m.Error == "" {
		// Here, not where the answer is awaited: the process' end may be
		// the next message.
		r.process.PID = m.PID
		p.running[m.PID] = r.process
	}
	select {
	case r.answers <- m:
	default: // more than maxAnswers: nobody waits for them
		m.discard()
	}
	if m.Op != opStage {
		delete(p.waiting, m.ID)
		close(r.answers)
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
	close(p.reaped)
	<-p.heard // what it said before it died
	p.finish()
}

// finish tells everybody who waits that the host has ended, if nobody has yet.
func (p *initProcess) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == nil {
		return
	}
	for _, q := range p.running {
		q.end(0, true)
	}
	for _, r := range p.waiting {
		close(r.answers)
	}
	p.running, p.waiting = nil, nil
	close(p.finished)
}

// look is how often something is looked at that is not told.
const look = 100 * time.Millisecond

// kill ends the init and all of its namespace, and waits until they are gone, or
// zombies that are up to processes outside.
func (p *initProcess) kill() error {
	_ = unix.PidfdSendSignal(p.pidfd, unix.SIGKILL, nil, 0) // ESRCH: already gone
	for deadline := time.Now().Add(killTimeout); !p.ended(); {
		if time.Now().After(deadline) {
			return fmt.Errorf("process %d, the init of %s, or one of its children survives SIGKILL", p.pid, p.host)
		}
	}
	err := errors.Join(p.conn.Close(), unix.Close(p.pidfd))
	if proc, none := p.processTable(); none == nil {
		err = errors.Join(err, proc.Close())
	}
	return err
}

// ended waits a moment for the end of the init and of all its namespace. An init
// that was killed has closed its files by the time that it waits for zombies whose
// parents are outside (zap_pid_ns_processes).
func (p *initProcess) ended() bool {
	select {
	case <-p.finished:
		return true
	case <-time.After(look):
	}
	select {
	case <-p.heard:
	default:
		return false
	}
	proc, err := p.processTable()
	if err != nil {
		return false
	}
	if n, err := countProcesses(proc, 1); err != nil || n > 0 {
		return false
	}
	p.finish()
	return true
}

// powerOff asks the init to end all that its host has. An init that a tracer
// holds, which may be one of the host's own programs, is not waited for.
func (p *initProcess) powerOff() error {
	answers, err := p.request(initMessage{Op: opPowerOff}, nil)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(killTimeout + time.Second); ; {
		select {
		case m, ok := <-answers:
			if !ok {
				return errInitGone
			}
			return m.failure()
		case <-time.After(look):
		}
		switch {
		case p.held():
			err = errInitHeld
		case time.Now().After(deadline):
			err = errInitSilent
		default:
			continue
		}
		p.forget(answers)
		return err
	}
}

// held tells whether a thread of the init is stopped. Its own host's signals
// cannot do that, but PTRACE_ATTACH can.
func (p *initProcess) held() bool {
	dir, err := os.OpenRoot(fmt.Sprintf("/proc/%d", p.pid))
	if err != nil {
		return false
	}
	defer dir.Close()
	stopped, _ := countThreads(dir, "Tt") // by a signal, by a tracer
	return stopped > 0
}

// request sends m; its answers come over the channel. process is that which m
// starts, nil if none.
func (p *initProcess) request(m initMessage, process *Process, files ...*os.File) (<-chan initMessage, error) {
	r := &initRequest{answers: make(chan initMessage, maxAnswers), process: process}
	p.mu.Lock()
	if p.waiting == nil {
		p.mu.Unlock()
		return nil, errInitGone
	}
	p.lastID++
	m.ID = p.lastID
	p.waiting[m.ID] = r
	p.mu.Unlock()
	fds := make([]int, len(files))
	for i, f := range files {
		fds[i] = int(f.Fd())
	}
	if err := sendMessage(int(p.conn.Fd()), m, fds...); err != nil {
		p.forget(r.answers)
		return nil, err
	}
	return r.answers, nil
}

// forget gives up waiting for a request's answers, and what came with them.
func (p *initProcess) forget(answers <-chan initMessage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, r := range p.waiting {
		if r.answers == answers {
			delete(p.waiting, id)
			close(r.answers)
		}
	}
	for m := range answers { // closed: here, by its last answer, or by the init's end
		m.discard()
	}
}

// ask sends m and waits for its one answer; an answer with an error is one.
func (p *initProcess) ask(m initMessage, timeout time.Duration, process *Process, files ...*os.File) (initMessage, error) {
	answers, err := p.request(m, process, files...)
	if err != nil {
		return initMessage{}, err
	}
	return p.answer(answers, timeout)
}

func (p *initProcess) answer(answers <-chan initMessage, timeout time.Duration) (initMessage, error) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case m, ok := <-answers:
		if !ok {
			return m, errInitGone
		}
		return m, m.failure()
	case <-timer.C:
		p.forget(answers)
		return initMessage{}, errInitSilent
	}
}
