package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/internal/testtmux"
	"github.com/seed-6fefc909/tcplab/lab/byhand"
)

// A hand is a name for a lab that may be up, of the test's own, and the program
// that it is used with. In the end the test wants nothing left of it.
type hand struct {
	t         *testing.T
	lab, name string
}

func newHand(t *testing.T) *hand {
	t.Helper()
	testenv.NeedRoot(t)
	lab := newLab(t)
	h := &hand{t, lab, fmt.Sprintf("t%d-%x", os.Getpid(), rand.Uint32())}
	t.Cleanup(h.wantNothing)
	return h
}

// newHandUp is one whose lab is up. That what it wrote comes to an end shows that
// nothing of the lab holds it open.
func newHandUp(t *testing.T, flags ...string) *hand {
	t.Helper()
	h := newHand(t)
	h.must(append([]string{"up"}, flags...)...)
	t.Cleanup(func() { h.do("down") })
	return h
}

// command is one of lab's, for the lab of that name.
func (h *hand) command(args ...string) *exec.Cmd {
	args = append([]string{args[0], "--name", h.name}, args[1:]...)
	c := exec.Command(h.lab, args...)
	c.Args[0] = "lab"
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/"}
	return c
}

// do runs one, and tells all that it wrote and its exit status.
func (h *hand) do(args ...string) (output string, status int) {
	h.t.Helper()
	out, err := h.command(args...).CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		h.t.Errorf("lab %v: %v", args, err)
	} else if ok {
		status = exit.ExitCode()
	}
	return string(out), status
}

// must runs one that must succeed.
func (h *hand) must(args ...string) string {
	h.t.Helper()
	out, status := h.do(args...)
	if status != 0 {
		h.t.Fatalf("lab %v: exit status %d: %s", args, status, out)
	}
	return out
}

// refused runs one that must end with a status, and say something.
func (h *hand) refused(status int, says string, args ...string) {
	h.t.Helper()
	if out, got := h.do(args...); got != status || !strings.Contains(out, says) {
		h.t.Errorf("lab %v: exit status %d, want %d; it says %q, not %q", args, got, status, out, says)
	}
}

func (h *hand) status() *byhand.Status {
	h.t.Helper()
	s := &byhand.Status{}
	if err := json.Unmarshal([]byte(h.must("status", "--output", "json")), s); err != nil {
		h.t.Fatal(err)
	}
	return s
}

// until waits until the lab's status is as wanted.
func (h *hand) until(what string, is func(*byhand.Status) bool) *byhand.Status {
	h.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		s := h.status()
		if is(s) {
			return s
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("it never came to: %s\n%+v", what, s)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// runs waits until a host has a process with that command line.
func (h *hand) runs(host, command string) byhand.Process {
	h.t.Helper()
	var found byhand.Process
	h.until(host+" runs "+command, func(s *byhand.Status) bool {
		p, ok := processOf(s, host, command)
		found = p
		return ok
	})
	return found
}

func processOf(s *byhand.Status, host, command string) (byhand.Process, bool) {
	for _, one := range s.Hosts {
		for _, p := range one.Processes {
			if one.Name == host && strings.Join(p.Argv, " ") == command {
				return p, true
			}
		}
	}
	return byhand.Process{}, false
}

// states are those of the TCP sockets of a host, but for who listens.
func states(s *byhand.Status, host string) []string {
	all := []string{}
	for _, one := range s.Hosts {
		for _, row := range one.Sockets {
			if one.Name == host && row.State != "LISTEN" {
				all = append(all, row.State)
			}
		}
	}
	return all
}

// files are those in dir that belong to the lab.
func (h *hand) files(dir string) []string {
	all, err := filepath.Glob(filepath.Join(dir, h.name+"*"))
	if err != nil {
		h.t.Error(err)
	}
	return all
}

func (h *hand) wantNothing() {
	if left := slices.Concat(h.files("/run/lab"), h.files("/run/netns")); len(left) > 0 {
		h.t.Errorf("left: %q", left)
	}
}

// namespaces are those of the lab's hosts.
func (h *hand) namespaces() (all []string) {
	h.t.Helper()
	for _, host := range h.status().Hosts {
		for _, kind := range []string{"net", "pid", "mnt", "uts", "ipc"} {
			ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", host.PID, kind))
			if err != nil {
				h.t.Fatal(err)
			}
			all = append(all, ns)
		}
	}
	return all
}

// wantNamespacesGone waits until no process is in one of these.
func wantNamespacesGone(t *testing.T, namespaces []string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		left := []string{}
		links, _ := filepath.Glob("/proc/[0-9]*/ns/*")
		for _, link := range links {
			if ns, err := os.Readlink(link); err == nil && slices.Contains(namespaces, ns) {
				left = append(left, link+" "+ns)
			}
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("left: %q", left)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// tmux gives terminals, in which lab is this one, and $N the lab's name.
func (h *hand) tmux() *testtmux.Server {
	h.t.Helper()
	return testtmux.New(h.t, "PATH="+filepath.Dir(h.lab)+":"+os.Getenv("PATH"), "N="+h.name, "TERM=screen")
}
