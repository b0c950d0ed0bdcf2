package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
	"github.com/seed-6fefc909/tcplab/lab/report/page"
)

// beginning is how much of a file tells whose it is.
const beginning = 4096

// runFiles are the files of a run, by their names; marks tell those that lab
// wrote, by their beginnings.
func runFiles() map[string]func(begin []byte) bool {
	marks := map[string]func([]byte) bool{recordName: record.Is, pageName: page.Marked, diffName: page.Marked}
	for _, h := range lab.HostNames {
		marks[captureName(h)] = report.IsPCAPNG
	}
	return marks
}

// clearOut makes room in the directory of --out, for the runs that will have
// these directories there. Whatever has the name of a file of theirs must be
// lab's own: before anything is removed all are looked at, and one of somebody
// else's is an error. Removed is what would tell of another batch.
func (b *batch) clearOut(dirs []string) error {
	batchFiles := map[string]func([]byte) bool{junitName: report.IsJUnit, indexName: page.Marked}
	var old []string
	look := func(dir string, marks map[string]func([]byte) bool, remove bool) error {
		for name, ours := range marks {
			name = filepath.Join(b.flags.out, dir, name)
			there, err := mayReplace(name, ours)
			if err != nil {
				return err
			}
			if there && remove {
				old = append(old, name)
			}
		}
		return nil
	}
	if err := look("", batchFiles, true); err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := look(dir, runFiles(), false); err != nil {
			return err
		}
	}
	if b.several { // a single one's would be taken for all there is
		if err := look("", runFiles(), true); err != nil {
			return err
		}
	}
	var failed error
	for _, name := range old {
		failed = errors.Join(failed, os.Remove(name))
	}
	if failed != nil {
		return &exitError{exitInternal, fmt.Errorf("write to directory of --out: %w", failed), ""}
	}
	return nil
}

// mayReplace tells whether a file is there. It is an error if lab did not write
// it.
func mayReplace(name string, ours func(begin []byte) bool) (there bool, err error) {
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	foreign := usageError(fmt.Errorf("%s is there, and lab did not write it", name), "move it, or name another directory for --out")
	if err == nil && !info.Mode().IsRegular() {
		return true, foreign
	}
	var begin bytes.Buffer
	if err == nil {
		err = copyBeginning(&begin, name)
	}
	if err != nil {
		return true, usageError(fmt.Errorf("look at what is in the directory of --out: %w", err), "")
	}
	if !ours(begin.Bytes()) {
		return true, foreign
	}
	return true, nil
}

func copyBeginning(w io.Writer, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyN(w, f, beginning)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return err
}
