package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-6fefc909/tcplab/lab/byhand"
)

// byHandCommands are those of the README's section "By hand", which belong into
// terminals beside each other.
func byHandCommands(t *testing.T) []string {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "\n## By hand\n")
	section, _, _ = strings.Cut(section, "\n## ")
	file := filepath.Join(t.TempDir(), "section.md")
	if err := os.WriteFile(file, []byte(section), 0o600); err != nil {
		t.Fatal(err)
	}
	return commandsIn(t, file)
}

// The README's commands by hand come to what it says, in its terminals.
func TestREADMEByHand(t *testing.T) {
	h := newHand(t)
	h.name = byhand.DefaultName
	commands := byHandCommands(t)
	if len(commands) != 7 {
		t.Fatalf("the section has the commands %q", commands)
	}
	for i := range commands {
		commands[i] = strings.TrimPrefix(commands[i], "sudo ")
	}
	up, server, client, watch, kill, status, down := commands[0], commands[1], commands[2], commands[3], commands[4], commands[5], commands[6]
	tmux := h.tmux()
	first, second, third, fourth := tmux.Pane(80, 24), tmux.Pane(80, 24), tmux.Pane(200, 40), tmux.Pane(130, 40)
	run := func(command string) string {
		t.Helper()
		out, status := fourth.Run(command)
		if status != 0 {
			t.Fatalf("%s: status %d: %q", command, status, out)
		}
		return strings.Join(out, "\n")
	}
	run(up)
	t.Cleanup(func() { h.do("down") })
	serving := first.Start(server)
	h.until("it listens", func(s *byhand.Status) bool { return len(s.Hosts[1].Sockets) == 1 })
	connected := second.Start(client)
	h.until("they are connected", func(s *byhand.Status) bool { return slices.Equal(states(s, "server"), []string{"ESTABLISHED"}) })
	second.Type("hello")
	second.Await("the echo", func(lines []string) bool { return strings.Count(strings.Join(lines, "\n"), "hello") == 2 })
	watching := third.Start(watch)
	h.until("somebody watches", func(s *byhand.Status) bool { return s.Watchers == 1 })
	run(kill)
	h.until("the FIN is acknowledged", func(s *byhand.Status) bool { return slices.Equal(states(s, "server"), []string{"FIN_WAIT2"}) })
	if shown := run(status); !strings.Contains(shown, "FIN_WAIT2") || !strings.Contains(shown, "CLOSE_WAIT") {
		t.Errorf("the status shows\n%s", shown)
	}
	second.Type("again")
	if out, status := connected.Wait(); status != 1 || !strings.Contains(strings.Join(out, "\n"), "server terminated prematurely") {
		t.Errorf("the client ended with %d: %q", status, out)
	}
	third.AwaitText("] exit 1")
	run(down)
	if out, status := serving.Wait(); status != 137 || !strings.Contains(strings.Join(out, "\n"), "taken down") {
		t.Errorf("the server ended with %d: %q", status, out)
	}
	seen, _ := watching.Wait()
	timeline := strings.Join(seen, "\n")
	for _, want := range []string{
		"fault kill: SIGTERM to process ", "ended by SIGTERM", "ESTABLISHED -> FIN_WAIT1", "ESTABLISHED -> CLOSE_WAIT",
		"echo-server: child ", "the user types: again", "receives RST", "read() = 0 (end of file)", "echo-client: server terminated prematurely",
	} {
		if !strings.Contains(timeline, want) {
			t.Errorf("%q is not in what was watched:\n%s", want, timeline)
		}
	}
}
