package byhand

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab/report"
)

// A Lab is one that is up, for who asks its supervisor.
type Lab struct {
	Name string
	dir  Dir
}

func (l *Lab) String() string { return called(l.Name) }

// Up lists the labs that are up, in the order of their names.
func (d Dir) Up() ([]*Lab, error) {
	all, err := d.names()
	if err != nil {
		return nil, fmt.Errorf("list labs: %w", err)
	}
	var up []*Lab
	for _, name := range all {
		c, err := d.dial(name)
		if errors.Is(err, ErrDown) {
			continue
		}
		if err != nil {
			return nil, err
		}
		c.close()
		up = append(up, &Lab{name, d})
	}
	return up, nil
}

// Find finds the lab of a name; without one that which was given none, or else
// the only lab that is up. The error is an *Error.
func (d Dir) Find(name string) (*Lab, error) {
	if name != "" {
		if err := CheckName(name); err != nil {
			return nil, usage(err, "")
		}
		c, err := d.dial(name)
		if err != nil {
			return nil, d.down(err, name)
		}
		c.close()
		return &Lab{name, d}, nil
	}
	up, err := d.Up()
	if err != nil {
		return nil, errorOf(err)
	}
	for _, l := range up {
		if l.Name == DefaultName || len(up) == 1 {
			return l, nil
		}
	}
	if len(up) == 0 {
		return nil, &Error{"no lab is up", "sudo lab up", Refused}
	}
	var names []string
	for _, l := range up {
		names = append(names, "--name "+l.Name)
	}
	return nil, usage(fmt.Errorf("%d labs are up", len(up)), strings.Join(names, ", or "))
}

// down is of a lab that cannot be reached.
func (d Dir) down(err error, name string) *Error {
	if !errors.Is(err, ErrDown) {
		return errorOf(err)
	}
	if log, err := os.Stat(d.log(name)); err == nil && log.Size() > 0 {
		return d.died(name)
	}
	return &Error{err.Error(), "sudo lab ls shows those that are", Refused}
}

// died is of a lab that nobody took down.
func (d Dir) died(name string) *Error {
	return &Error{fmt.Sprintf("%s is down: its supervisor died", called(name)), "what it said is in " + d.log(name) + "; sudo lab clean", Refused}
}

// ask begins a conversation, which the caller closes.
func (l *Lab) ask(r request) (*conn, error) {
	c, err := l.dir.dial(l.Name)
	if err != nil {
		return nil, l.dir.down(err, l.Name)
	}
	r.Version = Version
	if err := c.send(r); err != nil {
		c.close()
		return nil, fmt.Errorf("ask %s: %w", called(l.Name), err)
	}
	return c, nil
}

// errGone is of a supervisor that ended in the middle of a conversation.
var errGone = &Error{Text: "its supervisor is gone, and the lab with it", Kind: Refused}

// hear receives an answer into body. Its error may be an *Error of the
// supervisor's, and wraps errGone if that ended.
func (l *Lab) hear(c *conn, body any) error {
	a := answer{Body: body}
	err := c.receive(&a)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, unix.ECONNRESET):
		return fmt.Errorf("%s: %w", called(l.Name), errGone)
	case err != nil:
		return fmt.Errorf("hear %s: %w", called(l.Name), err)
	case a.Error != nil:
		return a.Error
	}
	return nil
}

// converse asks, and hears one answer.
func (l *Lab) converse(r request, body any) error {
	c, err := l.ask(r)
	if err != nil {
		return err
	}
	defer c.close()
	return l.hear(c, body)
}

// patience is how long a supervisor may take to say how its lab is.
const patience = 10 * time.Second

// Status asks how the lab is.
func (l *Lab) Status() (*Status, error) {
	c, err := l.ask(request{Op: opStatus})
	if err != nil {
		return nil, err
	}
	defer c.close()
	if err := c.c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	s := &Status{}
	err = l.hear(c, s)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, &Error{
			fmt.Sprintf("the supervisor of %s does not answer", l),
			fmt.Sprintf("kill -9 %d ends it, and all that runs in the lab", c.peer.Pid), Internal,
		}
	}
	return s, err
}

// Do performs a line of a scenario, such as "fault crash server", and tells what
// it did, moment by moment.
func (l *Lab) Do(line string) ([]string, error) {
	var d did
	err := l.converse(request{Op: opDo, Line: line}, &d)
	return d.Did, err
}

// Record begins a recording, which Stop ends; out is where it is to be written
// then, for who ends it. The warning says what is not observed, "" if all is.
func (l *Lab) Record(out string) (warning string, err error) {
	var b begun
	err = l.converse(request{Op: opRecord, Out: out}, &b)
	return b.Warning, err
}

// Stop ends the recording and gives it to save, whose error it returns. What was
// not saved the next Stop gives again, until another recording begins.
func (l *Lab) Stop(save func(*Recorded) error) error {
	c, err := l.ask(request{Op: opStop})
	if err != nil {
		return err
	}
	defer c.close()
	r := &Recorded{}
	if err := l.hear(c, r); err != nil {
		return err
	}
	if err := save(r); err != nil {
		return err
	}
	if c.send(done{}) == nil {
		_ = l.hear(c, &done{}) // of a supervisor that is gone nothing is wanted any more
	}
	return nil
}

// Down takes the lab down. It returns when nothing of it is left. A supervisor of
// any version does that; the error of one that died instead is an *Error.
func (l *Lab) Down() error {
	err := l.converse(request{Op: opDown}, &done{})
	switch {
	case !errors.Is(err, errGone):
		return err
	case l.died():
		return l.dir.died(l.Name)
	}
	return nil // whoever else took it down
}

// Watch tells f of what happens in the lab, until f returns an error, which
// it returns, or the lab is down. If f takes too long, the supervisor hangs up,
// and the error says so. resized gives the screen's new sizes.
func (l *Lab) Watch(w Watch, resized <-chan report.Screen, f func(*Piece) error) error {
	c, err := l.ask(request{Op: opWatch, Watch: &w})
	if err != nil {
		return err
	}
	defer c.close()
	over := make(chan struct{})
	defer close(over)
	go func() {
		for {
			select {
			case w.Screen = <-resized:
				_ = c.send(w) // a supervisor that is gone is heard of
			case <-over:
				return
			}
		}
	}()
	for {
		p := &Piece{}
		err := l.hear(c, p)
		gone := errors.Is(err, errGone)
		if gone {
			if s, err := l.Status(); err == nil && s.PID == int(c.peer.Pid) {
				return &Error{fmt.Sprintf("%s is up, but what happens in it was not read for %v, and is not told any more", l, maxUnread), Command(l.Name, "watch", "--all") + " begins with what is known", Refused}
			}
		}
		switch {
		case gone && !l.died():
			return nil
		case err != nil:
			return err
		}
		if err := f(p); err != nil {
			return err
		}
	}
}

// died tells whether the lab's supervisor has gone without giving up its name, as one
// does that was killed.
func (l *Lab) died() bool {
	if pid, err := l.dir.holder(l.Name); pid != 0 || err != nil {
		return false
	}
	_, err := os.Lstat(l.dir.socket(l.Name))
	return err == nil
}
