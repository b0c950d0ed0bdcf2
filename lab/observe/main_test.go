package observe

import (
	"os"
	"testing"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
)

func TestMain(m *testing.M) {
	playTracedHost()
	os.Exit(testenv.Main(m))
}
