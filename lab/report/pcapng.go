package report

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// PCAPNG writes the frames of one host as a capture that Wireshark and tcpdump
// read (draft-ietf-opsawg-pcapng): an interface a boot, wall-clock times in
// nanoseconds, directions, and comments on what the record knows to have
// mattered. The two ends belong into a file each: in one, every frame would
// be there twice, which looks like a retransmission.
func PCAPNG(w io.Writer, r *record.Record, c *record.Capture) error {
	start, err := time.Parse(time.RFC3339Nano, r.Started)
	if err != nil {
		return fmt.Errorf("write capture of %s: read when the run began: %w", c.Host, err)
	}
	out := bufio.NewWriter(w) // it remembers the first error
	_, _ = out.Write(sectionHeader(r, c))
	ids := map[int]uint32{} // by boot
	for i, in := range c.Interfaces {
		ids[in.Boot] = uint32(i)
		_, _ = out.Write(interfaceDescription(r, c, in))
	}
	comments := notes(r, c.Host)
	for _, f := range c.Frames {
		id, known := ids[f.Boot]
		if !known {
			return fmt.Errorf("write capture of %s: a frame of boot %d, which has no interface", c.Host, f.Boot)
		}
		at := uint64(start.UnixNano() + f.Time)
		_, _ = out.Write(enhancedPacket(id, at, &f, comments[momentOf(&f)]))
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write capture of %s: %w", c.Host, err)
	}
	return nil
}

// The blocks, and their options, as the draft numbers them.
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockPacket    = 6

	optComment      = 1
	optOS           = 3 // of a section
	optApplication  = 4 // of a section
	optName         = 2 // of an interface, as the next three
	optDescription  = 3
	optMAC          = 6
	optResolution   = 9
	optFlags        = 2 // of a packet
	flagIn, flagOut = 1, 2

	linkEthernet = 1
	nanoseconds  = 9 // a resolution: 10 to the power of -9 s
)

var le = binary.LittleEndian

// sectionHeader says what the capture is of.
func sectionHeader(r *record.Record, c *record.Capture) []byte {
	b := le.AppendUint32(nil, 0x1a2b3c4d) // the byte order
	b = le.AppendUint16(b, 1)             // version 1.0
	b = le.AppendUint16(b, 0)
	b = le.AppendUint64(b, ^uint64(0)) // of unknown length
	b = option(b, optComment, printable(fmt.Sprintf("The %s's end in %s (%s), %s. Comments tell what mattered: filter by frame.comment. "+
		"Checksums may be unfinished, as where a network card finishes them.",
		c.Host, r.Scenario, r.Command, r.Outcome)))
	if c.Left > 0 {
		b = option(b, optComment, fmt.Sprintf("%d frames are missing: there was no room for them.", c.Left))
	}
	b = option(b, optOS, printable("Linux "+r.Kernel.Release))
	b = option(b, optApplication, "lab")
	return block(blockSection, option(b, 0, ""))
}

// interfaceDescription names a host's interface, and its boot if there were
// several.
func interfaceDescription(r *record.Record, c *record.Capture, in record.Interface) []byte {
	b := le.AppendUint16(nil, linkEthernet)
	b = le.AppendUint16(b, 0)
	b = le.AppendUint32(b, uint32(c.Snap))
	name, what := in.Name, "the "+c.Host+"'s end of its link, path "+r.Path
	if len(c.Interfaces) > 1 {
		name += fmt.Sprintf(" (boot %d)", in.Boot)
		what += fmt.Sprintf(", in its boot %d", in.Boot)
	}
	b = option(b, optName, printable(name))
	b = option(b, optDescription, printable(what))
	for _, h := range r.Hosts {
		if mac, err := net.ParseMAC(h.MAC); err == nil && h.Name == c.Host && len(mac) == 6 {
			b = option(b, optMAC, string(mac))
		}
	}
	b = option(b, optResolution, string([]byte{nanoseconds}))
	return block(blockInterface, option(b, 0, ""))
}

// enhancedPacket is a frame, with when it passed, which way, and why it matters.
func enhancedPacket(id uint32, at uint64, f *record.Frame, comments []string) []byte {
	b := le.AppendUint32(nil, id)
	b = le.AppendUint32(b, uint32(at>>32))
	b = le.AppendUint32(b, uint32(at))
	b = le.AppendUint32(b, uint32(len(f.Data)))
	b = le.AppendUint32(b, uint32(f.Length))
	b = padded(append(b, f.Data...))
	for _, c := range comments {
		b = option(b, optComment, printable(c))
	}
	flags := uint32(flagIn)
	if f.Out {
		flags = flagOut
	}
	b = option(b, optFlags, string(le.AppendUint32(nil, flags)))
	return block(blockPacket, option(b, 0, ""))
}

// printable is what a reader may show of a text: UTF-8, as options must be, and
// short enough for one.
func printable(s string) string { return clip(clean(s)) }

// option appends an option of less than 64 KiB; code 0 ends them.
func option(b []byte, code uint16, value string) []byte {
	b = le.AppendUint16(b, code)
	b = le.AppendUint16(b, uint16(len(value)))
	return padded(append(b, value...))
}

// padded fills up to 32 bits.
func padded(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// block puts a body between its type and length.
func block(typ uint32, body []byte) []byte {
	size := uint32(len(body) + 12)
	b := le.AppendUint32(nil, typ)
	b = le.AppendUint32(b, size)
	b = append(b, body...)
	return le.AppendUint32(b, size)
}
