package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
	"github.com/seed-6fefc909/tcplab/lab/report/page"
)

// outputJUnit is a form of lab report's --output, beside outputText and
// outputJSON.
const outputJUnit = "junit"

func reportCommand(s streams) *cobra.Command {
	var output, html, svg string
	c := &cobra.Command{
		Use:   "report DIR | RECORD.json | REPORT.html...",
		Short: "Show records again; needs no root",
		Long: `Shows the records of runs: files, the directory of a run or of several, or
pages that carry their record. --html writes the page of one anew, of several
an index, with links to the pages beside their records. --svg draws the ladder
of one.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := wantFiles(c, "html", "svg"); err != nil {
				return err
			}
			write, known := map[string]func(io.Writer, []*record.Record) error{
				outputText: func(w io.Writer, records []*record.Record) error { return texts(w, records, s.screenNow()) }, outputJSON: jsons, outputJUnit: report.JUnit,
			}[output]
			if !known {
				return usageError(fmt.Errorf("output %q: there are text, json, junit", output), "")
			}
			if c.Flags().Changed("output") && html+svg != "" {
				return usageError(errors.New("--output is for what is printed: with --html or --svg nothing is"), "")
			}
			records, files, err := readRecords(args)
			if err != nil {
				return usageError(err, "it must be the record.json of a run, or its report.html")
			}
			if err := cmp.Or(checkTarget("html", html, files), checkTarget("svg", svg, files)); err != nil {
				return err
			}
			if svg != "" {
				if err := savePicture(svg, records); err != nil {
					return err
				}
			}
			if html != "" {
				return savePage(html, records, files)
			}
			if svg != "" {
				return nil
			}
			if err := write(s.out, records); err != nil {
				return &exitError{exitInternal, err, ""}
			}
			return nil
		},
	}
	c.Flags().StringVar(&output, "output", outputText, "print `FORM`: text, json, junit")
	c.Flags().StringVar(&html, "html", "", "write a page to `FILE`, and print nothing")
	c.Flags().StringVar(&svg, "svg", "", "draw the ladder of one record into `FILE`, and print nothing")
	return c
}

// savePicture draws the ladder of a record.
func savePicture(name string, records []*record.Record) error {
	if len(records) != 1 {
		return usageError(fmt.Errorf("--svg is for one record, not %d", len(records)), "")
	}
	if err := saveFile(name, func(w io.Writer) error { return page.SVG(w, records[0], false) }); err != nil {
		return &exitError{exitInternal, err, ""}
	}
	return nil
}

// savePage writes the page of a record to a file, or that of several.
func savePage(name string, records []*record.Record, files []string) error {
	write := func(w io.Writer) error { return writePage(w, records[0]) }
	if len(records) > 1 {
		pages := make([]string, len(files))
		for i, file := range files {
			var err error
			if pages[i], err = pageBeside(filepath.Dir(name), file); err != nil {
				return &exitError{exitInternal, err, ""}
			}
		}
		write = func(w io.Writer) error { return writeIndex(w, records, pages, nil) }
	}
	if err := saveFile(name, write); err != nil {
		return &exitError{exitInternal, err, ""}
	}
	return nil
}

// readRecords reads records: files, the directory of a run, or that of several
// runs; and tells the file of each.
func readRecords(names []string) (records []*record.Record, from []string, err error) {
	for _, name := range names {
		files := []string{name}
		if info, err := os.Stat(name); err == nil && info.IsDir() {
			files = recordsIn(name)
		}
		for _, file := range files {
			r, err := readRecord(file)
			if err != nil {
				return nil, nil, err
			}
			records, from = append(records, r), append(from, file)
		}
	}
	return records, from, nil
}

// recordsIn names the record in a directory of --out, or those in its
// directories, by their names. Where there is neither it is the one that is
// missed.
func recordsIn(dir string) []string {
	name := filepath.Join(dir, recordName)
	if _, err := os.Lstat(name); err == nil {
		return []string{name}
	}
	var files []string
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		file := filepath.Join(dir, e.Name(), recordName)
		if _, err := os.Lstat(file); err == nil {
			files = append(files, file)
		}
	}
	if len(files) == 0 {
		return []string{name}
	}
	return files
}

// texts writes the pages of runs, and of several a line each in the end.
func texts(w io.Writer, records []*record.Record, s report.Screen) error {
	for _, r := range records {
		if err := report.Header(w, r, s); err != nil {
			return err
		}
		if err := report.Text(w, r, s); err != nil {
			return err
		}
		if len(records) > 1 {
			fmt.Fprintln(w)
		}
	}
	if len(records) > 1 {
		return report.Summary(w, records, s)
	}
	return nil
}

// jsons writes a record, or a list of several.
func jsons(w io.Writer, records []*record.Record) error {
	if len(records) == 1 {
		return records[0].Write(w)
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	return enc.Encode(records)
}
