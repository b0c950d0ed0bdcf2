package labtest_test

import (
	"os"
	"testing"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
)

// TestMain calls neither topology.RunInit nor programs.Run: the package does.
func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }
