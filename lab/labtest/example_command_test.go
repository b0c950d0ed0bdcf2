package labtest_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/seed-6fefc909/tcplab/lab/labtest"
)

// Two programs, as they are; these are lab's own. The one that serves the
// connection is killed.
func TestCommands(t *testing.T) {
	t.Parallel()
	n := labtest.New(t, labtest.Options{})

	server := n.Server.Command("echo-server", "{any:port}")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	n.Expect("server socket LISTEN")
	client := n.Client.Command("echo-client", "{server:port}")
	keyboard := client.StdinPipe()
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	io.WriteString(keyboard, "hello\n")
	n.Expect("client prints hello")

	n.Fault("kill", n.Server)
	n.Expect("client receives FIN")
	io.WriteString(keyboard, "still there?\n")
	n.Expect("client read() = EOF")

	ended, ok := errors.AsType[*labtest.ExitError](client.Wait())
	if !ok || ended.Status != 1 {
		t.Errorf("the client ended with %v, want status 1", ended)
	}
	if !strings.Contains(client.Stdout(), "prematurely") {
		t.Errorf("it said %q", client.Stdout())
	}
}
