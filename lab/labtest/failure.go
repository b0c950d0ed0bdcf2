package labtest

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
)

// ArtifactsEnv names the directory in which failed tests leave the record of
// their network, and a capture of each end, each in a directory with its name.
// With go test -artifacts they are left where that has them. Otherwise nothing
// is kept.
const ArtifactsEnv = "LAB_ARTIFACTS"

// command is the command line that runs a test again.
func command(test string) string { return "go test -run '" + exactly(test) + "'" }

// exactly is a -run that selects a test by its name.
func exactly(test string) string {
	var parts []string
	for part := range strings.SplitSeq(test, "/") {
		parts = append(parts, "^"+regexp.QuoteMeta(part)+"$")
	}
	return strings.Join(parts, "/")
}

// report logs what happened in the network of a test that failed, and keeps
// it.
func (n *Network) report(r *record.Record) {
	n.t.Helper()
	if r.Outcome == record.AsExpected {
		r.Outcome = record.NotAsExpected
	}
	r.Reasons = append(r.Reasons, "the test failed")
	var text bytes.Buffer
	if err := report.Failure(&text, r); err != nil {
		fmt.Fprintf(&text, "(%v)\n", err)
	}
	kept, err := n.keep(r)
	switch {
	case err != nil:
		fmt.Fprintf(&text, "not kept: %v\n", err)
	case kept != "":
		fmt.Fprintf(&text, "kept in %s; lab report %s shows all of it\n", kept, filepath.Join(kept, "record.json"))
	default:
		fmt.Fprintf(&text, "go test -artifacts, or %s=DIR, keeps all of it\n", ArtifactsEnv)
	}
	n.t.Logf("what happened in the network:\n%s", text.String())
}

// keep writes the artefacts, and returns where; "" if nobody wants them.
func (n *Network) keep(r *record.Record) (dir string, err error) {
	if dir = n.artifactDir(); dir == "" {
		return "", nil
	}
	if n.number > 1 {
		dir = filepath.Join(dir, fmt.Sprintf("network-%d", n.number))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make directory for artefacts: %w", err)
	}
	errs := []error{write(filepath.Join(dir, "record.json"), r.Write)}
	for _, h := range r.Hosts {
		if c := n.session.Capture(h.Name); c != nil {
			errs = append(errs, write(filepath.Join(dir, "capture-"+h.Name+".pcapng"), func(w io.Writer) error {
				return report.PCAPNG(w, r, c)
			}))
		}
	}
	return dir, errors.Join(errs...)
}

func write(name string, to func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(to(f), f.Close())
}

// artifactsFlag tells whether go test was given -artifacts. Without, the
// testing package would remove its directory with the test.
func artifactsFlag() bool {
	f := flag.Lookup("test.artifacts")
	return f != nil && f.Value.String() == "true"
}

// kept tells whether somebody wants artefacts.
func kept() bool { return artifactsFlag() || os.Getenv(ArtifactsEnv) != "" }

// artifactDir is where the test's artefacts belong, "" for nowhere.
func (n *Network) artifactDir() string {
	if t, ok := n.t.(interface{ ArtifactDir() string }); ok && artifactsFlag() {
		return t.ArtifactDir()
	}
	dir := os.Getenv(ArtifactsEnv)
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, strings.ReplaceAll(n.t.Name(), string(filepath.Separator), "_"))
}
