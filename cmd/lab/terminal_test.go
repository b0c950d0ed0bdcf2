package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/internal/testtmux"
)

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
				lab := newLab(t)
				p := testtmux.New(t).Pane(size.width, size.height)
				run := p.Start(lab + " run keepalive" + follow)
				lines := p.Await("a live line", func(lines []string) bool {
					now := live(lines)
					return len(now) > 0 && strings.HasPrefix(now[0], size.says) && strings.Contains(now[0], "probe 1 of 3")
				})
				if n := len(live(lines)); n != 1 || live(lines)[0] != lines[len(lines)-1] {
					t.Errorf("%d live lines; the last line is %q", n, lines[len(lines)-1])
				}
				if n := utf8.RuneCountInString(lines[len(lines)-1]); n >= size.width {
					t.Errorf("the live line has %d characters: %q", n, lines[len(lines)-1])
				}
				if told := testtmux.Contains("fault crash")(lines); told != (follow != "") {
					t.Errorf("the fault is told before the end: %v:\n%s", told, strings.Join(lines, "\n"))
				}
				checkEnd(t, run)
			})
		}
	}
}

// A terminal that becomes narrower breaks the line into several, of which
// nothing stays.
func TestLiveLineResized(t *testing.T) {
	testenv.NeedRoot(t)
	t.Parallel()
	lab := newLab(t)
	p := testtmux.New(t).Pane(120, 40)
	run := p.Start(lab + " run keepalive")
	p.AwaitText("decides: keepalive probe 0")
	p.Resize(50, 20)
	lines := p.Await("a short one", func(lines []string) bool {
		now := live(lines)
		return len(now) == 1 && strings.HasPrefix(now[0], "keepalive: keepalive probe ") && utf8.RuneCountInString(now[0]) < 50
	})
	if testtmux.Contains("decides: keepalive")(lines) {
		t.Errorf("the long line is still there:\n%s", strings.Join(lines, "\n"))
	}
	p.Resize(120, 40)
	p.AwaitText("decides: keepalive probe ")
	checkEnd(t, run)
}

// Who interrupts a run is left no part of the line.
func TestLiveLineInterrupted(t *testing.T) {
	testenv.NeedRoot(t)
	t.Parallel()
	lab := newLab(t)
	p := testtmux.New(t).Pane(80, 24)
	run := p.Start(lab + " run keepalive --follow")
	p.AwaitText("keepalive probe 0")
	p.Press("C-c")
	lines, status := run.Wait()
	if status != 130 || !testtmux.Contains("verdict   inconclusive")(lines) {
		t.Errorf("it ended with status %d:\n%s", status, strings.Join(lines, "\n"))
	}
	if left := live(lines); len(left) > 0 {
		t.Errorf("left of the live line: %q", left)
	}
}

// checkEnd wants a good run, and nothing of the live line, in the end.
func checkEnd(t *testing.T, run *testtmux.Started) {
	t.Helper()
	lines, status := run.Wait()
	if status != 0 || !testtmux.Contains("verdict   as expected")(lines) {
		t.Errorf("it ended with status %d:\n%s", status, strings.Join(lines, "\n"))
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
