package lab_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/observe"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/topology"
)

// openText is a session in which what others start is observed.
func openText(t *testing.T) *lab.Session {
	t.Helper()
	testenv.NeedRoot(t)
	s, err := lab.Open(lab.Hand{Name: t.Name(), Text: true}, lab.Options{Path: topology.Direct})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// testTerminal is a pseudo terminal of 80 columns: the keyboard's end and the
// program's, and what it shows.
func testTerminal(t *testing.T) (keyboard, tty *os.File, s *screen) {
	t.Helper()
	keyboard, tty = testenv.Terminal(t)
	if err := unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		t.Fatal(err)
	}
	s = &screen{more: make(chan string, 20_000)}
	go func() {
		defer close(s.more)
		buf := make([]byte, 4096)
		for {
			n, err := keyboard.Read(buf)
			if err != nil { // EIO: the other end is closed
				return
			}
			select {
			case s.more <- string(buf[:n]):
			default: // nobody looks
			}
		}
	}()
	t.Cleanup(func() {
		err := tty.Close()
		for range s.more {
		}
		if err := errors.Join(err, keyboard.Close()); err != nil {
			t.Error(err)
		}
	})
	return keyboard, tty, s
}

// A screen is what a terminal was made to show.
type screen struct {
	more chan string
	text string
}

// await waits until the screen has shown a text so often.
func (s *screen) await(t *testing.T, text string, times int) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for strings.Count(s.text, text) < times {
		select {
		case more := <-s.more:
			s.text += more
		case <-deadline:
			t.Fatalf("not %d times %q in %q", times, text, s.text)
		}
	}
}

// runText runs a program on the client, with these standard streams, to its end.
func runText(t *testing.T, s *lab.Session, in, out, err *os.File, argv ...string) *topology.Process {
	t.Helper()
	path, failed := exec.LookPath(argv[0])
	if failed != nil {
		testenv.Lack(t, "needs %s", argv[0])
	}
	p, failed := s.Network().Client.Start(topology.Command{
		Path: path, Argv: argv, Stdin: in, Stdout: out, Stderr: err,
		Env: []string{"PATH=" + os.Getenv("PATH"), "TERM=xterm", "PS1=$ ", "HOME=/nonexistent"},
	})
	if failed != nil {
		t.Fatal(failed)
	}
	t.Cleanup(func() { s.Network().Client.Signal(p.PID, unix.SIGKILL) }) // if it has not ended
	return p
}

func ended(t *testing.T, p *topology.Process) {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("the program did not end")
	}
}

// texts are the lines that a process of the client printed, and what was typed
// into it, in their order.
func texts(r *record.Record, pid int) []string {
	var lines []string
	for _, e := range r.Events {
		if e.Host != "client" || e.Boot != 1 || e.PID != pid {
			continue
		}
		if e.Source == record.Output || e.Source == record.Step {
			lines = append(lines, e.Kind+": "+e.Text)
		}
	}
	return lines
}

func devNull(t *testing.T) *os.File {
	t.Helper()
	f, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// What a program prints is told a line at a time, whoever started it and
// wherever it goes.
func TestText(t *testing.T) {
	t.Parallel()
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	_, tty, _ := testTerminal(t)
	needPrograms(t, "python3")
	python, err := exec.Command("python3", "-c", "import sys; print(sys.executable, end='')").Output() // it may be a script
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		out    *os.File
		script string // of python3
		want   []string
	}{
		{"a terminal", tty, `print("one"); print("two")`, []string{"stdout: one", "stdout: two"}},
		{"a file", file, `print("one\ntwo")`, []string{"stdout: one", "stdout: two"}},
		{
			"pieces of lines", file,
			`[os.write(1 + i % 2, b) for i, b in enumerate([b"on", b"erro", b"e\ntw", b"r\n", b"o\nlast", b"words"])]`,
			[]string{"stdout: one", "stderr: error", "stdout: two", "stdout: last", "stderr: words"},
		},
		{"no text", file, `os.write(1, b"a\xff\xfe\x00\x1b[31mb\nc\n")`, []string{"stdout: a\ufffdb", "stdout: c"}},
		{
			"long writes", file, `os.write(1, b"x" * 250 + b"\n" + b"y" * 4000 + b"\nz\n"); os.write(1, b"next\n")`,
			[]string{"stdout: " + strings.Repeat("x", 250), "stdout: " + strings.Repeat("y", 4000), "stdout: z", "stdout: next"},
		},
		{
			"more than is looked at", file, `os.write(1, b"one\ntwo" + b"\0" * 300000); os.write(1, b"x\nnext\n")
os.write(1, b"y" + b"\0" * 299999 + b"\n"); os.write(1, b"last\n")`,
			[]string{
				"stdout: one", fmt.Sprintf("stdout: two… %d octets not seen …x", 300007-(256<<10)), "stdout: next",
				fmt.Sprintf("stdout: y… %d octets not seen …", 300001-(256<<10)), "stdout: last",
			},
		},
		{"a line without an end", file, `[os.write(1, b"x" * 256) for i in range(17)]`, []string{
			"stdout: " + strings.Repeat("x", observe.MaxLine), "stdout: " + strings.Repeat("x", 256),
		}},
		{
			"vectors", file, `os.writev(1, [b"one\nt", b"", b"wo\n", b"three", b"four"]); os.pwritev(1, [b"x" * 100, b"y" * 200, b"\n"], -1, os.RWF_APPEND)`,
			[]string{"stdout: one", "stdout: two", "stdout: threefour" + strings.Repeat("x", 100) + strings.Repeat("y", 200)},
		},
		{
			"what the kernel copies", file,
			`os.write(1, b"0123456789\ntw"); os.copy_file_range(1, 1, 6, 0); os.sendfile(1, 1, 6, 4); os.write(1, b"o\n"); os.sendfile(1, 1, 0, 10)`,
			[]string{"stdout: 0123456789", "stdout: tw… 10 octets not seen …o", "output: 10 octets that python3 wrote are not recorded"},
		},
		{"what fails", file, `os.write(1, b"a\n"); os.close(1); os.close(2); os.system("true")
try: os.write(1, b"b\n")
except OSError: pass`, []string{"stdout: a"}},
		{"a socket", file, `import socket; a, b = socket.socketpair(); os.dup2(a.fileno(), 1); os.write(1, b"to the peer\n"); os.write(2, b"said\n")`, []string{"stderr: said"}},
		{"a pipe of its own", file, `r, w = os.pipe(); os.dup2(w, 2); os.write(2, b"to itself\n"); os.system("echo handed on | sed s/ed/ing/ >&1")`, nil},
		{"what nobody wants", file, `os.dup2(os.open("/dev/null", os.O_WRONLY), 1); os.write(1, b"gone\n"); os.write(2, b"said\n")`, []string{"stderr: said"}},
		{"another descriptor", file, `os.dup2(1, 7); os.write(7, b"not seen\n")`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := openText(t)
			p := runText(t, s, devNull(t), c.out, c.out, string(python), "-c", "import os\n"+c.script)
			ended(t, p)
			r := s.Finish()
			if d := cmp.Diff(c.want, texts(r, p.PID)); d != "" {
				t.Errorf("lines (-want +got):\n%s", d)
			}
			for _, e := range r.Events {
				if e.Source == record.Output && (!strings.HasPrefix(e.Comm, "python") && e.PID == p.PID || e.Time <= 0 || e.Host != "client" || e.Boot != 1) {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}

// C's standard input and output, of which musl's uses writev, and what a
// program leaves in its buffer until it ends.
func TestTextOfC(t *testing.T) {
	t.Parallel()
	s := openText(t)
	dir := t.TempDir()
	source := filepath.Join(dir, "print.c")
	program := `#include <stdio.h>
#include <sys/uio.h>
int main(void) {
	char line[100];
	struct iovec v[2] = {{"a vec", 5}, {"tor\n", 4}};
	printf("name? ");
	if (!fgets(line, sizeof(line), stdin)) return 1;
	printf("hello %s", line);
	fflush(stdout);
	writev(2, v, 2);
	while (fgets(line, sizeof(line), stdin)) {}
	printf("end of file");
	return 0;
}
`
	if err := os.WriteFile(source, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("gcc"); err != nil {
		testenv.Lack(t, "needs gcc")
	}
	if out, err := exec.Command("gcc", "-o", filepath.Join(dir, "print"), source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	keyboard, tty, _ := testTerminal(t)
	if _, err := keyboard.WriteString("Wörld\nmore\n\x04\x04"); err != nil {
		t.Fatal(err)
	}
	p := runText(t, s, tty, tty, tty, filepath.Join(dir, "print"))
	ended(t, p)
	want := []string{
		"type: the user types: Wörld", "stdout: name? hello Wörld", "stderr: a vector",
		"type: the user types: more", "eof: the user types Ctrl-D", "stdout: end of file",
	}
	if d := cmp.Diff(want, texts(s.Finish(), p.PID)); d != "" {
		t.Errorf("lines (-want +got):\n%s", d)
	}
}

// What is typed at shells: one that edits its lines itself, and one for which
// the terminal does.
func TestTextOfShells(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		shell []string
		keys  string
		want  []string
	}{
		{
			[]string{"bash", "--norc", "--noediting", "-i"},
			"echo one\nexit\n",
			[]string{"type: the user types: echo one", "stdout: one", "type: the user types: exit"},
		},
		{
			[]string{"dash", "-i"},
			"read x\nsome words\necho got $x\n\x04",
			[]string{
				"type: the user types: read x", "type: the user types: some words", "type: the user types: echo got $x",
				"stdout: got some words", "eof: the user types Ctrl-D",
			},
		},
	} {
		t.Run(c.shell[0], func(t *testing.T) {
			t.Parallel()
			s := openText(t)
			keyboard, tty, _ := testTerminal(t)
			if _, err := keyboard.WriteString(c.keys); err != nil {
				t.Fatal(err)
			}
			p := runText(t, s, tty, tty, tty, c.shell...)
			ended(t, p)
			lines := texts(s.Finish(), p.PID)
			var got []string
			for _, l := range lines {
				if !strings.HasPrefix(l, "stderr: ") { // prompts, and that there is no job control
					got = append(got, l)
				}
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("lines (-want +got):\n%s\nall:\n%s", d, strings.Join(lines, "\n"))
			}
		})
	}
}

// What a terminal does not show is nowhere on record, only that it is typed;
// whether the program reads lines or octets.
func TestTextOfSecret(t *testing.T) {
	t.Parallel()
	needPrograms(t, "bash", "dash", "stty")
	for _, c := range []struct {
		shell string
		hide  string
		typed string
	}{
		{"bash", "read -s x", " something that is not shown"},
		{"dash", "stty -echo; read x; stty echo", " something that is not shown"},
		{"bash", "read -s -n 7 x; read y", ": "}, // a key at a time, and the rest of the line
	} {
		t.Run(c.hide, func(t *testing.T) {
			t.Parallel()
			s := openText(t)
			keyboard, tty, screen := testTerminal(t)
			p := runText(t, s, tty, tty, tty, c.shell, "-c", "read name; echo $name?; "+c.hide+"; echo ${#x} octets; read more")
			if _, err := keyboard.WriteString("Anna\n"); err != nil {
				t.Fatal(err)
			}
			screen.await(t, "Anna?", 1)
			deadline := time.Now().Add(20 * time.Second)
			for hidden := false; !hidden; time.Sleep(time.Millisecond) { // the terminal tells nobody
				if time.Now().After(deadline) {
					t.Fatal("the terminal shows what is typed")
				}
				modes, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
				if err != nil {
					t.Fatal(err)
				}
				hidden = modes.Lflag&unix.ECHO == 0
			}
			if _, err := keyboard.WriteString("s3cr3t!\n"); err != nil {
				t.Fatal(err)
			}
			screen.await(t, "7 octets", 1)
			if _, err := keyboard.WriteString("more\n"); err != nil {
				t.Fatal(err)
			}
			ended(t, p)
			r := s.Finish()
			want := []string{
				"type: the user types: Anna", "stdout: Anna?", "type: the user types" + c.typed,
				"stdout: 7 octets", "type: the user types: more",
			}
			if d := cmp.Diff(want, texts(r, p.PID)); d != "" {
				t.Errorf("lines (-want +got):\n%s", d)
			}
			for _, e := range r.Events {
				if e.PID == p.PID && e.Syscall != nil && e.Syscall.FD == 0 && strings.ContainsAny(e.Syscall.Data, "s3c!") {
					t.Errorf("on record: %s", e.String())
				}
			}
		})
	}
}

// What a shell's line editor makes of the keys is the line that it runs.
func TestTextOfLineEditor(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/lib/terminfo/x/xterm"); err != nil {
		testenv.Lack(t, "needs Debian's ncurses-base: %v", err)
	}
	s := openText(t)
	keyboard, tty, screen := testTerminal(t)
	p := runText(t, s, tty, tty, tty, "bash", "--norc", "-i")
	for i, keys := range []string{
		"ecko one\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x7fh\r",                                     // back to the k, which becomes an h
		"echo two; false\x17\x7f\x7f\r",                                                     // a word erased
		"echo " + strings.Repeat("0123456789", 10) + strings.Repeat("\x7f", 15) + "short\r", // in the second row
		"exit\r",
	} {
		screen.await(t, "$ ", i+1)
		if _, err := keyboard.WriteString(keys); err != nil {
			t.Fatal(err)
		}
	}
	ended(t, p)
	long := strings.Repeat("0123456789", 8) + "01234short"
	want := []string{
		"stderr: $ echo one", "stdout: one", "stderr: $ echo two", "stdout: two",
		"stderr: $ echo " + long, "stdout: " + long, "stderr: $ exit", "stderr: exit",
	}
	lines := texts(s.Finish(), p.PID)
	if len(lines) > len(want) { // before the first prompt: that there is no job control
		lines = lines[len(lines)-len(want):]
	}
	if d := cmp.Diff(want, lines); d != "" {
		t.Errorf("lines (-want +got):\n%s", d)
	}
}

// What a program prints without end is told up to a bound, and that once; from a
// fault on more of it is.
func TestTextWithoutEnd(t *testing.T) {
	t.Parallel()
	s := openText(t)
	_, tty, screen := testTerminal(t)
	keyboard, stdin, _ := testTerminal(t)
	p := runText(t, s, stdin, tty, tty, "bash", "-c", "for ((i = 0; i < 10100; i++)); do echo $i; done; echo over >&2; read; echo and out")
	screen.await(t, "over", 1)
	if lines := texts(s.Finish(), p.PID); len(lines) != observe.MaxLines+1 { // all was read from the ring
		t.Errorf("%d lines before the fault", len(lines))
	}
	if _, err := s.Do(t.Context(), "x", 1, "zero as of a fault"); err != nil {
		t.Fatal(err)
	}
	if _, err := keyboard.WriteString("go\n"); err != nil {
		t.Fatal(err)
	}
	ended(t, p)
	lines := texts(s.Finish(), p.PID)
	if len(lines) != observe.MaxLines+4 {
		t.Fatalf("%d lines; the last are\n%s", len(lines), strings.Join(lines[max(0, len(lines)-5):], "\n"))
	}
	for i, line := range lines[:observe.MaxLines] {
		if want := fmt.Sprint("stdout: ", i); line != want {
			t.Fatalf("%q, want %q", line, want)
		}
	}
	want := []string{
		"output: bash writes more than 10000 lines or 1048576 octets: the rest is not recorded",
		"type: the user types: go", "output: 605 octets that bash wrote are not recorded", "stdout: and out",
	}
	if d := cmp.Diff(want, lines[observe.MaxLines:]); d != "" {
		t.Errorf("last lines (-want +got):\n%s", d)
	}
}

// What is printed faster than anybody reads displaces nothing else, and each octet
// of it is told or counted.
func TestTextOfFlood(t *testing.T) {
	t.Parallel()
	needPrograms(t, "dd")
	s := openText(t)
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	const blocks, size = 400, 256 << 10
	p := runText(t, s, devNull(t), file, devNull(t), "dd", "if=/dev/zero", fmt.Sprint("bs=", size), fmt.Sprint("count=", blocks))
	ended(t, p)
	r := s.Finish()
	want := []string{
		"output: dd writes more than 10000 lines or 1048576 octets: the rest is not recorded",
		fmt.Sprintf("output: %d octets that dd wrote are not recorded", blocks*size-observe.MaxOutput),
	}
	if d := cmp.Diff(want, texts(r, p.PID)); d != "" {
		t.Errorf("lines (-want +got):\n%s", d)
	}
	for _, why := range r.Reasons {
		if strings.Contains(why, "lost") {
			t.Error(why)
		}
	}
}

// What a program prints that lab itself started is told once.
func TestTextOfOwnStart(t *testing.T) {
	t.Parallel()
	s := openText(t)
	for _, text := range []string{
		"start server echo-server {any:port}", "expect server socket LISTEN",
		"start client echo-client {server:port}", "expect client socket ESTABLISHED",
		"type client hello", "expect client prints hello",
	} {
		if _, err := s.Do(t.Context(), "x", 1, text); err != nil {
			t.Fatal(err)
		}
	}
	times := map[string]int{}
	for _, e := range s.Finish().Events {
		if e.Source == record.Output || e.Kind == "type" {
			times[e.Text]++
		}
	}
	for text, n := range times {
		if n != 1 {
			t.Errorf("%q is told %d times", text, n)
		}
	}
	if times["hello"] == 0 || times["the user types: hello"] == 0 {
		t.Errorf("told: %v", times)
	}
}

// Where nobody asks for it, nothing is told of what others start.
func TestNoText(t *testing.T) {
	t.Parallel()
	s := openSession(t, lab.Options{Path: topology.Direct})
	_, tty, _ := testTerminal(t)
	p := runText(t, s, tty, tty, tty, "bash", "-c", "echo one")
	ended(t, p)
	if lines := texts(s.Finish(), p.PID); len(lines) > 0 {
		t.Errorf("%q", lines)
	}
}
