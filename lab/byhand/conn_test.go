package byhand

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pair is two ends of a conversation.
func pair(t *testing.T) (a, b *conn) {
	t.Helper()
	address := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"}
	l, err := net.ListenUnix("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for i, end := range []**conn{&a, &b} {
		var u *net.UnixConn
		if i == 0 {
			u, err = net.DialUnix("unix", nil, address)
		} else {
			u, err = l.AcceptUnix()
		}
		if err == nil {
			*end, err = newConn(u)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { u.Close() })
	}
	return a, b
}

// What is said arrives as it was, however long, and what goes along with it.
func TestConn(t *testing.T) {
	a, b := pair(t)
	if b.peer.Pid != int32(os.Getpid()) {
		t.Errorf("the other end is of process %d", b.peer.Pid)
	}
	file, err := os.Open("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	long := strings.Repeat("long ", 1<<20)
	sent := make(chan error, 1)
	go func() {
		for _, line := range []string{"first", long, "third"} {
			if err := a.say(admission{[]string{line}}, file); err != nil {
				sent <- err
				return
			}
		}
		sent <- a.close()
	}()
	l := &Lab{Name: "x"}
	for _, want := range []string{"first", long, "third"} {
		var got admission
		if err := l.hear(b, &got); err != nil {
			t.Fatal(err)
		}
		if got.Argv[0] != want {
			t.Errorf("heard %.20q of %d octets, want %.20q of %d", got.Argv[0], len(got.Argv[0]), want, len(want))
		}
		f := b.file()
		if f == nil {
			t.Fatal("no file came along")
		}
		if text, err := io.ReadAll(f); err != nil || len(text) == 0 && want == "first" {
			t.Errorf("the file that came: %q, %v", text, err)
		}
		f.Close()
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if err := l.hear(b, &done{}); err == nil || !strings.Contains(err.Error(), errGone.Error()) {
		t.Errorf("at the end: %v", err)
	}
}

// Who reads, however slowly, gets everything; who does not is not waited for.
func TestUnread(t *testing.T) {
	a, b := pair(t)
	a.unread = 500 * time.Millisecond
	long := strings.Repeat("long ", 1<<20)
	sent := make(chan error, 1)
	go func() { sent <- a.send(long) }()
	began := time.Now()
	slow := time.NewTicker(10 * time.Millisecond) // 80 times, and more
	defer slow.Stop()
	for octets := 0; octets < len(long)+3; {
		<-slow.C
		if err := b.fill(); err != nil {
			t.Fatal(err)
		}
		octets = len(b.buf)
	}
	if err := <-sent; err != nil || time.Since(began) < a.unread {
		t.Errorf("to who reads in %v: %v", time.Since(began), err)
	}
	if err := a.send(long); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("to who does not read: %v", err)
	}
}

// Who watches tells that the supervisor hung up from that the lab is down.
func TestWatchHungUp(t *testing.T) {
	d := newDir(t)
	listener, err := d.listen("x")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, up := range []bool{true, false} {
		served := make(chan error, 1)
		go func() {
			if up {
				served <- errors.Join(serveOne(listener, nil), serveOne(listener, &answer{Body: &Status{PID: os.Getpid()}}))
				return
			}
			down := &answer{Error: &Error{Text: "the lab is going down", Kind: Refused}}
			served <- errors.Join(serveOne(listener, nil), serveOne(listener, down), serveOne(listener, down))
		}()
		err := (&Lab{"x", d}).Watch(Watch{}, nil, func(*Piece) error { return nil })
		if e, told := errors.AsType[*Error](err); told != up || up && !strings.Contains(e.Text, "was not read") {
			t.Errorf("up %v: the watch ended with %v", up, err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
}

// Who takes a lab down tells a supervisor that did it, without a word, from one
// that died of it.
func TestDownDied(t *testing.T) {
	d := newDir(t)
	for _, died := range []bool{false, true} {
		listener, err := d.listen("x")
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() {
			served <- serve(listener, func(*conn) error {
				if died {
					return listener.Close()
				}
				return errors.Join(d.release("x"), listener.Close())
			})
		}()
		err = (&Lab{"x", d}).Down()
		if e, told := errors.AsType[*Error](err); told != died || died && (e.Kind != Refused || !strings.Contains(e.Hint, "/x.log")) {
			t.Errorf("died %v: %v", died, err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
}

// serveOne takes one conversation, answers if it is to, and hangs up.
func serveOne(l *net.UnixListener, say *answer) error {
	return serve(l, func(c *conn) error {
		if say == nil {
			return nil
		}
		return c.send(say)
	})
}

// serve takes one conversation, does what it is to, and hangs up.
func serve(l *net.UnixListener, f func(c *conn) error) error {
	u, err := l.AcceptUnix()
	if err != nil {
		return err
	}
	c, err := newConn(u)
	if err != nil {
		return err
	}
	defer c.close()
	var r request
	if err := c.receive(&r); err != nil {
		return err
	}
	return f(c)
}
