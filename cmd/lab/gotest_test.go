package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
	"rsc.io/script"
	"rsc.io/script/scripttest"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab/warp"
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

// Each script in testdata/gotest is a module of its own, whose tests go into
// machines.
func TestGoTest(t *testing.T) {
	if _, err := warp.Choose(warp.Wanted{Engine: warp.UMLName}); err != nil {
		testenv.Lack(t, "needs a virtual-time machine: %v", err)
	}
	cache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		testenv.Lack(t, "needs Go: %v", err)
	}
	if _, err := os.Stat(strings.TrimSpace(string(cache))); err != nil {
		testenv.Lack(t, "needs what Go has built: %v", err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		testenv.Lack(t, "needs to read the module: %v", err) // the clone is another user's
	}
	files, err := filepath.Glob("testdata/gotest/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts:", err)
	}
	engine := script.NewEngine()
	engine.Cmds = scripttest.DefaultCmds()
	engine.Cmds["status"] = wantStatus(nil)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			archive.Files = append(archive.Files, txtar.File{Name: "go.sum", Data: sums}, txtar.File{Name: "go.mod", Data: []byte(
				"module example.com/mine\n\ngo 1.26\n\nrequire github.com/seed-6fefc909/tcplab v0.0.0\n\n" +
					"replace github.com/seed-6fefc909/tcplab => " + root + "\n",
			)})
			work := openDir(t)
			state, err := script.NewState(t.Context(), work, append(os.Environ(),
				"PATH="+filepath.Dir(newLab(t))+":"+os.Getenv("PATH"), "WORK="+work, "TMPDIR="+openDir(t),
				"GOCACHE="+strings.TrimSpace(string(cache)), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off", "LAB_REQUIRE=", "LAB_ARTIFACTS=",
			))
			if err != nil {
				t.Fatal(err)
			}
			if err := state.ExtractFiles(archive); err != nil {
				t.Fatal(err)
			}
			scripttest.Run(t, engine, state, file, bytes.NewReader(archive.Comment))
		})
	}
}
