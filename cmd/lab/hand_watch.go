package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab/byhand"
	"github.com/seed-6fefc909/tcplab/lab/report"
)

func watchCommand(s streams) *cobra.Command {
	var name, output string
	var all bool
	c := &cobra.Command{
		Use:   "watch",
		Short: "Show what happens in a lab that is up, as it happens, until Ctrl-C",
		Long: `Shows the timeline of a lab that is up, as it happens, until Ctrl-C or until the lab
is down.

In the text times count from when the lab came up, or the recording began, and anew
from each fault. In jsonl t_ns counts from when the lab came up, or the recording
began, all along. When a recording begins or ends, the timeline begins anew.`,
		Args: onlyNamed,
		RunE: func(c *cobra.Command, _ []string) error {
			if output != outputText && output != outputJSONL {
				return usageError(fmt.Errorf("output %q: there are text, jsonl", output), "")
			}
			l, err := findLab(name)
			if err != nil {
				return err
			}
			return watchLab(c.Context(), s, l, byhand.Watch{Lines: output == outputJSONL, Screen: s.screenNow(), All: all})
		},
	}
	nameFlag(c, &name, whichLab)
	c.Flags().StringVar(&output, "output", outputText, "print `FORM`: text, or jsonl, a line an event")
	c.Flags().BoolVar(&all, "all", false, fmt.Sprintf("begin with what is known of before: at most the last %d events", byhand.Kept))
	return c
}

func watchLab(ctx context.Context, s streams, l *byhand.Lab, w byhand.Watch) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watched := make(chan error, 1)
	go func() {
		watched <- l.Watch(w, resized(ctx, s), func(p *byhand.Piece) error { return writePiece(s.out, p) })
	}()
	select {
	case err := <-watched:
		if err == nil && !w.Lines {
			fmt.Fprintf(s.err, "%s is down\n", l)
		}
		return byHand(err)
	case <-unread(s.terminal):
	case <-ctx.Done():
	}
	return nil // whoever watched has seen enough
}

// unread is closed when nobody reads a pipe, or has a terminal, any more: it may be
// hours until something happens that would have to be written there.
func unread(f *os.File) <-chan struct{} {
	gone := make(chan struct{})
	if f == nil {
		return gone
	}
	go func() {
		for {
			_, err := unix.Poll([]unix.PollFd{{Fd: int32(f.Fd())}}, -1) // POLLERR and POLLHUP are told unasked
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err == nil {
				close(gone)
			}
			return
		}
	}()
	return gone
}

func writePiece(w io.Writer, p *byhand.Piece) error {
	if _, err := io.WriteString(w, p.Text); err != nil {
		return err
	}
	enc := json.NewEncoder(w)
	for _, line := range p.Lines {
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

// resized tells the screen's size each time it changes.
func resized(ctx context.Context, s streams) <-chan report.Screen {
	sizes := make(chan report.Screen)
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, unix.SIGWINCH)
	go func() {
		defer signal.Stop(changed)
		for {
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
			select {
			case sizes <- s.screenNow():
			case <-ctx.Done():
				return
			}
		}
	}()
	return sizes
}
