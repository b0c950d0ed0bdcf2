package byhand

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func newDir(t *testing.T) Dir { return Dir(filepath.Join(t.TempDir(), "lab")) }

// live lets a listener answer whoever asks, until it is closed.
func live(l *net.UnixListener) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return
		}
		fmt.Fprintln(c, "{}")
		c.Close()
	}
}

// A name is had by one at a time; what the dead left of it is replaced.
func TestListen(t *testing.T) {
	d := newDir(t)
	l, err := d.listen("x")
	if err != nil {
		t.Fatal(err)
	}
	go live(l)
	if _, err := d.listen("x"); err == nil || !strings.Contains(err.Error(), "is up already") {
		t.Errorf("twice: %v", err)
	}
	if info, err := os.Stat(string(d)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory is %v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(d.socket("x")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the socket is %v, %v", info.Mode(), err)
	}
	l.Close() // as a supervisor that was killed
	if _, err := d.dial("x"); !errors.Is(err, ErrDown) {
		t.Errorf("of a dead supervisor: %v", err)
	}
	l, err = d.listen("x")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := d.release("x"); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(string(d)); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// A directory that others can enter, or that is none, is not used.
func TestListenRefuses(t *testing.T) {
	open := newDir(t)
	if err := errors.Join(os.Mkdir(string(open), 0o755), os.Chmod(string(open), 0o755)); err != nil {
		t.Fatal(err)
	}
	link := newDir(t)
	if err := os.Symlink(t.TempDir(), string(link)); err != nil {
		t.Fatal(err)
	}
	for what, d := range map[string]Dir{"open": open, "link": link} {
		if _, err := d.listen("x"); err == nil || !strings.Contains(err.Error(), "0700") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Who waits for a supervisor that says nothing keeps nobody from the directory.
func TestSilentSupervisor(t *testing.T) {
	d := newDir(t)
	l, err := d.listen("x")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for what, f := range map[string]func() error{
		"listen": func() error { _, err := d.listen("x"); return err },
		"clean":  func() error { return d.cleanFiles(func(string) {}) },
	} {
		ended := make(chan error, 1)
		go func() { ended <- f() }()
		asked, err := l.AcceptUnix()
		if err != nil {
			t.Fatal(err)
		}
		dir, err := os.Open(string(d))
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			t.Errorf("%s: the directory is locked: %v", what, err)
		}
		dir.Close()
		fmt.Fprintln(asked, "{}") // it is well after all
		if err := <-ended; (err != nil) != (what == "listen") {
			t.Errorf("%s: %v", what, err)
		}
		asked.Close()
	}
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{
		"lab": true, "a.b_c-d": true, "7": true, "": false, "-x": false, ".x": false, "a/b": false, "a b": false, strings.Repeat("x", 33): false,
	} {
		if err := CheckName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// Clean tells what it removes, and leaves labs that are up and what others made
// alone.
func TestCleanFiles(t *testing.T) {
	d := newDir(t)
	up, err := d.listen("up")
	if err != nil {
		t.Fatal(err)
	}
	defer up.Close()
	go live(up)
	dead, err := d.listen("dead")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	dir := t.TempDir()
	name, other := filepath.Join(dir, "dead-client"), filepath.Join(dir, "other")
	err = errors.Join(
		os.Symlink("/proc/0/ns/net", name), os.WriteFile(other, nil, 0o600),
		os.WriteFile(d.netns("dead"), []byte(name+"\n"+other+"\n"), 0o600),
		os.WriteFile(d.log("dead"), []byte("panic: it broke\n"), 0o600),
		os.WriteFile(filepath.Join(string(d), "notes.txt"), nil, 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	if err := d.cleanFiles(func(what string) { told = append(told, what) }); err != nil {
		t.Fatal(err)
	}
	if all := strings.Join(told, "\n"); len(told) != 2 || !strings.Contains(all, "panic: it broke") || !strings.Contains(all, name) || strings.Contains(all, other) {
		t.Errorf("told: %q", told)
	}
	if _, err := os.Lstat(name); err == nil {
		t.Error("the name is still there")
	}
	if _, err := os.Stat(other); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(string(d))
	if err != nil || len(left) != 2 || left[0].Name() != "notes.txt" || left[1].Name() != "up.sock" {
		t.Errorf("left: %v, %v", left, err)
	}
}
