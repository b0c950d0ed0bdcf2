package byhand

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
)

// SIGHUP of a terminal that is gone came to the whole process group; that which
// somebody sends while it is there is for this process alone.
func TestHungUp(t *testing.T) {
	master, f := testenv.Terminal(t)
	defer master.Close()
	here := terminal{f: f}
	defer here.close()
	if here.tells(unix.SIGHUP) {
		t.Error("a terminal that is there has hung up")
	}
	if err := master.Close(); err != nil {
		t.Fatal(err)
	}
	if !here.tells(unix.SIGHUP) {
		t.Error("a terminal that is gone has not hung up")
	}
	if (terminal{}).tells(unix.SIGHUP) {
		t.Error("no terminal has hung up")
	}
}
