package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
	"github.com/seed-6fefc909/tcplab/lab/report/page"
)

func diffCommand(s streams) *cobra.Command {
	var html string
	c := &cobra.Command{
		Use:   "diff A B",
		Short: "Lay two records side by side; needs no root",
		Long: `Lay two records side by side: what differs in full, what is the same in a few
words. A and B are records, pages, or directories of --out with one. Times that
are within 10 ms or 5 % of each other are the same.

Exit status: 0 if the outcome, what told the client, and the number of
retransmissions agree, 1 if they do not or are not known, 2 if a record cannot
be read. Attempts that the kernel had no hardware address or route for count as
retransmissions; in two runs with such, chance decides how many there are, and
the number does not count.`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			if err := wantFiles(c, "html"); err != nil {
				return err
			}
			var both [2]*record.Record
			var files []string
			for i, name := range args {
				records, from, err := readRecords([]string{name})
				if err == nil && len(records) != 1 {
					err = fmt.Errorf("%s holds %d records", name, len(records))
				}
				if err != nil {
					return usageError(err, "it must be the record.json of a run, its report.html, or their directory")
				}
				both[i], files = records[0], append(files, from...)
			}
			if err := checkTarget("html", html, files); err != nil {
				return err
			}
			err := report.Diff(s.out, both[0], both[1], s.screenNow())
			if html != "" {
				err = errors.Join(err, saveFile(html, func(w io.Writer) error { return page.Diff(w, both[0], both[1]) }))
			}
			if err != nil {
				return &exitError{exitInternal, err, ""}
			}
			if !report.Compare(both[0], both[1]).Agree() {
				return &exitError{status: exitNotOK}
			}
			return nil
		},
	}
	c.Flags().StringVar(&html, "html", "", "write a page with both ladders to `FILE`, too")
	return c
}
