package labtest

import (
	"os"

	"github.com/seed-6fefc909/tcplab/lab/programs"
	"github.com/seed-6fefc909/tcplab/lab/warp"
	"github.com/seed-6fefc909/tcplab/topology"
)

// The process 1 of a host is this executable once more, and so are that of a
// virtual-time machine and lab's example programs. A program that makes networks
// calls these first in main; a test binary's main is not its author's, and one
// line in a test shall be enough. So they are called here, before main and
// TestMain, and before a test leaves its directory: the one init function of the
// module, which scripts/lint knows.
func init() {
	warp.RunGuest()    // in a machine's process 1 this does not return,
	topology.RunInit() // in a host's process 1
	programs.Run()     // in an example program neither
	shared.dir, _ = os.Getwd()
}
