package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The directories are those that go test names, as it says them and as a user
// does by hand, if they are there.
func TestTestOutputs(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	for args, want := range map[string][]string{
		"-test.v -test.run=^TestX$ -test.timeout=10m0s": nil,
		"--out=/ -v /": nil, // another program's
		"-test.coverprofile=ELSEWHERE/_cover_.out":                  {elsewhere},
		"-test.gocoverdir=ELSEWHERE -test.v":                        {elsewhere},
		"-test.cpuprofile=cpu.out -test.outputdir=ELSEWHERE":        {elsewhere, elsewhere},
		"-test.cpuprofile cpu.out":                                  {dir},
		"--test.trace=trace.out":                                    {dir},
		"-test.outputdir=ELSEWHERE/missing -test.memprofile=":       nil,
		"-test.fuzz=FuzzX -test.fuzzcachedir=ELSEWHERE":             {elsewhere, dir},
		"-test.testlogfile=ELSEWHERE/testlog.txt -test.outputdir=.": {dir, elsewhere},
	} {
		args = strings.ReplaceAll(args, "ELSEWHERE", elsewhere)
		if got := testOutputs(strings.Fields(args), dir); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", args, got, want)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "testdata"), 0o755); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string][]string{"-test.v": {filepath.Join(dir, "testdata")}, "-v": nil} {
		if got := testInputs([]string{args}, dir); !slices.Equal(got, want) {
			t.Errorf("%s reads %q, want %q", args, got, want)
		}
	}
}
