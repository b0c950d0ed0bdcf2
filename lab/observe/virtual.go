package observe

import (
	"os"
	"strings"
	"sync"
)

// VirtualTime tells whether this kernel's clock jumps to the next timer
// whenever nothing is left to compute: whoever starts such a machine says so
// on its command line, by lab.warp=ENGINE. Computing costs next to nothing
// there, and what wakes up again and again costs its caller's time: observers
// wait for events alone.
var VirtualTime = sync.OnceValue(func() bool {
	line, err := os.ReadFile("/proc/cmdline")
	return err == nil && saysVirtual(string(line))
})

func saysVirtual(line string) bool {
	for _, word := range strings.Fields(line) {
		if strings.HasPrefix(word, "lab.warp=") {
			return true
		}
	}
	return false
}
