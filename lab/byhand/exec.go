package byhand

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab"
)

// exec lets a program in, and tells how it ended. Should whoever runs it go
// away, the program hears of it as from a terminal that was closed.
func (s *supervisor) exec(ctx context.Context, c *conn, x *exec) error {
	if x == nil || len(x.Argv) == 0 {
		return usage(errors.New("run what?"), "")
	}
	if m := s.middle(); m != nil && x.Host == m.Name {
		return usage(fmt.Errorf("the %s is no host, but a network namespace", m.Name), "sudo nsenter --net="+m.Path+" "+x.Argv[0])
	}
	if _, err := s.session.Network().Host(x.Host); err != nil {
		return usage(err, "there are client and server, and with lab up --standby a standby")
	}
	entry, err := s.session.Admit(x.Host, x.User, x.Argv)
	if errors.Is(err, lab.ErrDown) {
		return s.hostDown(err, x.Host)
	}
	if err != nil {
		return usage(err, "")
	}
	err = c.say(admission{entry.Argv}, entry.Door)
	entry.Door.Close()
	if err != nil {
		return err
	}
	var n note
	if err := c.receive(&n); err != nil {
		return err // it could not be started, as its own side has said
	}
	p, err := entry.Started(n.PID)
	if errors.Is(err, lab.ErrDown) { // meanwhile
		return s.hostDown(err, x.Host)
	}
	if err != nil {
		return err
	}
	if err := c.say(done{}); err != nil {
		return err
	}
	go s.listen(c, p)
	entry.Enlist()
	<-p.Done()
	return c.say(s.howEnded(ctx, p))
}

// listen passes signals on.
func (s *supervisor) listen(c *conn, p *lab.Program) {
	for {
		var n note
		if err := c.receive(&n); err != nil {
			for _, signal := range []unix.Signal{unix.SIGHUP, unix.SIGCONT} {
				p.Send(signal)
			}
			return
		}
		p.Send(unix.Signal(n.Signal))
	}
}

// why says why the lab ends.
func (s *supervisor) why(ctx context.Context) string {
	if cause := context.Cause(ctx); errors.Is(cause, errDeaf) {
		return fmt.Sprintf("%s ended: %v", called(s.config.Name), cause)
	}
	return called(s.config.Name) + " was taken down"
}

func (s *supervisor) howEnded(ctx context.Context, p *lab.Program) ended {
	status, signal := p.ShellStatus()
	e := ended{Status: status, Signal: signal}
	switch {
	case ctx.Err() != nil:
		e.Gone = s.why(ctx)
	case !s.session.Alive(p.Host(), p.Boot()):
		e.Gone = p.Host().Name + " went down"
	}
	return e
}
