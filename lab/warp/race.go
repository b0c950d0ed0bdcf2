package warp

import (
	"debug/buildinfo"
	"path/filepath"
	"runtime/debug"
	"slices"
)

// checkRace looks for programs that Go's race detector is built into: its
// shadow memory begins at 32 TB, and the addresses of User-Mode Linux 6.12,
// whose page tables have three levels, end at 512 GB.
func checkRace(programs ...string) error {
	for _, p := range programs {
		info, err := buildinfo.ReadFile(p)
		if err != nil {
			continue // no Go program
		}
		if slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
			return &LackError{
				filepath.Base(p) + " is built with -race, and the race detector takes more addresses than the uml machine has",
				"in the qemu machine it works: --engine qemu",
			}
		}
	}
	return nil
}
