package lab_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/record"
)

// A shared buffer.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// A client that a person talks to has a terminal; the person's is afterwards as
// it was.
func TestOwnClientAtTerminal(t *testing.T) {
	testenv.NeedRoot(t)
	needPrograms(t, "python3")
	t.Parallel()
	keyboard, tty := testenv.Terminal(t)
	defer keyboard.Close()
	defer tty.Close()
	before, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	var shown syncBuffer
	go func() { // types when it is asked to
		for !strings.Contains(shown.String(), "name? ") && t.Context().Err() == nil {
			time.Sleep(5 * time.Millisecond)
		}
		_, _ = keyboard.WriteString("Ada\r")
	}()
	c := ownCase{
		scenario: "kill", expect: "exit=3", within: 10 * time.Second, when: "output:^hello Ada$",
		client: []string{"python3", "-c", `import os, socket, sys
s = socket.create_connection((sys.argv[1], 9998))
name = input("name? ")
print("hello", name, [os.isatty(fd) for fd in (0, 1, 2)])
print("hello", name)
s.recv(1)
sys.exit(3)`, "{server}"},
	}
	c.options.Execution = lab.Execution{Terminal: tty, Tee: &shown}
	r := runOwn(t, c)
	if r.Outcome != record.AsExpected {
		t.Errorf("%s, because %q", r.Outcome, r.Reasons)
	}
	if want := "name? Ada\r\nhello Ada [True, True, True]\r\n"; !strings.HasPrefix(shown.String(), want) {
		t.Errorf("shown was %q, want %q", shown.String(), want)
	}
	after, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	if *after != *before {
		t.Errorf("the terminal was left as %+v, it was %+v", after, before)
	}
}
