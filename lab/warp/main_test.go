package warp

import (
	"os"
	"testing"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
)

func TestMain(m *testing.M) {
	RunGuest()
	os.Exit(testenv.Main(m))
}
