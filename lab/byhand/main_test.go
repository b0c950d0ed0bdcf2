package byhand

import (
	"os"
	"testing"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab/programs"
	"github.com/seed-6fefc909/tcplab/topology"
)

func TestMain(m *testing.M) {
	topology.RunInit()
	programs.Run()
	os.Exit(testenv.Main(m))
}
