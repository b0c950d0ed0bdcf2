package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-6fefc909/tcplab/lab/byhand"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
)

func recordCommand(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "record",
		Short: "Record what happens in a lab that is up, as a run is recorded",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 || nameGiven(c) != "" {
				return startOrStop(c)
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.SetFlagErrorFunc(func(verb *cobra.Command, err error) error {
		if verb == c { // the options are those of start and stop
			return startOrStop(c)
		}
		return c.Parent().FlagErrorFunc()(verb, err)
	})
	var name, out string
	const usage = "write report.html, record.json and a capture of each end, and junit.xml, into `DIR`"
	start := &cobra.Command{
		Use:   "start",
		Short: "Begin to record: the record's times count from here, those of what is printed from the first fault",
		Args:  onlyNamed,
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
				if err := tryOut(s, out); err != nil {
					return err
				}
			}
			warning, err := l.Record(out)
			if warning != "" {
				fmt.Fprintf(s.err, "lab: %s\n", warning)
			}
			if err != nil {
				return byHand(err)
			}
			fmt.Fprintf(s.err, "recording; %s ends it\n", byhand.Command(l.Name, "record stop"))
			if replaces(out) {
				fmt.Fprintf(s.err, "the record in %s will be replaced\n", harmless(out))
			}
			return nil
		},
	}
	stop := &cobra.Command{
		Use:   "stop",
		Short: "End the recording, print it, and write it as lab run --out does",
		Args:  onlyNamed,
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
	for _, verb := range []*cobra.Command{c, start, stop} {
		nameFlag(verb, &name, whichLab)
	}
	c.AddCommand(start, stop)
	return c
}

// startOrStop is of a lab record that says neither.
func startOrStop(c *cobra.Command) error {
	name := cmp.Or(nameGiven(c), byhand.DefaultName)
	return usageError(errors.New("start or stop?"), byhand.Command(name, "record start")+", and later "+byhand.Command(name, "record stop"))
}

// recordedBatch is a batch of the one run that was recorded.
func recordedBatch(s streams, out string) *batch {
	return &batch{streams: s, flags: runFlags{out: out}, dirs: map[*record.Record]string{}}
}

// tryOut makes sure that a directory can be written to. It leaves none behind: the
// recording may yet be written elsewhere.
func tryOut(s streams, out string) error {
	var missing []string
	for dir := out; ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = append(missing, dir)
	}
	err := recordedBatch(s, out).prepareOut([]string{""})
	for _, dir := range missing {
		_ = os.Remove(dir) // but for what somebody else has put there
	}
	return err
}

// replaces tells whether there is a record in a directory already.
func replaces(out string) bool {
	_, err := os.Lstat(filepath.Join(out, recordName))
	return out != "" && err == nil
}

// stopRecording ends a recording, writes it to a directory, and prints it. The
// directory is out, or else what was said when it began, if anything. The lab
// keeps what could not be written, or printed where there is no directory.
func stopRecording(s streams, l *byhand.Lab, out string) error {
	if out == "" {
		status, err := l.Status()
		if err != nil {
			return byHand(err)
		}
		if r := status.ToSave(); r != nil {
			out = r.Out
		}
	}
	if out == "" {
		return stopUnsaved(s, l)
	}
	r, err := saveRecording(s, l, out)
	if err == nil {
		err = r.print(s)
	}
	if err != nil {
		return err
	}
	return r.outcome()
}

// stopUnsaved ends a recording that is only printed.
func stopUnsaved(s streams, l *byhand.Lab) error {
	r := recording{kept: "not kept: --out DIR writes the record, its page and the captures"}
	err := l.Stop(func(recorded *byhand.Recorded) error {
		r.warn(s, recorded)
		return r.print(s)
	})
	if err != nil {
		return stopFailed(err)
	}
	return r.outcome()
}

// saveRecording ends a recording, and writes it to a directory.
func saveRecording(s streams, l *byhand.Lab, out string) (*recording, error) {
	// A place that cannot be written to must not end the recording.
	if err := recordedBatch(s, out).prepareOut([]string{""}); err != nil {
		return nil, err
	}
	var r recording
	err := l.Stop(func(recorded *byhand.Recorded) error {
		r.warn(s, recorded)
		did := "wrote"
		if replaces(out) {
			did = "replaced"
		}
		files, err := saveRecorded(out, recorded)
		if err != nil {
			return &exitError{exitInternal, err, "the lab keeps it until another recording begins: " + byhand.Command(l.Name, "record stop", "--out", "DIR")}
		}
		r.kept = fmt.Sprintf("%s in %s: %s", did, harmless(out), strings.Join(files, ", "))
		return nil
	})
	if err != nil {
		return nil, stopFailed(err)
	}
	return &r, nil
}

// stopFailed is why a recording was not ended, or not saved.
func stopFailed(err error) error {
	if e, ours := errors.AsType[*exitError](err); ours {
		return e
	}
	return byHand(err)
}

// A recording is one that has ended, to be told of.
type recording struct {
	record *record.Record
	kept   string // where
}

// warn takes what was recorded, and says what was not observed of it.
func (r *recording) warn(s streams, recorded *byhand.Recorded) {
	r.record = recorded.Record
	if recorded.Warning != "" {
		fmt.Fprintf(s.err, "lab: %s\n", recorded.Warning)
	}
}

// print prints it, and says where it is kept.
func (r *recording) print(s streams) error {
	screen := s.screenNow()
	if err := errors.Join(report.Header(s.out, r.record, screen), report.Text(s.out, r.record, screen)); err != nil {
		return &exitError{exitInternal, fmt.Errorf("make output: %w", err), ""}
	}
	fmt.Fprintln(s.err, r.kept)
	return nil
}

// outcome is what it came to, for the exit status.
func (r *recording) outcome() error {
	if r.record.Outcome != record.AsExpected {
		return &exitError{exitNotOK, nil, ""}
	}
	return nil
}

// saveRecorded writes a recording's files, and tells their names.
func saveRecorded(dir string, recorded *byhand.Recorded) (files []string, err error) {
	r := recorded.Record
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("save record: %w", err)
	}
	save := func(name string, write func(io.Writer) error) {
		files = append(files, name)
		err = errors.Join(err, saveFile(filepath.Join(dir, name), write))
	}
	save(pageName, func(w io.Writer) error { return writePage(w, r) })
	save(recordName, r.Write)
	save(junitName, func(w io.Writer) error { return report.JUnit(w, []*record.Record{r}) })
	for _, c := range recorded.Captures {
		save(captureName(c.Host), func(w io.Writer) error { return report.PCAPNG(w, r, c) })
	}
	return files, err
}
