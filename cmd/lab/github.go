package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
)

// tellGitHub annotates what is not as expected, if this is a step of GitHub
// Actions, and adds a table to the step's summary. sudo takes away the
// variables that say so, unless it is told to preserve them. That the table
// could not be written is told and no more: it is no result.
func tellGitHub(errs io.Writer, records []*record.Record) {
	if os.Getenv("GITHUB_ACTIONS") == "true" {
		_ = report.Annotations(errs, records, inRepository)
	}
	if name := os.Getenv("GITHUB_STEP_SUMMARY"); name != "" {
		// It is there already: one that lab made would be root's.
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
		if err == nil {
			err = errors.Join(report.Markdown(f, records), f.Close())
		}
		if err != nil {
			fmt.Fprintf(errs, "lab: write step summary: %v\n", err)
		}
	}
}

// inRepository is a file's path from the repository's root, as annotations
// want it, or the file as it is if it lies elsewhere.
func inRepository(file string) string {
	root := os.Getenv("GITHUB_WORKSPACE")
	abs, err := filepath.Abs(file)
	if root == "" || err != nil {
		return file
	}
	inside, err := filepath.Rel(root, abs)
	if err != nil || inside == ".." || strings.HasPrefix(inside, "../") {
		return file
	}
	return inside
}
