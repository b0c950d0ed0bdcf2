package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-6fefc909/tcplab/internal/testtmux"
	"github.com/seed-6fefc909/tcplab/lab/byhand"
)

// UNP 5.12 by typing: the process that serves the client is killed. The client,
// which waits for its user, is told nothing, until the next line.
func TestHandServerTerminated(t *testing.T) {
	t.Parallel()
	h := newHand(t)
	tmux := h.tmux()
	server, client, third := tmux.Pane(80, 24), tmux.Pane(80, 24), tmux.Pane(120, 40)
	if out, status := third.Run("lab up --name $N"); status != 0 || !strings.Contains(out[0], "client 10.0.0.1 -- router -- 10.0.1.2 server") {
		t.Fatalf("lab up: status %d, %q", status, out)
	}
	t.Cleanup(func() { h.do("down") })
	watching := tmux.Pane(100, 40)
	watching.Type("lab watch --name $N")
	h.until("somebody watches", func(s *byhand.Status) bool { return s.Watchers == 1 })

	serving := server.Start("lab exec --name $N server -- echo-server {any:port}")
	h.until("it listens", func(s *byhand.Status) bool { return len(s.Hosts[1].Sockets) == 1 })
	connected := client.Start("lab exec --name $N client -- echo-client {server:port}")
	h.until("they are connected", func(s *byhand.Status) bool {
		return slices.Equal(states(s, "client"), []string{"ESTABLISHED"}) && slices.Equal(states(s, "server"), []string{"ESTABLISHED"})
	})
	client.Type("hello")
	client.Await("the echo", func(lines []string) bool { return strings.Count(strings.Join(lines, "\n"), "hello") == 2 })

	before := client.Screen()
	if out, status := third.Run("lab fault --name $N kill"); status != 0 {
		t.Errorf("lab fault kill: status %d, %q", status, out)
	}
	h.until("the FIN was acknowledged", func(s *byhand.Status) bool {
		return slices.Equal(states(s, "client"), []string{"CLOSE_WAIT"}) && slices.Equal(states(s, "server"), []string{"FIN_WAIT2"})
	})
	shown, _ := third.Run("lab status --name $N")
	for _, want := range [][]string{
		{"server", "FIN_WAIT2", "10.0.1.2:9998", "10.0.0.1:"},
		{"client", "CLOSE_WAIT", "10.0.0.1:", "10.0.1.2:9998"},
		{"server", "LISTEN", "0.0.0.0:9998"},
	} {
		if !slices.ContainsFunc(shown, func(line string) bool {
			for _, word := range want {
				if !strings.Contains(line, word) {
					return false
				}
			}
			return true
		}) {
			t.Errorf("status shows no line with %q:\n%s", want, strings.Join(shown, "\n"))
		}
	}
	if diff := cmp.Diff(before, client.Screen()); diff != "" {
		t.Errorf("the client was told of it (-before +after):\n%s", diff)
	}

	client.Type("another line")
	said, status := connected.Wait()
	if status != 1 || !slices.Equal(said, []string{"hello", "hello", "another line", "server terminated prematurely"}) {
		t.Errorf("the client: status %d, %q", status, said)
	}
	if out, status := third.Run("lab status --name $N"); status != 0 || testtmux.Contains("CLOSE_WAIT")(out) {
		t.Errorf("status %d, %q", status, out)
	}
	server.Press("C-c")
	if said, status := serving.Wait(); status != 130 || !testtmux.Contains("child")(said) {
		t.Errorf("the server: status %d, %q", status, said)
	}
	told := watching.AwaitText("prematurely")
	for _, want := range []string{"FIN_WAIT2", "CLOSE_WAIT", "SIGCHLD", "RST"} {
		if !testtmux.Contains(want)(told) {
			t.Errorf("who watches was not told of %s:\n%s", want, strings.Join(told, "\n"))
		}
	}
	if out, status := third.Run("lab down --name $N"); status != 0 {
		t.Errorf("lab down: status %d, %q", status, out)
	}
	watching.AwaitText("is down")
}
