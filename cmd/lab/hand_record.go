package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/seed-6fefc909/tcplab/lab/byhand"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
)

func recordCommand(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "record",
		Short: "Record what happens in a lab that is up, as a run is recorded",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	var name, out string
	const usage = "write report.html, record.json and a capture of each end, and junit.xml, into `DIR`"
	start := &cobra.Command{
		Use:   "start",
		Short: "Begin to record: times count from here",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := wantFiles(c, "out"); err != nil {
				return err
			}
			l, err := findLab(name)
			if err != nil {
				return err
			}
			if out != "" {
				if out, err = filepath.Abs(out); err != nil {
					return usageError(fmt.Errorf("--out: %w", err), "")
				}
				b := recordedBatch(s, out)
				if err := b.prepareOut([]string{""}); err != nil {
					return err
				}
			}
			return byHand(l.Record(out))
		},
	}
	stop := &cobra.Command{
		Use:   "stop",
		Short: "End the recording, print it, and write it as lab run --out does",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := wantFiles(c, "out"); err != nil {
				return err
			}
			l, err := findLab(name)
			if err != nil {
				return err
			}
			return stopRecording(s, l, out)
		},
	}
	start.Flags().StringVar(&out, "out", "", usage+" when it ends")
	stop.Flags().StringVar(&out, "out", "", usage+" (default: as lab record start said)")
	for _, verb := range []*cobra.Command{start, stop} {
		nameFlag(verb, &name, whichLab)
		c.AddCommand(verb)
	}
	return c
}

// recordedBatch is a batch of the one run that was recorded.
func recordedBatch(s streams, out string) *batch {
	return &batch{streams: s, flags: runFlags{out: out}, dirs: map[*record.Record]string{}}
}

// stopRecording ends a recording, prints it, and writes it to a directory: out, or
// else what was said when it began.
func stopRecording(s streams, l *byhand.Lab, out string) error {
	if out != "" { // a place that cannot be written to must not cost the recording
		if err := recordedBatch(s, out).prepareOut([]string{""}); err != nil {
			return err
		}
	}
	recorded, err := l.Stop()
	if err != nil {
		return byHand(err)
	}
	r := recorded.Record
	if out == "" {
		out = recorded.Out
	}
	screen := s.screenNow()
	if err := errors.Join(report.Header(s.out, r, screen), report.Text(s.out, r, screen)); err != nil {
		return &exitError{exitInternal, fmt.Errorf("make output: %w", err), ""}
	}
	if out != "" {
		if err := saveRecorded(out, recorded); err != nil {
			return &exitError{exitInternal, err, ""}
		}
	}
	if r.Outcome != record.AsExpected {
		return &exitError{exitNotOK, nil, ""}
	}
	return nil
}

// saveRecorded writes a recording's files.
func saveRecorded(dir string, recorded *byhand.Recorded) error {
	r := recorded.Record
	if err := makeDir(dir); err != nil {
		return fmt.Errorf("save record: %w", err)
	}
	err := errors.Join(
		saveFile(filepath.Join(dir, recordName), r.Write),
		saveFile(filepath.Join(dir, pageName), func(w io.Writer) error { return writePage(w, r) }),
		saveFile(filepath.Join(dir, junitName), func(w io.Writer) error { return report.JUnit(w, []*record.Record{r}) }),
	)
	for _, c := range recorded.Captures {
		err = errors.Join(err, saveFile(filepath.Join(dir, captureName(c.Host)), func(w io.Writer) error { return report.PCAPNG(w, r, c) }))
	}
	return err
}
