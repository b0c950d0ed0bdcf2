package topology

import (
	"fmt"
	"os"
	"strconv"
)

// Orphans lists the processes that are inits of hosts whose maker is gone, by
// their ids. An init ends when its maker does, so there should be none.
func Orphans() ([]int, error) {
	proc, err := os.OpenRoot("/proc")
	if err != nil {
		return nil, fmt.Errorf("open process table: %w", err)
	}
	defer proc.Close()
	names, err := readNames(proc, ".")
	if err != nil {
		return nil, fmt.Errorf("read process table: %w", err)
	}
	var orphans []int
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		info, err := readProcess(proc, pid)
		if err != nil || len(info.Argv) != 2 || info.Argv[0] != initName {
			continue
		}
		// An orphan is adopted by the machine's init or by a subreaper;
		// its own maker is the program that it was executed from.
		mine, err1 := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		parents, err2 := os.Readlink(fmt.Sprintf("/proc/%d/exe", info.Parent))
		if err1 == nil && (err2 != nil || mine != parents) {
			orphans = append(orphans, pid)
		}
	}
	return orphans, nil
}
