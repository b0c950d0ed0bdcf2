package warp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const sourcePackage = "linux-source-6.12"

// A source is a version of Debian's package of the kernel's source.
type source struct {
	version string
	file    string // the name that apt-get download gives it
	sha256  string
	size    int64
}

// findSource asks apt's lists for the source that the patch was made for, or
// else for the newest.
func findSource(ctx context.Context) (*source, error) {
	for _, name := range []string{sourcePackage + "=" + umlSource, sourcePackage} {
		cmd := exec.CommandContext(ctx, "apt-cache", "show", "--no-all-versions", name)
		cmd.Env = append(os.Environ(), "LC_ALL=C")
		out, err := cmd.Output()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if _, refused := errors.AsType[*exec.ExitError](err); refused {
			continue // there is no such version
		}
		if err != nil {
			return nil, fmt.Errorf("ask for the kernel's source: %w", err)
		}
		if s := parseSource(out); s != nil {
			return s, nil
		}
	}
	return nil, &LackError{
		"apt knows no package " + sourcePackage,
		"sudo apt-get update; it is Debian 12's (security) and 13's. Elsewhere: " + elsewhere,
	}
}

// parseSource reads what apt-cache show prints, nil if it is not all there.
func parseSource(text []byte) *source {
	s := &source{}
	for line := range bytes.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(string(line)), ": ")
		switch key {
		case "Version":
			s.version = value
		case "Filename":
			s.file = filepath.Base(value)
		case "SHA256":
			s.sha256 = value
		case "Size":
			s.size, _ = strconv.ParseInt(value, 10, 64)
		}
	}
	if s.version == "" || s.file == "" || s.sha256 == "" || s.size == 0 {
		return nil
	}
	return s
}

// fetch downloads the package into a directory, as far as it is not there.
func (s *source) fetch(ctx context.Context, dir string, report func(share float64)) error {
	path := filepath.Join(dir, s.file)
	if err := s.check(path); err == nil {
		return nil
	} else if info, statErr := os.Stat(path); statErr == nil && info.Size() >= s.size {
		if err := os.Remove(path); err != nil { // apt would take it for whole
			return fmt.Errorf("download the kernel's source anew: %w", err)
		}
	}
	// It runs as who it is: apt's own user may not be let into the directory.
	cmd := exec.CommandContext(ctx, "apt-get", "--quiet", "--option", "APT::Sandbox::User=root", "download", sourcePackage+"="+s.version)
	var said bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &said, &said
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	asGroup(cmd)
	done := every(time.Second, func() {
		if info, err := os.Stat(path); err == nil {
			report(float64(info.Size()) / float64(s.size))
		}
	})
	err := cmd.Run()
	done()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		if strings.Contains(said.String(), "No space left") {
			return noRoom(dir, "the download did not fit")
		}
		return &LackError{
			"download " + sourcePackage + ": " + lastLine(said.String(), err),
			"sudo apt-get update, if apt's lists are old; what was downloaded is kept",
		}
	}
	if err := s.check(path); err != nil {
		return fmt.Errorf("download %s: %w", sourcePackage, err)
	}
	return nil
}

// check tells whether a file is the package.
func (s *source) check(path string) error {
	sum, err := fileSum(path)
	if err == nil && sum != s.sha256 {
		err = fmt.Errorf("%s has the sum %s, and apt's lists say %s", path, sum, s.sha256)
	}
	return err
}

// fileSum is a file's SHA-256.
func fileSum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// lastLine is the last thing that a program said of why it failed.
func lastLine(said string, err error) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return last
	}
	return err.Error()
}
