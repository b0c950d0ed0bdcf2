// Package virtualtime tells whether this kernel's clock jumps to the next timer
// whenever nothing is left to compute. Computing costs next to nothing there,
// and what wakes up again and again costs the caller of the machine its time.
package virtualtime

import (
	"os"
	"strings"
	"sync"
)

// Engine is what made the machine that this kernel runs in, "" on a host.
// Package warp says so on the kernel's command line, by lab.warp=ENGINE.
var Engine = sync.OnceValue(func() string {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return ""
	}
	return engineOf(string(line))
})

// On tells whether there is one.
func On() bool { return Engine() != "" }

func engineOf(line string) string {
	for _, word := range strings.Fields(line) {
		if engine, ok := strings.CutPrefix(word, "lab.warp="); ok {
			return engine
		}
	}
	return ""
}
