package lab

import "github.com/seed-6fefc909/tcplab/lab/record"

// maxFrames is how much memory a run's frames may take, in octets.
const maxFrames = 64 << 20

// HostNames are those that the hosts of a path may have; a standby is seldom
// there.
var HostNames = []string{"client", "server", "standby"}

// Capture is what was kept of the frames at a host's end of its link, all
// boots together, for report.PCAPNG. It is complete once Run has returned, and
// nil after Close, and where Options.Frames was not set or the wire of that
// host was not observed.
func (e *Experiment) Capture(host string) *record.Capture {
	if e.watch == nil {
		return nil
	}
	return e.watch.frames.Of(host)
}
