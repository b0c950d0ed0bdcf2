// Command lab shows what a TCP program sees, and when, after the other side
// goes away.
package main

import (
	"os"

	"github.com/seed-6fefc909/tcplab/lab/programs"
	"github.com/seed-6fefc909/tcplab/lab/warp"
	"github.com/seed-6fefc909/tcplab/topology"
)

func main() {
	warp.RunGuest()    // in a virtual-time machine's process 1 this does not return,
	topology.RunInit() // in a host's process 1
	programs.Run()     // in an example program neither
	collectSeldom()
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
