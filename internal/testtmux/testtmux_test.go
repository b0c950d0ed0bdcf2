package testtmux

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// A command's output and status are told from what comes before and after, with
// whatever the lines end.
func TestRun(t *testing.T) {
	p := New(t).Pane(40, 10)
	for _, c := range []struct {
		command string
		want    []string
		status  int
	}{
		{"true", []string{}, 0},
		{"(exit 7)", []string{}, 7},
		{"printf 'no end of line'", []string{"no end of line"}, 0},
		{"seq 3; echo; false", []string{"1", "2", "3", ""}, 1},
		{"printf %060d 0", []string{strings.Repeat("0", 60)}, 0}, // wider than the pane
	} {
		output, status := p.Run(c.command)
		if diff := cmp.Diff(c.want, output); diff != "" || status != c.status {
			t.Errorf("%s: status %d, want %d; output (-want +got):\n%s", c.command, status, c.status, diff)
		}
	}
	if output, _ := p.Run("seq 2000"); len(output) != 2000 || output[1999] != "2000" {
		t.Errorf("of 2000 lines %d", len(output))
	}
	if screen := p.Screen(); len(screen) != 10 || screen[8] != "2000" {
		t.Errorf("on the screen: %q", screen)
	}
}

// A pane is a terminal: it has a size, keys that are signals, and it is hung up.
func TestTerminal(t *testing.T) {
	s := New(t, "GREETING=hello")
	p := s.Pane(80, 24)
	p.Resize(50, 20)
	if output, _ := p.Run("stty size; echo $GREETING"); !slices.Equal(output, []string{"20 50", "hello"}) {
		t.Errorf("size and greeting: %q", output)
	}
	// Keys are for who has the terminal: it says when.
	c := p.Start(`bash -c 'trap "echo again" CONT; echo begun; while :; do read -r; done'`)
	p.Await("begun", func(lines []string) bool { return slices.Contains(lines, "begun") })
	p.Press("C-z")
	if output, status := c.Wait(); status != 148 || !Contains("Stopped")(output) {
		t.Errorf("Ctrl-Z: status %d, %q", status, output)
	}
	c = p.Start("fg")
	p.Await("again", func(lines []string) bool { return slices.Contains(lines, "again") })
	p.Press("C-c")
	if _, status := c.Wait(); status != 130 {
		t.Errorf("Ctrl-C: status %d", status)
	}
	other, file := s.Pane(80, 24), t.TempDir()+"/hup"
	other.Type("trap 'echo hangup >" + file + "; exit' HUP; echo trapped; while :; do read -r; done")
	other.Await("the trap", func(lines []string) bool { return slices.Contains(lines, "trapped") })
	other.Kill()
	p.Run("until [ -s " + file + " ]; do :; done")
}
