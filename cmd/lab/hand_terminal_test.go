package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/internal/testtmux"
	"github.com/seed-6fefc909/tcplab/lab/byhand"
)

// waits is a program that says when it is ready, and waits for a line, whatever
// signal comes: bash, since that has no other process for it.
func waits(trap string) string {
	return `bash -c '` + trap + `; echo ready; while ! read -r line; do :; done; echo "read $line"'`
}

// on is the command that runs a program on the client's host.
const on = "lab exec --name $N client -- "

// awaitLine waits until one line is as wanted, which is not the one that was
// typed.
func awaitLine(p *testtmux.Pane, line string) {
	p.Await("the line "+line, func(lines []string) bool { return slices.Contains(lines, line) })
}

// Keys do to a program what they do without lab.
func TestHandKeys(t *testing.T) {
	t.Parallel()
	h := newHandUp(t)
	p := h.tmux().Pane(100, 40)
	for key, want := range map[string]int{"C-c": 130, "C-\\": 131} {
		c := p.Start(on + "sleep 1000")
		h.runs("client", "sleep 1000")
		p.Press(key)
		if out, status := c.Wait(); status != want {
			t.Errorf("%s: status %d, want %d, %q", key, status, want, out)
		}
	}
	c := p.Start(on + waits(`trap "echo caught" INT QUIT`))
	awaitLine(p, "ready")
	p.Press("C-c")
	p.AwaitText("caught")
	p.Type("on")
	if out, status := c.Wait(); status != 0 || !testtmux.Contains("read on")(out) || strings.Count(strings.Join(out, "\n"), "caught") != 1 {
		t.Errorf("of a program that catches SIGINT: status %d, %q", status, out)
	}
	c = p.Start("while :; do " + on + "sleep 1000; done")
	h.runs("client", "sleep 1000")
	p.Press("C-c")
	if out, status := c.Wait(); status != 130 {
		t.Errorf("of a loop: status %d, %q", status, out)
	}
	c = p.Start(on + "cat; echo after")
	h.runs("client", "cat")
	p.Type("one")
	p.Press("C-d")
	if out, status := c.Wait(); status != 0 || !slices.Equal(out, []string{"one", "one", "after"}) {
		t.Errorf("Ctrl-D: status %d, %q", status, out)
	}
}

// A program is stopped and goes on as any job of the user's shell.
func TestHandJobs(t *testing.T) {
	t.Parallel()
	h := newHandUp(t)
	p := h.tmux().Pane(100, 40)
	stop := func(program string) {
		t.Helper()
		c := p.Start(on + program)
		h.until("it is let in", func(s *byhand.Status) bool { q, _ := processOf(s, "client", program); return q.Parent == 1 })
		p.Press("C-z")
		if out, status := c.Wait(); status != 148 || !testtmux.Contains("Stopped")(out) {
			t.Errorf("Ctrl-Z: status %d, %q", status, out)
		}
		h.until("it is stopped, too", func(s *byhand.Status) bool { q, _ := processOf(s, "client", program); return q.State == "T" })
	}
	stop("cat")
	resumed := func(times int) { // cat: what is typed is no longer for the shell
		t.Helper()
		p.Await("fg", func(lines []string) bool { return strings.Count(strings.Join(lines, "\n"), "fg\n"+on+"cat") == times })
	}
	c := p.Start("fg")
	resumed(1)
	p.Type("again")
	p.Press("C-d")
	if out, status := c.Wait(); status != 0 || strings.Count(strings.Join(out, "\n"), "again") != 2 {
		t.Errorf("fg: status %d, %q", status, out)
	}

	stop("sleep 1000")
	p.Run("bg")
	h.until("it sleeps on", func(s *byhand.Status) bool { q, _ := processOf(s, "client", "sleep 1000"); return q.State == "S" })
	if out, status := p.Run("kill %%; wait %%"); status != 143 {
		t.Errorf("kill: status %d, %q", status, out)
	}
	h.until("it ended", func(s *byhand.Status) bool { return len(s.Hosts[0].Processes) == 0 })

	// Who is in the background is stopped when it reads what is typed.
	p.Run(on + "cat &")
	h.until("it is stopped", func(s *byhand.Status) bool { q, _ := processOf(s, "client", "cat"); return q.State == "T" })
	p.Await("the shell knows", func([]string) bool { out, _ := p.Run("jobs"); return testtmux.Contains("Stopped")(out) })
	c = p.Start("fg")
	resumed(2)
	p.Type("for cat")
	p.Press("C-d")
	if out, status := c.Wait(); status != 0 || strings.Count(strings.Join(out, "\n"), "for cat") != 2 {
		t.Errorf("fg of who read in the background: status %d, %q", status, out)
	}

	// A host's end does not wait for who is stopped.
	stop("sleep 1001")
	h.must("fault", "crash", "client")
	if out, status := p.Run("fg"); status != 137 || !testtmux.Contains("client went down")(out) {
		t.Errorf("fg after the crash: status %d, %q", status, out)
	}
	h.must("fault", "reboot", "client")
	stop("sleep 1002")
	h.must("down")
	if out, status := p.Run("fg"); status != 137 || !testtmux.Contains("was taken down")(out) {
		t.Errorf("fg after the lab's end: status %d, %q", status, out)
	}
}

// atInside tells whether a shell of the client's host has its prompt.
func atInside(lines []string) bool {
	last := lines[len(lines)-1]
	return strings.HasPrefix(last, "bash-") || strings.Contains(last, "@client:") // Debian's bash.bashrc has the latter
}

// A shell on a host has jobs of its own, and gives the terminal back.
func TestHandShell(t *testing.T) {
	t.Parallel()
	h := newHandUp(t)
	p := h.tmux().Pane(100, 40)
	c := p.Start("lab shell --name $N client")
	p.Await("a shell", atInside)
	p.Type("PS1='inside: '; hostname; tty")
	awaitLine(p, "client")
	p.Type("sleep 1000")
	h.runs("client", "sleep 1000")
	p.Press("C-z")
	p.AwaitText("Stopped")
	p.Type("fg")
	h.until("it sleeps on", func(s *byhand.Status) bool { q, _ := processOf(s, "client", "sleep 1000"); return q.State == "S" })
	p.Press("C-c")
	h.until("it ended", func(s *byhand.Status) bool { _, ok := processOf(s, "client", "sleep 1000"); return !ok })
	p.Type("exit 7")
	if out, status := c.Wait(); status != 7 || testtmux.Contains("job control")(out) {
		t.Errorf("the shell: status %d, %q", status, out)
	}
	c = p.Start(`sh -c 'lab shell --name $N client; read -r line; echo "read $line"'`)
	p.Await("a shell", atInside)
	p.Type("exit")
	p.Type("on")
	if out, status := c.Wait(); status != 0 || !slices.Contains(out, "read on") {
		t.Errorf("after a shell in a script: status %d, %q", status, out)
	}
}

// What draws on the screen has all of it, also when it changes its size, and
// leaves no trace in the terminal's modes, however it ended.
func TestHandScreen(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("less"); err != nil {
		testenv.Lack(t, "needs less: %v", err)
	}
	h := newHandUp(t)
	p := h.tmux().Pane(80, 24)
	file := filepath.Join(openDir(t), "numbers")
	var numbers strings.Builder
	for i := range 100 {
		fmt.Fprintln(&numbers, "number", i)
	}
	if err := os.WriteFile(file, []byte(numbers.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	shows := func(rows int, first string) {
		t.Helper()
		p.Await(fmt.Sprintf("%d rows from %q", rows, first), func([]string) bool {
			screen := p.Screen()
			return len(screen) == rows && screen[0] == first && strings.HasPrefix(screen[rows-2], "number ")
		})
	}
	c := p.Start(on + "less " + file)
	shows(24, "number 0")
	p.Press("Space")
	shows(24, "number 23")
	p.Resize(60, 12)
	shows(12, "number 23")
	p.Press("q")
	if _, status := c.Wait(); status != 0 {
		t.Errorf("less: status %d", status)
	}
	c = p.Start(on + `bash -c 'trap "stty size" WINCH; stty size; while :; do sleep 0.05; done'`)
	awaitLine(p, "12 60")
	p.Resize(90, 30)
	awaitLine(p, "30 90")
	p.Press("C-c")
	if _, status := c.Wait(); status != 130 {
		t.Errorf("who is told of the size: status %d", status)
	}

	before, _ := p.Run("stty -g")
	c = p.Start(on + "sh -c 'stty raw -echo; echo raw; sleep 1000'")
	h.runs("client", "sleep 1000")
	h.must("fault", "crash", "client")
	if out, status := c.Wait(); status != 137 {
		t.Errorf("of a host that crashed: status %d, %q", status, out)
	}
	if after, _ := p.Run("stty -g"); !slices.Equal(before, after) {
		t.Errorf("the terminal's modes are %q, and were %q", after, before)
	}
}

// What is shown as it happens fits into the terminal, whatever size that gets.
func TestHandWatchResized(t *testing.T) {
	t.Parallel()
	h := newHandUp(t)
	p := h.tmux().Pane(120, 40)
	c := p.Start("lab watch --name $N")
	h.until("somebody watches", func(s *byhand.Status) bool { return s.Watchers == 1 })
	long := func(n int) string { return fmt.Sprintf("echo %d %s", n, strings.Repeat("word ", 30)) }
	widest := func(lines []string) (n int) {
		for _, line := range lines {
			n = max(n, utf8.RuneCountInString(line))
		}
		return n
	}
	h.must("exec", "server", "--", "sh", "-c", long(1))
	lines := p.AwaitText("sh[")
	if n := widest(lines); n > 120 || n < 90 {
		t.Errorf("of a width of 120 it takes %d:\n%s", n, strings.Join(lines, "\n"))
	}
	p.Resize(70, 40)
	// That its size is another is told to who shows it while this goes on.
	for i := 2; ; i++ {
		h.must("exec", "server", "--", "sh", "-c", long(i))
		lines = p.AwaitText(fmt.Sprintf("echo %d", i))
		for j, line := range lines {
			if strings.Contains(line, fmt.Sprintf("echo %d", i)) {
				lines = lines[j:]
				break
			}
		}
		if widest(lines) <= 70 {
			break
		}
		if i == 20 {
			t.Fatalf("of a width of 70 it takes %d:\n%s", widest(lines), strings.Join(lines, "\n"))
		}
	}
	p.Press("C-c")
	if _, status := c.Wait(); status != 0 {
		t.Errorf("Ctrl-C of lab watch: status %d", status)
	}
}

// A lab in the foreground ends with Ctrl-C, and with its terminal.
func TestHandForeground(t *testing.T) {
	t.Parallel()
	h := newHand(t)
	tmux := h.tmux()
	tmux.Pane(80, 24) // so that there is one
	p := tmux.Pane(80, 24)
	c := p.Start("lab up --fg --name $N")
	p.AwaitText("is up: client")
	h.must("exec", "client", "--", "true")
	p.Press("C-c")
	if out, status := c.Wait(); status != 0 {
		t.Errorf("Ctrl-C: status %d, %q", status, out)
	}
	h.wantNothing()
	p.Start("lab up --fg --name $N")
	p.Await("another", func(lines []string) bool { return strings.Count(strings.Join(lines, "\n"), "is up: client") == 2 })
	namespaces := h.namespaces()
	p.Kill()
	wantNamespacesGone(t, namespaces)
	wantGone(t, h.lab)
}
