package byhand

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab"
)

// A supervisor holds a lab and answers whoever asks.
type supervisor struct {
	dir     Dir
	config  Config
	session *lab.Session
	started time.Time
	netns   *netnsNames

	down   context.CancelCauseFunc // takes the lab down
	closed chan struct{}           // closed when it is down, with:
	err    error
	broke  error // why it ends though nobody wanted that, nil otherwise

	asked sync.WaitGroup // the conversations
	mu    sync.Mutex     // guards what follows
	conns map[*conn]struct{}
	// recording is nil while nothing is recorded; unsaved is the last one until
	// it is saved, or another begins. changing is held while it begins or ends.
	changing  sync.Mutex
	recording *Recording
	unsaved   *Recorded
	watchers  int
}

// lastWords is how long those who ask may take to hear that the lab is down.
const lastWords = 2 * time.Second

// errAsked is why a lab ends that somebody took down.
var errAsked = errors.New("it was taken down")

// Run builds a lab and keeps it up until somebody takes it down, or ctx ends.
// ready is called when it is up. Its error says why it could not be built, or
// what could not be removed.
func Run(ctx context.Context, d Dir, c Config, ready func(*Status) error) error {
	return keep(ctx, d, c, func() error { return nil }, ready)
}

// keep is Run; named is called when the lab has its name, and is nothing else yet.
func keep(ctx context.Context, d Dir, c Config, named func() error, ready func(*Status) error) error {
	l, err := d.listen(c.Name)
	if err != nil {
		return errorOf(noRoom(d, err))
	}
	s := &supervisor{dir: d, config: c, closed: make(chan struct{}), conns: map[*conn]struct{}{}, started: time.Now()}
	ctx, s.down = context.WithCancelCause(ctx)
	defer s.down(nil)
	if err := s.build(named, ready); err != nil {
		return errorOf(errors.Join(noRoom(d, err), s.close(), l.Close()))
	}
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		s.accept(ctx, l)
	}()
	<-ctx.Done()
	// It listens until the name is given up: else that could be another's by then.
	if cause := context.Cause(ctx); errors.Is(cause, errDeaf) {
		s.broke = cause
	}
	s.err = errors.Join(s.close(), l.Close())
	close(s.closed)
	<-accepted
	heard := make(chan struct{})
	go func() { s.asked.Wait(); close(heard) }()
	select {
	case <-heard:
	case <-time.After(lastWords):
		s.hangUp()
		<-heard
	}
	return s.err
}

// acceptPause is how long who calls waits while the machine has no room for
// another descriptor.
const acceptPause = 100 * time.Millisecond

// errDeaf is why a lab ends that nobody can ask anything any more.
var errDeaf = errors.New("its supervisor cannot listen any more")

// accept holds conversations until the listener is closed.
func (s *supervisor) accept(ctx context.Context, l *net.UnixListener) {
	for {
		conn, err := l.AcceptUnix()
		switch {
		case mayPass(err):
			time.Sleep(acceptPause)
			continue
		case err != nil:
			s.down(fmt.Errorf("%w: %w", errDeaf, err))
			return
		}
		s.asked.Go(func() { s.answer(ctx, conn) })
	}
}

// mayPass tells whether an error is of a lack that may pass, as accept(2) has it.
func mayPass(err error) bool {
	lacks := []error{unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.ECONNABORTED}
	return slices.ContainsFunc(lacks, func(lack error) bool { return errors.Is(err, lack) })
}

// noRoom explains that a name cannot be had because the disk is full.
func noRoom(d Dir, err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EROFS) {
		return &Error{err.Error(), fmt.Sprintf("a lab needs a socket in %s: make room there", d), Cannot}
	}
	return err
}

func (s *supervisor) build(named func() error, ready func(*Status) error) error {
	err := named()
	if err != nil {
		return err
	}
	if s.session, err = s.config.open(); err != nil {
		return err
	}
	if s.config.NetNS {
		if s.netns, err = nameNetNS(s.dir, s.config.Name, s.session.Network()); err != nil {
			return err
		}
	}
	return ready(s.status())
}

// close takes the lab down, and gives its name up. One that broke leaves its log,
// as one that was killed.
func (s *supervisor) close() error {
	var err error
	if s.session != nil {
		err = s.session.Close()
	}
	s.netns.end() // a step that is just over must not make them again
	if s.broke != nil {
		return errors.Join(s.broke, err)
	}
	return errors.Join(err, s.dir.release(s.config.Name))
}

// hangUp ends the conversations that do not end.
func (s *supervisor) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.c.Close()
	}
}

// answer holds a conversation.
func (s *supervisor) answer(ctx context.Context, u *net.UnixConn) {
	c, err := newConn(u)
	if err != nil {
		u.Close()
		return
	}
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
		c.close()
	}()
	if c.peer.Uid != 0 && int(c.peer.Uid) != os.Geteuid() {
		return // who has no right is told nothing
	}
	late := ctx.Err() != nil
	stop := func() bool { return true }
	if !late {
		stop = context.AfterFunc(ctx, func() { c.c.Close() }) // of who says nothing
	}
	var r request
	if err := c.receive(&r); err != nil || !stop() {
		return
	}
	if late && r.Op != opDown {
		_ = c.send(answer{Error: &Error{Text: called(s.config.Name) + " is going down", Kind: Refused}})
		return
	}
	if err := s.serve(ctx, c, &r); err != nil {
		_ = c.send(answer{Error: errorOf(err)})
	}
}

// say sends the body of an answer.
func (c *conn) say(body any, files ...*os.File) error {
	return c.send(answer{Body: body}, files...)
}

// done is the answer to what was done.
type done struct{}

func (s *supervisor) serve(ctx context.Context, c *conn, r *request) error {
	if r.Version != Version && r.Op != opDown {
		return usage(fmt.Errorf("%s speaks version %d of its protocol, and was asked in version %d", called(s.config.Name), Version, r.Version),
			"use the lab that it was made with, or take it down: "+Command(s.config.Name, "down"))
	}
	switch r.Op {
	case opStatus:
		return c.say(s.status())
	case opExec:
		return s.exec(ctx, c, r.Exec)
	case opDo:
		b, err := s.do(ctx, r.Line)
		if err != nil {
			return err
		}
		return c.say(b)
	case opWatch:
		return s.watch(ctx, c, r.Watch)
	case opAwait:
		return s.await(ctx, c, r.Await)
	case opRecord:
		b, err := s.record(r.Out)
		if err != nil {
			return err
		}
		return c.say(b)
	case opStop:
		defer giveBack()
		return s.stop(c)
	case opDown:
		s.down(errAsked)
		<-s.closed
		if s.err != nil {
			return s.err
		}
		return c.say(done{})
	}
	return usage(fmt.Errorf("%s knows no %q: it was brought up by another build of lab", called(s.config.Name), r.Op),
		Command(s.config.Name, "down")+", and up again")
}

// do performs a line of a scenario, and tells what was done.
func (s *supervisor) do(ctx context.Context, line string) (b did, err error) {
	done, err := s.session.Do(ctx, "by hand", 1, line)
	if refused := s.refusal(line, err); refused != nil {
		return b, refused
	}
	if err := errors.Join(err, s.netns.renew(s.session.Network())); err != nil {
		return b, err
	}
	for _, e := range done.Did {
		b.Did = append(b.Did, e.Kind+": "+e.Text)
	}
	return b, nil
}
