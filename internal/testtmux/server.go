// Package testtmux gives tests real terminals: panes of tmux with a shell in
// each, which are typed into and looked at as a person would.
package testtmux

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
)

// TB is what is needed of a *testing.T.
type TB interface {
	testenv.TB
	Cleanup(func())
}

// A Server is a tmux of a test's own, which ends with it.
type Server struct {
	t   TB
	dir string // with its socket, and what its shells read
	env []string
}

// bashrc makes a prompt that tells one command's end from another's: its number,
// and how the one before ended.
const bashrc = `PS1='[\#:$?] '
unset HISTFILE
`

// New prepares a tmux whose shells have env beside the barest environment; a
// variable there replaces one of that.
func New(t TB, env ...string) *Server {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		testenv.Lack(t, "needs tmux: %v", err)
	}
	dir, err := os.MkdirTemp("", "tmux") // a socket's path must be short
	if err != nil {
		t.Fatalf("make a folder for tmux: %v", err)
	}
	s := &Server{t, dir, append([]string{"PATH=" + os.Getenv("PATH"), "HOME=/", "LANG=C.UTF-8", "SHELL=/bin/bash"}, env...)}
	t.Cleanup(s.close)
	if err := os.WriteFile(s.path("bashrc"), []byte(bashrc), 0o644); err != nil {
		t.Fatalf("tell the shells their prompt: %v", err)
	}
	return s
}

func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }

// tmux runs one of its commands.
func (s *Server) tmux(args ...string) (string, error) {
	c := exec.Command("tmux", append([]string{"-u", "-f", "/dev/null", "-S", s.path("socket")}, args...)...)
	c.Env = s.env
	out, err := c.CombinedOutput()
	return strings.TrimRight(string(out), "\n"), err
}

// close ends the server, and with it each pane that is still there, and waits
// until it is gone.
func (s *Server) close() {
	if text, err := s.tmux("display-message", "-p", "#{pid}"); err == nil { // else it was never started, or its last pane has ended
		pid, _ := strconv.Atoi(text)
		fd, opened := unix.PidfdOpen(pid, 0)
		if _, err := s.tmux("kill-server"); err == nil && opened == nil {
			for ended := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}; ; {
				if _, err := unix.Poll(ended, int(patience.Milliseconds())); err != unix.EINTR {
					break
				}
			}
		}
		if opened == nil {
			unix.Close(fd)
		}
	}
	if err := os.RemoveAll(s.dir); err != nil {
		s.t.Fatalf("remove tmux's folder: %v", err)
	}
}
