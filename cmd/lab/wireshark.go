package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/viewer"
)

// findViewer finds what shows the packets, if that is asked for: --wireshark is
// for one run, of a host that it has.
func (b *batch) findViewer(experiments []*lab.Experiment) error {
	if b.flags.wireshark == "" {
		return nil
	}
	if len(experiments) != 1 {
		return usageError(errors.New("--wireshark: it shows one run"), "name one scenario; --out keeps the captures of several")
	}
	var hosts []string
	for _, h := range experiments[0].Preview().Hosts {
		hosts = append(hosts, h.Name)
	}
	if !slices.Contains(hosts, b.flags.wireshark) {
		return usageError(fmt.Errorf("--wireshark=%s: there are %s", b.flags.wireshark, strings.Join(hosts, ", ")), "")
	}
	p, err := viewer.Find()
	if err != nil {
		return &exitError{exitCannot, fmt.Errorf("--wireshark: %w", err), viewer.Hint}
	}
	if !p.Window && b.flags.output != outputText {
		return usageError(fmt.Errorf("--wireshark --output %s: %s prints to standard output, too", b.flags.output, p.Name), "leave one of them out")
	}
	if !p.Window && b.flags.follow {
		return usageError(fmt.Errorf("--wireshark --follow: %s prints what happens, too", p.Name), "leave one of them out")
	}
	if !p.Window && b.streams.screenNow().Width > 0 {
		b.live = false // the line would be among what it prints
	}
	b.program = &p
	return nil
}

// startViewer starts it, as the user who called sudo.
func (b *batch) startViewer() error {
	if b.program == nil {
		return nil
	}
	o := viewer.Options{Host: b.flags.wireshark, Out: b.streams.out, Err: b.streams.err, Say: b.say}
	if who := caller(); who != nil {
		c, err := credential(who)
		if err != nil {
			return &exitError{exitCannot, fmt.Errorf("start %s as %s: %w", b.program.Name, who.Username, err), ""}
		}
		o.Credential = &syscall.Credential{Uid: c.UID, Gid: c.GID, Groups: c.Groups}
		o.Env = environment(who)
	}
	var err error
	if b.viewer, err = viewer.Start(*b.program, o); err != nil {
		return &exitError{exitCannot, err, viewer.Hint}
	}
	return nil
}

// showPackets shows a run in the viewer while it goes on, if there is one; end shows
// the rest.
func (b *batch) showPackets(ctx context.Context, e *lab.Experiment) (end func(*record.Record)) {
	v := b.viewer
	if v == nil {
		return func(*record.Record) {}
	}
	ctx, cancel := context.WithCancel(ctx)
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		e.Follow(ctx, func(r *record.Record, until int64) {
			v.Show(r, e.Capture(b.flags.wireshark), until)
		})
	}()
	return func(r *record.Record) {
		cancel()
		<-shown
		v.Finish(r, e.Capture(b.flags.wireshark))
	}
}

// say tells what does not keep a run from going on.
func (b *batch) say(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.line.hide()
	fmt.Fprintf(b.streams.err, "lab: %v\n", err)
	b.line.show()
}
