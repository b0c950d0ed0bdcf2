package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
)

// readmeCommands are those of the README.
func readmeCommands(t *testing.T) []string { return commandsIn(t, "../../README.md") }

// commandsIn are the lines of a page that a reader is to type: those that begin
// with a prompt, without their comments.
func commandsIn(t *testing.T, page string) []string {
	t.Helper()
	readme, err := os.ReadFile(page)
	if errors.Is(err, fs.ErrPermission) {
		testenv.Lack(t, "needs to read the pages: %v", err) // the clone is another user's
	}
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	inside := false
	for line := range strings.Lines(string(readme)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "```console":
			inside = true
		case line == "```":
			inside = false
		case inside && strings.HasPrefix(line, "$ "):
			command, _, _ := strings.Cut(strings.TrimPrefix(line, "$ "), " #")
			commands = append(commands, strings.TrimSpace(command))
		}
	}
	return commands
}

// The commands of the page about Go tests are the README's, too, and so are run.
func TestTestingPage(t *testing.T) {
	commands := commandsIn(t, "../../docs/testing.md")
	if len(commands) == 0 {
		t.Error("there are none")
	}
	for _, command := range commands {
		if !slices.Contains(readmeCommands(t), command) {
			t.Errorf("not in the README: %s", command)
		}
	}
}

// readmeStatus are the commands that do not end with 0, as the README says.
var readmeStatus = map[string]int{
	"sudo lab run crash --path direct": 1,
	// They differ.
	"sudo lab run kill reboot --out both; lab diff both/kill both/reboot": 1,
	// An idle client is not told.
	`sudo lab run reboot --client 'bash -c "exec 3<>/dev/tcp/server/{port}; echo hello >&3; cat <&3"' --when idle:1s --within 1s`: 1,
	// One of the ways is not noticed in time.
	"sudo lab check examples/postgres/lab.check --parallel 10": 1,
}

// TestREADME runs every command of the README. They run beside each other, but
// for those that use what an earlier one wrote, which come after it.
func TestREADME(t *testing.T) {
	testenv.NeedRoot(t)
	commands := readmeCommands(t)
	if len(commands) < 10 || commands[0] != "sudo scripts/run crash" || !slices.Contains(commands, "sudo scripts/test") {
		t.Fatalf("the README has the commands %q", commands)
	}
	work, bin := openDir(t), openDir(t)
	// Where every user may read them: a clone may be its owner's alone.
	if err := os.CopyFS(filepath.Join(work, "examples"), os.DirFS("../../examples")); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "LAB_BIN_DIR="+bin, "PATH="+bin+":"+os.Getenv("PATH"))
	try := func(t *testing.T, dir, command string) {
		if strings.HasPrefix(command, "go ") {
			dir = "../.." // of this module
		}
		c := exec.CommandContext(t.Context(), "/bin/sh", "-c", strings.TrimPrefix(command, "sudo "))
		c.Dir, c.Env = dir, env
		out, err := c.CombinedOutput()
		if got, want := c.ProcessState.ExitCode(), readmeStatus[command]; got != want {
			t.Errorf("status %d (%v), want %d; output:\n%s", got, err, want, out)
		}
	}
	// What the first makes, the others use.
	t.Run(commands[0], func(t *testing.T) { try(t, "../..", commands[0]) })
	reads := func(command string) bool {
		return strings.Contains(command, "report") && strings.Contains(command, " results")
	}
	byHand := byHandCommands(t)
	for _, command := range commands[1:] {
		if reads(command) || slices.Contains(byHand, command) {
			continue // after what writes it; in terminals (TestREADMEByHand)
		}
		t.Run(command, func(t *testing.T) {
			switch command {
			case "sudo scripts/test": // it is what runs this test
				if info, err := os.Stat("../../scripts/test"); err != nil || info.Mode()&0o111 == 0 {
					t.Errorf("scripts/test cannot be executed: %v", err)
				}
				return
			case "sudo scripts/gallery": // TestGallery runs it, alone
				return
			case "sudo scripts/warp":
				try(t, "../..", command)
				return
			}
			if strings.Contains(command, "mine.lab") {
				// They make a file, change it and use it, in their order.
				try(t, work, command)
				return
			}
			if strings.Contains(command, " examples/") {
				// Real servers: nothing else is to be timed beside them.
				try(t, work, command)
				return
			}
			t.Parallel()
			if strings.Contains(command, "--out results") {
				defer func() {
					for _, command := range commands {
						if reads(command) {
							t.Run(command, func(t *testing.T) { try(t, work, command) })
						}
					}
				}()
			}
			try(t, work, command)
		})
	}
}
