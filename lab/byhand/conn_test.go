package byhand

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
