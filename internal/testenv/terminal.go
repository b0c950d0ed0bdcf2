package testenv

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Terminal makes a pseudo terminal: the keyboard's end, which shows what is
// written, too, and the program's. Both are the caller's.
func Terminal(t TB) (keyboard, tty *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		Lack(t, "needs a pseudo terminal: %v", err)
		return nil, nil
	}
	n := 0
	if err = unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err == nil {
		n, err = unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	}
	if err == nil {
		tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		keyboard.Close()
		t.Fatalf("open the other end of a pseudo terminal: %v", err)
	}
	return keyboard, tty
}
