package report

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// PCAPNG writes the frames of one host as a capture that Wireshark reads
// (draft-ietf-opsawg-pcapng): an interface a boot, wall-clock times in
// nanoseconds, directions, and comments on what the record knows to have
// mattered. What else happened there stands in rows between the packets, on an
// interface of their own. The two ends belong into a file each: in one, every
// frame would be there twice, which looks like a retransmission.
func PCAPNG(w io.Writer, r *record.Record, c *record.Capture) error {
	out := NewCaptureWriter(w, c.Host)
	out.ended = true
	return out.Write(r, c, math.MaxInt64)
}

// A CaptureWriter writes a host's capture while what is to be in it becomes
// known.
type CaptureWriter struct {
	out   *bufio.Writer // it remembers the first error
	host  string
	ended bool // the run has ended when the writing begins

	interfaces uint32         // how many were described
	ids        map[int]uint32 // those of the host, by boot
	rows       uint32         // that of the rows
	until      int64          // all before was written
	frames     int            // before it, that were known
	events     int            // of the host and of faults, before it, that were known
	late       struct{ frames, events int }
}

// NewCaptureWriter makes a writer for a host's capture.
func NewCaptureWriter(w io.Writer, host string) *CaptureWriter {
	return &CaptureWriter{out: bufio.NewWriter(w), host: host, ids: map[int]uint32{}, until: math.MinInt64}
}

// Late is how many frames and events became known only after what came later
// was written: they are left out. So are calls that never return, which are
// known in the end only, but those are not counted.
func (w *CaptureWriter) Late() (frames, events int) { return w.late.frames, w.late.events }

// Write writes what happened before a time and was not written yet, and begins
// the capture if that was not done. A nil capture has no frames. After an error
// there is no going on.
func (w *CaptureWriter) Write(r *record.Record, c *record.Capture, until int64) error {
	if c == nil {
		c = &record.Capture{Host: w.host}
	}
	if err := w.write(r, c, until); err != nil {
		return fmt.Errorf("write capture of %s: %w", w.host, err)
	}
	return nil
}

func (w *CaptureWriter) write(r *record.Record, c *record.Capture, until int64) error {
	start, err := time.Parse(time.RFC3339Nano, r.Started)
	if err != nil {
		return fmt.Errorf("read when the run began: %w", err)
	}
	w.introduce(r, c)
	until = max(until, w.until)
	frame := func(f record.Frame) int64 { return f.Time }
	event := func(e record.Event) int64 { return e.Time }
	first, next := before(c.Frames, w.until, frame), before(r.Events, w.until, event)
	frames, events := c.Frames[first:before(c.Frames, until, frame)], before(r.Events, until, event)
	w.late.frames += first - w.frames
	w.late.events += w.lasting(r.Events[:next]) - w.events
	w.frames, w.events, w.until = first+len(frames), w.lasting(r.Events[:events]), until
	said, decided := notes(r, w.host), deciders(r)
	rows := func(until int64) {
		for ; next < events && r.Events[next].Time < until; next++ {
			e := &r.Events[next]
			if data := message(r, next, w.host); data != nil {
				comments := append(toldClient(r, e), decided[e.Time]...)
				w.put(enhanced(w.rows, start.UnixNano()+e.Time, data, len(data), remarks(comments)))
			}
		}
	}
	for i := range frames {
		f := &frames[i]
		rows(f.Time)
		id, known := w.ids[f.Boot]
		if !known {
			return fmt.Errorf("a frame of boot %d, which has no interface", f.Boot)
		}
		w.put(enhanced(id, start.UnixNano()+f.Time, f.Data, f.Length, append(remarks(said[momentOf(f)]), direction(f)...)))
	}
	rows(until)
	return w.out.Flush()
}

func (w *CaptureWriter) put(block []byte) { _, _ = w.out.Write(block) }

// lasting is how many of the events may have a row and are not only known once
// the run is over.
func (w *CaptureWriter) lasting(events []record.Event) int {
	n := 0
	for i := range events {
		if e := &events[i]; e.Packet == nil && e.Kind != record.KindEnter && (e.Host == w.host || e.Source == record.Fault) {
			n++
		}
	}
	return n
}

// before is how many of what is sorted by time come before one.
func before[T any](sorted []T, t int64, at func(T) int64) int {
	i, _ := slices.BinarySearchFunc(sorted, t, func(x T, t int64) int { return cmp.Compare(at(x), t) })
	return i
}

// introduce begins the capture, and describes the interfaces that are new: the
// host has one in each of its boots.
func (w *CaptureWriter) introduce(r *record.Record, c *record.Capture) {
	begun := w.interfaces > 0
	if !begun {
		w.put(section(w.title(r, c)))
	}
	for _, in := range c.Interfaces {
		if _, known := w.ids[in.Boot]; known {
			continue
		}
		w.ids[in.Boot] = w.interfaces
		w.interfaces++
		name, what := in.Name, "the "+w.host+"'s end of its link, path "+r.Path
		if len(c.Interfaces) > 1 {
			name += fmt.Sprintf(" (boot %d)", in.Boot)
			what += fmt.Sprintf(", in its boot %d", in.Boot)
		}
		w.put(describe(linkEthernet, uint32(c.Snap), name, what, hardware(r, w.host)))
	}
	if !begun {
		w.rows = w.interfaces
		w.interfaces++
		w.put(describe(linkUpperPDU, 0, "lab: events of the "+w.host, "what the "+w.host+"'s programs and kernel did, and the faults", nil))
	}
}

// title says what the capture is of, as options of its section.
func (w *CaptureWriter) title(r *record.Record, c *record.Capture) []byte {
	what := fmt.Sprintf("The %s's end in %s (%s)", w.host, r.Scenario, r.Command)
	if w.ended {
		what += ", " + Outcome(r)
	}
	b := remarks([]string{what + ". Comments tell what mattered: filter by frame.comment. Messages of syslog between the packets tell what else happened. " +
		"Checksums may be unfinished, as where a network card finishes them."})
	if c.Left > 0 {
		b = option(b, optComment, fmt.Sprintf("%d frames are missing: there was no room for them.", c.Left))
	}
	b = option(b, optOS, printable("Linux "+r.Kernel.Release))
	return option(b, optApplication, "lab")
}

// IsPCAPNG tells whether a file is a capture that PCAPNG wrote, by its
// beginning.
func IsPCAPNG(file []byte) bool {
	return bytes.HasPrefix(file, le.AppendUint32(nil, blockSection)) && bytes.Contains(file, option(nil, optApplication, "lab"))
}

// hardware is a host's hardware address, nil if it is not known.
func hardware(r *record.Record, host string) net.HardwareAddr {
	for _, h := range r.Hosts {
		if mac, err := net.ParseMAC(h.MAC); err == nil && h.Name == host {
			return mac
		}
	}
	return nil
}

// direction says as an option which way a frame went.
func direction(f *record.Frame) []byte {
	flags := uint32(flagIn)
	if f.Out {
		flags = flagOut
	}
	return option(nil, optFlags, string(le.AppendUint32(nil, flags)))
}
