package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
)

// A pane is a terminal, of tmux.
type pane struct {
	t      *testing.T
	socket string
}

func newPane(t *testing.T, width, height int, command string, env ...string) *pane {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		testenv.Lack(t, "needs tmux: %v", err)
	}
	p := &pane{t, filepath.Join(t.TempDir(), "tmux")}
	// The shell stays: what is on the screen in the end is to be looked at.
	c := exec.Command("tmux", "-S", p.socket, "-f", "/dev/null", "new-session", "-d",
		"-x", fmt.Sprint(width), "-y", fmt.Sprint(height), command+"; echo the end: $?; sleep 1000")
	c.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=/", "LANG=C.UTF-8"}, env...)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("tmux: %v: %s", err, out)
	}
	t.Cleanup(func() { p.tmux("kill-server") })
	return p
}

func (p *pane) tmux(args ...string) string {
	p.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-u", "-S", p.socket}, args...)...).CombinedOutput()
	if err != nil {
		p.t.Fatalf("tmux %v: %v: %s", args, err, out)
	}
	return string(out)
}

// lines are all that was ever written and is there still.
func (p *pane) lines() []string {
	p.t.Helper()
	return strings.Split(strings.TrimRight(p.tmux("capture-pane", "-p", "-S", "-"), "\n"), "\n")
}

// await waits until the lines hold what is wanted.
func (p *pane) await(what string, ok func(lines []string) bool) []string {
	p.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		lines := p.lines()
		if ok(lines) {
			return lines
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("not there after a minute: %s:\n%s", what, strings.Join(lines, "\n"))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// liveText is what no other line than the live one says.
var liveText = regexp.MustCompile(`(first|next) in [0-9]|last wait|^keepalive: [^:]*\([0-9]+ s\)$`)

func live(lines []string) (found []string) {
	for _, line := range lines {
		if liveText.MatchString(line) {
			found = append(found, line)
		}
	}
	return found
}

func contains(text string) func([]string) bool {
	return func(lines []string) bool { return strings.Contains(strings.Join(lines, "\n"), text) }
}

// On a terminal one line says how the wait stands, below what was printed, as
// long as the wait lasts.
func TestLiveLine(t *testing.T) {
	testenv.NeedRoot(t)
	for _, size := range []struct {
		width, height int
		says          string
	}{
		{80, 24, "keepalive: keepalive probe "},
		{120, 40, "keepalive: TCP_KEEPCNT=3 decides: keepalive probe "},
	} {
		for _, follow := range []string{"", " --follow"} {
			t.Run(fmt.Sprintf("%dx%d%s", size.width, size.height, follow), func(t *testing.T) {
				t.Parallel()
				p := newPane(t, size.width, size.height, newLab(t)+" run keepalive"+follow)
				lines := p.await("a live line", func(lines []string) bool {
					now := live(lines)
					return len(now) > 0 && strings.HasPrefix(now[0], size.says) && strings.Contains(now[0], "probe 1 of 3")
				})
				if n := len(live(lines)); n != 1 || live(lines)[0] != lines[len(lines)-1] {
					t.Errorf("%d live lines; the last line is %q", n, lines[len(lines)-1])
				}
				if n := utf8.RuneCountInString(lines[len(lines)-1]); n >= size.width {
					t.Errorf("the live line has %d characters: %q", n, lines[len(lines)-1])
				}
				if told := contains("fault crash")(lines); told != (follow != "") {
					t.Errorf("the fault is told before the end: %v:\n%s", told, strings.Join(lines, "\n"))
				}
				checkEnd(t, p)
			})
		}
	}
}

// A terminal that becomes narrower breaks the line into several, of which
// nothing stays.
func TestLiveLineResized(t *testing.T) {
	testenv.NeedRoot(t)
	t.Parallel()
	p := newPane(t, 120, 40, newLab(t)+" run keepalive")
	p.await("a long live line", contains("decides: keepalive probe 0"))
	p.tmux("resize-window", "-x", "50", "-y", "20")
	lines := p.await("a short one", func(lines []string) bool {
		now := live(lines)
		return len(now) == 1 && strings.HasPrefix(now[0], "keepalive: keepalive probe ") && utf8.RuneCountInString(now[0]) < 50
	})
	if contains("decides: keepalive")(lines) {
		t.Errorf("the long line is still there:\n%s", strings.Join(lines, "\n"))
	}
	p.tmux("resize-window", "-x", "120", "-y", "40")
	p.await("a long one again", contains("decides: keepalive probe "))
	checkEnd(t, p)
}

// Who interrupts a run is left no part of the line.
func TestLiveLineInterrupted(t *testing.T) {
	testenv.NeedRoot(t)
	t.Parallel()
	p := newPane(t, 80, 24, newLab(t)+" run keepalive --follow")
	p.await("a live line", contains("keepalive probe 0"))
	p.tmux("send-keys", "C-c")
	lines := p.await("the end", contains("the end: "))
	if !contains("the end: 130")(lines) || !contains("verdict   inconclusive")(lines) {
		t.Errorf("it ended with:\n%s", strings.Join(lines, "\n"))
	}
	if left := live(lines); len(left) > 0 {
		t.Errorf("left of the live line: %q", left)
	}
}

// checkEnd wants a good run, and nothing of the live line, in the end.
func checkEnd(t *testing.T, p *pane) {
	t.Helper()
	lines := p.await("the end", contains("the end: "))
	if !contains("the end: 0")(lines) || !contains("verdict   as expected")(lines) {
		t.Errorf("it ended with:\n%s", strings.Join(lines, "\n"))
	}
	if left := live(lines); len(left) > 0 {
		t.Errorf("left of the live line: %q", left)
	}
}

// A terminal that is not to be drawn on gets lines, and none of them is drawn
// over.
func TestPlainTerminal(t *testing.T) {
	testenv.NeedRoot(t)
	for _, env := range []string{"NO_COLOR=1", "CI=1", "TERM=dumb"} {
		t.Run(env, func(t *testing.T) {
			t.Parallel()
			c := exec.CommandContext(t.Context(), "script", "-qec", newLab(t)+" run read-timeout --follow", "/dev/null")
			c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/", "TERM=xterm", env}
			out, err := c.Output()
			if err != nil {
				t.Fatal(err)
			}
			if text := strings.ReplaceAll(string(out), "\r\n", "\n"); !strings.Contains(text, "verdict   as expected") || strings.ContainsAny(text, "\x1b\r") {
				t.Errorf("it wrote %q", text)
			}
		})
	}
}
