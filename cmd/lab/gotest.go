package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/seed-6fefc909/tcplab/internal/paths"
)

// testFiles and testDirs are the flags of a Go test binary that name what it
// writes for its caller, as go help testflag and the testing package have them.
var (
	testFiles = []string{"blockprofile", "coverprofile", "cpuprofile", "memprofile", "mutexprofile", "trace", "testlogfile"}
	testDirs  = []string{"outputdir", "gocoverdir", "fuzzcachedir"}
)

// testOutputs are the directories that a Go test binary with these arguments
// leaves something in, if it runs in dir: the go command reads it there, or
// the user does. Without a flag of the testing package there are none.
func testOutputs(args []string, dir string) []string {
	given := testFlags(args)
	files := dir
	if given["outputdir"] != "" {
		files = paths.Rooted(dir, given["outputdir"])
	}
	var outputs []string
	add := func(path string) {
		if paths.IsDir(path) {
			outputs = append(outputs, path)
		}
	}
	for _, name := range testDirs {
		if given[name] != "" {
			add(paths.Rooted(dir, given[name]))
		}
	}
	for _, name := range testFiles {
		if given[name] != "" {
			add(filepath.Dir(paths.Rooted(files, given[name])))
		}
	}
	if given["fuzz"] != "" {
		add(dir) // what makes the test fail is kept in testdata
	}
	return outputs
}

// testInputs are what a Go test binary with these arguments, run in dir, may be
// expected to read: its package's testdata.
func testInputs(args []string, dir string) []string {
	if data := filepath.Join(dir, "testdata"); len(testFlags(args)) > 0 && paths.IsDir(data) {
		return []string{data}
	}
	return nil
}

// testTimedOut tells whether a Go test binary that failed with these arguments
// has ended itself, by the machine's clock; else it is nil.
func testTimedOut(args []string, took time.Duration) error {
	limit, err := time.ParseDuration(testFlags(args)["timeout"])
	if err != nil || limit <= 0 || took < limit {
		return nil
	}
	return fmt.Errorf("the tests' own limit, %v, was over by the machine's clock", limit)
}

// testFlags are those of the testing package among the arguments.
func testFlags(args []string) map[string]string {
	given := map[string]string{}
	for i, arg := range args {
		name, value, ok := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		name, test := strings.CutPrefix(name, "test.")
		if !test || !strings.HasPrefix(arg, "-") {
			continue
		}
		if !ok && i+1 < len(args) {
			value = args[i+1]
		}
		given[name] = value
	}
	return given
}
