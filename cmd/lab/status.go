package main

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/seed-6fefc909/tcplab/lab"
)

// How often a person is told that something is going on.
const (
	liveEvery      = 200 * time.Millisecond
	heartbeatEvery = 10 * time.Second
)

// showStatus keeps a line about the run on the terminal, or writes one now and
// again where there is none, until stop is called.
func (b *batch) showStatus(e *lab.Experiment, alone bool) (stop func()) {
	every := heartbeatEvery
	if b.live && alone {
		every = liveEvery
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				line := e.Scenario().Name + ": " + describe(e.Status())
				b.mu.Lock()
				if b.live && alone {
					fmt.Fprintf(b.streams.err, "\r\x1b[K%s", b.fit(line))
				} else {
					fmt.Fprintln(b.streams.err, line)
				}
				b.mu.Unlock()
			case <-done:
				if b.live && alone {
					fmt.Fprint(b.streams.err, "\r\x1b[K")
				}
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}

// fit cuts a line to the terminal's width.
func (b *batch) fit(line string) string {
	width, _, err := term.GetSize(int(b.streams.err.Fd()))
	if err != nil || width <= 0 {
		width = 80
	}
	if runes := []rune(line); len(runes) >= width {
		return string(runes[:width-1])
	}
	return line
}

// describe says where a run stands: what it waits for, what decides, how long
// already, and until when.
func describe(s lab.Status) string {
	if !s.Waiting {
		return fmt.Sprintf("%s (%.0f s)", s.Step, s.Since.Seconds())
	}
	parts := []string{fmt.Sprintf("waiting for the kernel's timers: %.0f s of %.1f to %.1f s",
		s.Since.Seconds(), s.Earliest.Seconds(), s.Latest.Seconds())}
	if s.Timer != "" {
		parts = append(parts, s.Timer)
	}
	if s.Decider != "" {
		parts = append(parts, s.Decider+" decides")
	}
	return strings.Join(parts, "; ")
}
