package topology

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
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
		if err != nil || len(info.Argv) != 2 || info.Argv[0] != initName || !mayBeInit(proc, name) {
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

// mayBeInit tells whether a process is root's, and the process 1 of a PID namespace
// below this one: anybody can give a program the name of an init.
func mayBeInit(proc *os.Root, pid string) bool {
	status, err := proc.ReadFile(pid + "/status")
	if err != nil {
		return false
	}
	var roots, first bool
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(line, ":")
		switch fields := strings.Fields(value); key {
		case "Uid": // real, effective, saved, of the file system
			roots = !slices.ContainsFunc(fields, func(uid string) bool { return uid != "0" })
		case "NSpid": // from this namespace down
			first = len(fields) > 1 && fields[len(fields)-1] == "1"
		}
	}
	return roots && first
}
