package observe

import (
	"bytes"
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

// textPeriod is in what time a program may print as much: one that prints less
// is told of for days. One that prints more is muted until Renew or Everything.
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
	flags   uint16
	columns int
	unseen  int // octets before data of which nothing else is told
	data    []byte
}

// The flags of a struct text_event.
const (
	bpfTextSecret  = 1 << iota // typed without echo: of data there is at most the line's end
	bpfTextEnd                 // the end of what is typed
	bpfTextNewline             // the last of the unseen octets ended a line
)

const bpfTextSize = bpfHeadSize + 24 // and the data

func decodeText(b []byte) (t bpfText, ok bool) {
	if len(b) < bpfTextSize {
		return t, false
	}
	ne := binary.NativeEndian
	b = b[bpfHeadSize:]
	t.fd, t.flags = ne.Uint16(b), ne.Uint16(b[2:])
	t.columns, t.unseen = int(ne.Uint32(b[4:])), int(ne.Uint64(b[16:]))
	n := ne.Uint32(b[8:])
	b = b[24:]
	t.data = b[:min(int(n), len(b))]
	return t, int(t.fd) < len(printer{}.lines) && t.unseen >= 0
}

// A bpfUnseenText is struct unseen_text: of descriptors 1 and 2.
type bpfUnseenText struct {
	Octets  [2]uint64
	Newline [2]uint32
}

// printers make lines of what processes print and of what is typed into them.
type printers struct {
	// mute makes the programs leave a process out, or see it again.
	mute, unmute func(processID)
	// unseen takes what the programs have counted of a process and not told.
	unseen func(processID) bpfUnseenText

	mu        sync.Mutex // guards what follows, and muting
	processes map[processID]*printer
}

// A printer is what is known of a process that prints.
type printer struct {
	lines         [3]textLine // by descriptor
	missed        [3]missed
	count, octets int // of what was told, since:
	since         int64
	muted         bool
	ended         bool // it read the end of its terminal's input
	secret        bool // it has read part of a line that its terminal does not show
}

// missed are octets that a process wrote and that are in no line.
type missed struct {
	octets  int
	newline bool // the last of them ended a line
}

func (m *missed) add(octets int, newline bool) {
	if octets > 0 {
		m.octets, m.newline = m.octets+octets, newline
	}
}

// full tells whether the process has come to the bounds.
func (p *printer) full() bool { return p.count >= MaxLines || p.octets >= MaxOutput }

// add gives tell the events that come of a struct text_event.
func (x *printers) add(id processID, e record.Event, t bpfText, tell func(record.Event)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	p := x.processes[id]
	if p == nil {
		p = &printer{}
		x.processes[id] = p
	}
	m := &p.missed[t.fd]
	m.add(t.unseen, t.flags&bpfTextNewline != 0)
	if p.muted {
		m.add(len(t.data), bytes.HasSuffix(t.data, newline))
		return
	}
	one := func(e record.Event) {
		p.count++
		tell(e)
	}
	switch {
	case t.flags&bpfTextEnd != 0:
		if !p.ended {
			p.ended = true
			e.Source, e.Kind, e.Text = record.Step, "eof", "the user types Ctrl-D"
			tell(e)
		}
	case t.flags&bpfTextSecret == 0:
		if e.Time-p.since > int64(textPeriod) { // it prints little
			p.count, p.octets, p.since = 0, 0, e.Time
		}
		if !p.write(e, t, one) {
			p.muted = true
			x.mute(id)
			tell(TooMuch(e, e.Comm))
		}
	case len(t.data) == 0:
		p.secret = true
	default: // it has come to its end
		p.secret = false
		one(secretEvent(e))
	}
}

var newline = []byte{'\n'}

// write tells the lines that end, and is false when that is not done to the end,
// for the bounds.
func (p *printer) write(e record.Event, t bpfText, tell func(record.Event)) (whole bool) {
	l, m := &p.lines[t.fd], &p.missed[t.fd]
	whole = true
	l.columns = t.columns
	if !p.full() && (len(t.data) > 0 || m.newline) { // else there may be more to come
		p.pass(e, t.fd, tell)
	}
	for line := range bytes.Lines(t.data) {
		if p.full() {
			m.add(len(line), bytes.HasSuffix(line, newline))
			whole = false
			continue
		}
		p.octets += len(line)
		l.write(line, func(text string) { tell(textEvent(e, t.fd, text)) })
	}
	return whole
}

// pass tells where octets that were written are missing: in the line, unless it
// begins after them.
func (p *printer) pass(e record.Event, fd uint16, tell func(record.Event)) {
	l, m := &p.lines[fd], p.missed[fd]
	if p.missed[fd] = (missed{}); m.octets == 0 || fd == 0 || l.alternate {
		return
	}
	if m.newline && l.empty() {
		tell(missedEvent(e, m.octets))
		return
	}
	say := func(text string) { tell(textEvent(e, fd, text)) }
	l.miss(m.octets, say)
	if m.newline {
		l.rest(say)
	}
}

// end tells what a process that has ended left of lines, and forgets it.
func (x *printers) end(id processID, e record.Event, tell func(record.Event)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	p := x.processes[id]
	if p == nil {
		p = &printer{}
	}
	delete(x.processes, id)
	if p.muted {
		x.unmute(id)
	}
	if p.secret {
		tell(secretEvent(e))
	}
	counted := x.unseen(id)
	for fd := range uint16(len(p.lines)) {
		if fd > 0 {
			p.missed[fd].add(int(counted.Octets[fd-1]), counted.Newline[fd-1] != 0)
		}
		if p.lines[fd].empty() {
			p.missed[fd].newline = true // or it would be: nothing follows
		}
		p.pass(e, fd, tell)
		p.lines[fd].rest(func(line string) { tell(textEvent(e, fd, line)) })
	}
}

// drop forgets the processes of a host, and what was counted of them.
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
		x.unseen(id)
	}
}

// renew gives every process its bounds anew.
func (x *printers) renew() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for id, p := range x.processes {
		if p.count, p.octets = 0, 0; p.muted {
			p.muted = false
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

// missedEvent is that of octets which are in no line.
func missedEvent(e record.Event, octets int) record.Event {
	e.Source, e.Kind = record.Step, "output"
	e.Text = fmt.Sprintf("%d octets that %s wrote are not recorded", octets, e.Comm)
	return e
}

// processKey is that of a process in the maps of those that print.
func processKey(id processID) uint64 { return uint64(id.host)<<32 | uint64(id.pid) }

// unseenText takes what the programs have counted of a process's text and not
// told.
func (o *bpfObject) unseenText(id processID) (u bpfUnseenText) {
	m, key := o.maps["unseen_texts"], processKey(id)
	if m.Lookup(key, &u) == nil {
		_ = m.Delete(key) // or it has been displaced
	}
	return u
}

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
