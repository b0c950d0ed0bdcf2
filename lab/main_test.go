package lab_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab/programs"
	"github.com/seed-6fefc909/tcplab/topology"
)

func TestMain(m *testing.M) {
	topology.RunInit()
	programs.Run()
	flag.Parse()
	// These tests wait for the kernel's timers and compute next to nothing:
	// as many at once as there are, unless somebody says otherwise.
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", "32"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	os.Exit(testenv.Main(m))
}
