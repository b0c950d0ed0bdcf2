package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
)

// What the files in the directory of --out are called: each run's record, and
// the batch as JUnit has it.
const (
	recordName = "record.json"
	junitName  = "junit.xml"
)

// prepareOut makes the directory of --out before anything runs, so that a
// place that cannot be written to is known at once, and takes away what would
// tell of an earlier batch: one that does not end must not seem to have gone as
// that. dirs are those of the runs there.
func (b *batch) prepareOut(dirs []string) error {
	if b.flags.out == "" {
		return nil
	}
	if err := makeDir(b.flags.out); err != nil {
		return usageError(fmt.Errorf("make directory for --out: %w", err), "")
	}
	probe, err := os.CreateTemp(b.flags.out, ".lab-*")
	if err == nil {
		err = errors.Join(probe.Close(), os.Remove(probe.Name()))
	}
	if err != nil {
		return &exitError{exitInternal, fmt.Errorf("write to directory of --out: %w", err), ""}
	}
	return b.clearOut(dirs)
}

// save writes a run's files: its record, its page, and what was captured at each end.
func (b *batch) save(e experiment, dir string, r *record.Record) error {
	if here, ok := e.(*lab.Experiment); ok && b.flags.captures != "" {
		return saveCaptures(here, b.flags.captures, r)
	}
	if b.flags.out == "" {
		return nil
	}
	dir = filepath.Join(b.flags.out, dir)
	if err := makeDir(dir); err != nil {
		return fmt.Errorf("save record: %w", err)
	}
	err := saveFile(filepath.Join(dir, recordName), r.Write)
	err = errors.Join(err, saveFile(filepath.Join(dir, pageName), func(w io.Writer) error { return writePage(w, r) }))
	switch e := e.(type) {
	case *machineRun:
		return errors.Join(err, e.saveCaptures(dir))
	case *lab.Experiment:
		return errors.Join(err, saveCaptures(e, dir, r))
	}
	return err
}

// saveCaptures writes what was captured at each end.
func saveCaptures(e *lab.Experiment, dir string, r *record.Record) error {
	var err error
	for _, h := range lab.HostNames {
		name := filepath.Join(dir, captureName(h))
		c := e.Capture(h)
		if c == nil {
			// An earlier run's would not be of this record.
			if gone := os.Remove(name); !errors.Is(gone, os.ErrNotExist) {
				err = errors.Join(err, gone)
			}
			continue
		}
		err = errors.Join(err, saveFile(name, func(w io.Writer) error { return report.PCAPNG(w, r, c) }))
	}
	return err
}

// runDirs are the directories in that of --out, one a run: named after the
// scenario, with a number where that is run again. One run alone needs none.
func (b *batch) runDirs(experiments []experiment) []string {
	dirs := make([]string, len(experiments))
	if !b.several {
		return dirs
	}
	seen := map[string]bool{}
	for i, e := range experiments {
		base := e.Scenario().Name
		if m, ok := e.(*machineRun); ok {
			base += m.suffix
		}
		name := base
		for n := 2; seen[name]; n++ {
			name = base + "-" + strconv.Itoa(n)
		}
		seen[name] = true
		dirs[i] = name
	}
	return dirs
}

// captureName is what the capture at a host's end is called.
func captureName(host string) string { return "capture-" + host + ".pcapng" }

// saveJUnit writes the batch as a test report.
func (b *batch) saveJUnit(all []*record.Record) error {
	if b.flags.out == "" {
		return nil
	}
	return saveFile(filepath.Join(b.flags.out, junitName), func(w io.Writer) error { return report.JUnit(w, all) })
}

// saveFile writes a file, which is the caller's. It is complete or not there:
// it gets its name when all of it was written.
func saveFile(name string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".lab-*")
	if err != nil {
		return fmt.Errorf("save %s: %w", name, err)
	}
	err = errors.Join(write(f), f.Chmod(0o644), own(f), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("save %s: %w", name, err)
	}
	return nil
}

// makeDir makes a directory and what is missing above it, all of the caller's.
func makeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil {
		if !info.IsDir() {
			return fmt.Errorf("%s is not a directory", dir)
		}
		return nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	return errors.Join(own(f), f.Close())
}

// own gives a file to the user who called sudo; by its descriptor, so that
// nobody can put another in its place.
func own(f *os.File) error {
	uid, err1 := strconv.Atoi(os.Getenv("SUDO_UID"))
	gid, err2 := strconv.Atoi(os.Getenv("SUDO_GID"))
	if err1 != nil || err2 != nil || os.Geteuid() != 0 {
		return nil
	}
	return f.Chown(uid, gid)
}
