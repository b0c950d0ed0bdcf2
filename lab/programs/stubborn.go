package programs

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

const stubbornName = "stubborn"

// stubbornMain is a process that ignores SIGTERM and sleeps: what a shutdown
// has to kill.
func stubbornMain(args []string) int {
	flags := newFlags(stubbornName)
	if err := parseFlags(flags, args, 0); err != nil {
		return usage(flags, "", err)
	}
	signal.Ignore(unix.SIGTERM)
	say("ready") // SIGTERM is ignored from here on
	for {
		if err := unix.Pause(); err != nil && err != unix.EINTR {
			complain("pause", err)
			os.Exit(1)
		}
	}
}

// IgnoresSIGTERM tells the programs that only SIGKILL ends.
func IgnoresSIGTERM(name string) bool { return name == stubbornName }
