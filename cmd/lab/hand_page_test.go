package main

import (
	"strings"
	"testing"

	"github.com/seed-6fefc909/tcplab/internal/testtmux"
	"github.com/seed-6fefc909/tcplab/lab/tutorial"
)

// The commands of docs/by-hand.md, one after the other, each in a terminal.
func TestByHandPage(t *testing.T) {
	h := newHand(t)
	t.Parallel()
	tmux := h.tmux()
	main := tmux.Pane(150, 50)
	t.Cleanup(func() { h.do("down") })
	main.Run("cd " + t.TempDir())
	named := (&tutorial.Guide{Name: h.name}).Command
	commands := commandsIn(t, "../../docs/by-hand.md")
	if len(commands) < 15 {
		t.Errorf("the page has the commands %q", commands)
	}
	up := false
	for _, command := range commands {
		verb := strings.Fields(command)[2]
		switch { // a lab of the page's has another name, too
		case strings.Contains(command, "--name two"):
			command += h.name
		case verb == "netns":
			command = strings.Replace(command, "two", "two"+h.name, 1)
		case verb != "ls":
			command = named(command)
		}
		if verb == "exec" && !up {
			h.must("up")
			up = true
		}
		in := main
		if verb == "exec" || verb == "shell" || verb == "watch" || verb == "await" {
			in = tmux.Pane(150, 50)
		}
		started := in.Start(strings.TrimPrefix(command, "sudo "))
		switch {
		case strings.Contains(command, "echo-server"):
			h.must("await", "server", "socket", "LISTEN")
			continue
		case strings.Contains(command, "echo-client"):
			h.must("await", "client", "socket", "ESTABLISHED")
			continue
		case verb == "shell":
			in.AwaitText("[1:0]")
			h.runs("client", "/bin/bash")
			in.Type("exit")
		case verb == "watch":
			in.AwaitText("times count from")
			in.Press("C-c")
		case verb == "await":
			refused := tmux.Pane(80, 24).Start("lab exec --name $N client -- echo-client {server:port}")
			defer refused.Wait()
		}
		if output, status := started.Wait(); status != 0 {
			t.Errorf("%s: status %d:\n%s", command, status, strings.Join(output, "\n"))
		}
	}
	if files, _ := main.Run("ls case-a"); !testtmux.Contains("report.html")(files) {
		t.Errorf("recorded: %q", files)
	}
}
