package labtest

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed-6fefc909/tcplab/internal/paths"
	"github.com/seed-6fefc909/tcplab/lab/warp"
)

// A rerun is a test once more, in another process of the same binary: with the
// same flags, but for those that choose what runs, how often and for how long.
type rerun struct {
	argv []string
	dir  string   // where it runs
	data []string // what it reads, where it does not see this machine's files
	out  []string // the directories that it may write to
	own  string   // the one for what this process takes over

	removeOwn func() error
}

// What it leaves there.
const (
	coverageDir = "coverage"
	testLog     = "testlog.txt"
)

func newRerun(test string) (_ *rerun, err error) {
	r := &rerun{dir: shared.dir} // the test may have left it, and will again
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	if data := filepath.Join(r.dir, "testdata"); paths.IsDir(data) {
		r.data = []string{data}
	}
	if r.own, r.removeOwn, err = warp.TempDir(); err != nil {
		return nil, err
	}
	if err = os.Mkdir(filepath.Join(r.own, coverageDir), 0o700); err == nil {
		err = r.wanted()
	}
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	flags := []string{
		"-test.run=" + only(test, setting("test.run")), "-test.v=test2json", "-test.paniconexit0",
		"-test.count=1", "-test.cpu=", "-test.shuffle=off", "-test.timeout=0", // which would be virtual time
		"-test.list=", "-test.bench=", "-test.fuzz=",
		"-test.testlogfile=" + filepath.Join(r.own, testLog), "-test.trace=",
	}
	for _, profile := range []string{"block", "cover", "cpu", "mem", "mutex"} {
		flags = append(flags, "-test."+profile+"profile=") // they are this process's
	}
	if setting("test.gocoverdir") != "" {
		flags = append(flags, "-test.gocoverdir="+filepath.Join(r.own, coverageDir))
	}
	// Of a flag that is given twice the last counts; after the first argument
	// that is none, nothing is a flag.
	end := len(os.Args) - flag.NArg()
	if os.Args[end-1] == "--" {
		end--
	}
	r.argv = slices.Concat([]string{self}, os.Args[1:end], flags, os.Args[end:])
	return r, nil
}

// wanted finds the directories that it may write to.
func (r *rerun) wanted() error {
	r.out = []string{r.own}
	if artifactsFlag() {
		r.out = append(r.out, filepath.Join(paths.Rooted(r.dir, setting("test.outputdir")), "_artifacts"))
	}
	if dir := os.Getenv(ArtifactsEnv); dir != "" {
		dir = paths.Rooted(r.dir, dir)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make directory for artefacts: %w", err)
		}
		r.out = append(r.out, dir)
	}
	return nil
}

// take takes over what it left.
func (r *rerun) take() error {
	var errs []error
	if dir := setting("test.gocoverdir"); dir != "" {
		errs = append(errs, takeCoverage(filepath.Join(r.own, coverageDir), dir))
	}
	return errors.Join(append(errs, relog(filepath.Join(r.own, testLog), r.dir))...)
}

func (r *rerun) close() error { return r.removeOwn() }

// setting is a flag's value, "" if there is no such flag.
func setting(name string) string {
	f := flag.Lookup(name)
	if f == nil {
		return ""
	}
	return f.Value.String()
}

// only is a -run that selects a test by its name, and of its subtests those
// that run does, which selected the test. If run has alternatives, all of them.
func only(test, run string) string {
	pattern := exactly(test)
	depth := strings.Count(test, "/") + 1
	if parts := strings.Split(run, "/"); len(parts) > depth && !strings.ContainsAny(run, "|[") {
		pattern += "/" + strings.Join(parts[depth:], "/")
	}
	return pattern
}
