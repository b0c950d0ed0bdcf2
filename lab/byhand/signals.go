package byhand

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/topology"
)

// deadly are the signals that end a process which does nothing about them.
var deadly = []unix.Signal{unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM}

// A caught has the deadly signals that come to this process, each in a place of
// its own: as in the kernel, one that waits makes the next of its kind needless,
// and is in the way of no other.
type caught []chan os.Signal

// catch takes the signals until release. Those that this process was started to
// ignore it ignores, and with it what it executes.
func catch() (c caught) {
	for _, s := range deadly {
		if topology.Ignored(s) {
			signal.Ignore(s)
			continue
		}
		came := make(chan os.Signal, 1)
		signal.Notify(came, s)
		c = append(c, came)
	}
	return c
}

func (c caught) release() {
	for _, came := range c {
		signal.Stop(came)
		close(came)
	}
}

// waiting tells which have come and were not passed on.
func (c caught) waiting() []bool {
	var waiting []bool
	for _, came := range c {
		waiting = append(waiting, len(came) > 0)
	}
	return waiting
}

// pass gives send those that have come, and those that will, unless the program
// was told of them, too; of the early ones, that waited before there was a program,
// it was not.
func (c caught) pass(early []bool, send func(unix.Signal), told func(unix.Signal) bool) {
	for i, came := range c {
		go func() {
			for s := range came {
				if number := s.(unix.Signal); early[i] || !told(number) {
					send(number)
				}
				early[i] = false
			}
		}()
	}
}
