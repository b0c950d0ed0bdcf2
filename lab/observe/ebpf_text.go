package observe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/cilium/ebpf"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// textProgram is attached while a host wants its Text.
const textProgram = "text"

const (
	// MaxLines bounds what is recorded of what a program prints, in lines.
	MaxLines = 10_000
	// MaxOutput bounds it in octets.
	MaxOutput = 1 << 20
)

// textPeriod is in what time a program may print as much: one that does so for
// days is told of all the while.
const textPeriod = 10 * time.Minute

// TooMuch is the event of a program whose output has come to the bounds.
func TooMuch(e record.Event, name string) record.Event {
	e.Source, e.Kind = record.Step, "output"
	e.Text = fmt.Sprintf("%s writes more than %d lines or %d octets: the rest is not recorded", name, MaxLines, MaxOutput)
	return e
}

// A bpfText is struct text_event.
type bpfText struct {
	fd      uint16
	secret  bool // typed without echo: of data there is at most the line's end
	whole   int  // octets that the call read or wrote
	columns int
	data    []byte // what is known of them
}

const bpfTextSize = bpfHeadSize + 16 // and the data

func decodeText(b []byte) (t bpfText, ok bool) {
	if len(b) < bpfTextSize {
		return t, false
	}
	ne := binary.NativeEndian
	b = b[bpfHeadSize:]
	t.fd, t.secret = ne.Uint16(b), ne.Uint16(b[2:]) != 0
	t.whole, t.columns = int(ne.Uint32(b[4:])), int(ne.Uint32(b[8:]))
	n := ne.Uint32(b[12:])
	b = b[16:]
	t.data = b[:min(int(n), len(b))]
	return t, int(t.fd) < len(printer{}.lines)
}

// printers make lines of what processes print and of what is typed into them.
type printers struct {
	// mute makes the programs leave a process out, or see it again.
	mute, unmute func(processID)

	mu        sync.Mutex // guards what follows, and muting
	processes map[processID]*printer
}

// A printer is what is known of a process that prints.
type printer struct {
	lines         [3]textLine // by descriptor
	count, octets int         // of what was told, since:
	since         int64
	muted         bool
	ended         bool // it read the end of its terminal's input
	secret        bool // it has read part of a line that its terminal does not show
}

// add gives tell the events that come of a struct text_event.
func (x *printers) add(id processID, e record.Event, t bpfText, tell func(record.Event)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	p := x.processes[id]
	if p == nil {
		p = &printer{}
		x.processes[id] = p
	}
	if p.muted {
		return
	}
	if t.fd == 0 && t.whole == 0 {
		if !p.ended {
			p.ended = true
			e.Source, e.Kind, e.Text = record.Step, "eof", "the user types Ctrl-D"
			tell(e)
		}
		return
	}
	if e.Time-p.since > int64(textPeriod) { // it prints little
		p.count, p.octets, p.since = 0, 0, e.Time
	}
	p.octets += len(t.data)
	l := &p.lines[t.fd]
	l.columns = t.columns
	one := func(e record.Event) {
		p.count++
		if p.count <= MaxLines && p.octets <= MaxOutput {
			tell(e)
		}
	}
	say := func(line string) { one(textEvent(e, t.fd, line)) }
	switch {
	case !t.secret:
		l.write(t.data, say)
		if t.whole > len(t.data) {
			l.write([]byte("...\n"), say)
		}
	case len(t.data) == 0:
		p.secret = true
	default: // it has come to its end
		p.secret = false
		one(secretEvent(e))
	}
	if p.count > MaxLines || p.octets > MaxOutput {
		p.muted = true
		x.mute(id)
		tell(TooMuch(e, e.Comm))
	}
}

// end tells what a process that has ended left of lines, and forgets it.
func (x *printers) end(id processID, e record.Event, tell func(record.Event)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	p := x.processes[id]
	if p == nil {
		return
	}
	delete(x.processes, id)
	if p.muted {
		x.unmute(id)
		return
	}
	if p.secret {
		tell(secretEvent(e))
	}
	for fd := range p.lines {
		p.lines[fd].rest(func(line string) { tell(textEvent(e, uint16(fd), line)) })
	}
}

// drop forgets the processes of a host.
func (x *printers) drop(host uint32) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for id, p := range x.processes {
		if id.host != host {
			continue
		}
		if delete(x.processes, id); p.muted {
			x.unmute(id)
		}
	}
}

// renew gives every process its bounds anew.
func (x *printers) renew() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for id, p := range x.processes {
		if p.count, p.octets = 0, 0; p.muted {
			p.muted, p.lines = false, [3]textLine{}
			x.unmute(id)
		}
	}
}

// textEvent is that of a line.
func textEvent(e record.Event, fd uint16, line string) record.Event {
	e.Text = line
	switch fd {
	case 0:
		e.Source, e.Kind, e.Text = record.Step, "type", "the user types: "+line
	case 1:
		e.Source, e.Kind = record.Output, record.KindStdout
	case 2:
		e.Source, e.Kind = record.Output, record.KindStderr
	}
	return e
}

// secretEvent is that of a line which the terminal does not show, such as a
// password.
func secretEvent(e record.Event) record.Event {
	e.Source, e.Kind, e.Text = record.Step, "type", "the user types something that is not shown"
	return e
}

// mutedKey is that of the map of muted processes.
func mutedKey(id processID) uint64 { return uint64(id.host)<<32 | uint64(id.pid) }

// LeaveOut makes the programs tell nothing of what is written to a pipe, one end
// of which is f: whoever reads it tells.
func (r *Tracing) LeaveOut(f *os.File) error {
	release, err := r.using()
	if err != nil {
		return nil // it was closed: nothing is reported
	}
	defer release()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := r.tracer.object.maps["pipes"].Put(info.Sys().(*syscall.Stat_t).Ino, uint32(0)); err != nil {
		return fmt.Errorf("leave a pipe out: %w", err)
	}
	return nil
}

// tellText makes the programs report what a host's processes print. It needs
// Tracer.mu.
func (o *bpfObject) tellText(host uint32) error {
	if o.text == nil {
		return nil // which was said
	}
	if err := o.maps["texts"].Put(host, uint32(1)); err != nil {
		return err
	}
	o.texts++
	if o.links[textProgram] != nil {
		return nil
	}
	l, err := attach(o.text)
	if err != nil {
		return err
	}
	o.links[textProgram] = l
	return nil
}

// leaveText makes them leave it, and the program rest if it was the last. It
// needs Tracer.mu.
func (o *bpfObject) leaveText(host uint32) error {
	err := o.maps["texts"].Delete(host)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	if o.texts--; o.texts == 0 && o.links[textProgram] != nil {
		err = errors.Join(err, o.links[textProgram].Close())
		delete(o.links, textProgram)
	}
	return err
}

// printed gives tell what a record says of the text of a process: that of
// struct text_event, or, when the process ends, of a line that did not.
func (d *bpfDecoder) printed(head bpfHead, raw []byte, tell func(record.Event)) {
	id := processID{head.host, head.pid}
	e := record.Event{Time: d.clock.Monotonic(head.time), PID: int(head.pid), Comm: d.texts.text(head.comm)}
	if head.kind == bpfExit {
		d.printers.end(id, e, tell)
	} else if t, ok := decodeText(raw); ok {
		d.printers.add(id, e, t, tell)
	}
}
