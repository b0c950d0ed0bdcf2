package byhand

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// SIGHUP of a terminal that is gone came to the whole process group; that which
// somebody sends while it is there is for this process alone.
func TestHungUp(t *testing.T) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
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
