package programs_test

import (
	"os"
	"testing"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab/programs"
)

func TestMain(m *testing.M) {
	programs.Run()
	os.Exit(testenv.Main(m))
}
