package report

import (
	"encoding/binary"
	"math"
)

// The blocks of a capture, and their options, as draft-ietf-opsawg-pcapng
// numbers them.
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
	linkUpperPDU = 252 // what a dissector is named for (LINKTYPE_WIRESHARK_UPPER_PDU)
	nanoseconds  = 9   // a resolution: 10 to the power of -9 s
)

var le = binary.LittleEndian

// section begins a capture; what is given are its options.
func section(options []byte) []byte {
	b := le.AppendUint32(nil, 0x1a2b3c4d) // the byte order
	b = le.AppendUint16(b, 1)             // version 1.0
	b = le.AppendUint16(b, 0)
	b = le.AppendUint64(b, math.MaxUint64) // of unknown length
	return block(blockSection, option(append(b, options...), 0, ""))
}

// describe introduces an interface, whose packets are kept up to snap octets,
// 0 for whole ones. Its number is how many came before it.
func describe(link uint16, snap uint32, name, what string, mac []byte) []byte {
	b := le.AppendUint16(nil, link)
	b = le.AppendUint16(b, 0)
	b = le.AppendUint32(b, snap)
	b = option(b, optName, printable(name))
	b = option(b, optDescription, printable(what))
	if len(mac) == 6 {
		b = option(b, optMAC, string(mac))
	}
	b = option(b, optResolution, string([]byte{nanoseconds}))
	return block(blockInterface, option(b, 0, ""))
}

// enhanced is a packet on an interface, at a time in nanoseconds since 1970:
// the beginning of its data, its length as it was, and its options.
func enhanced(id uint32, at int64, data []byte, length int, options []byte) []byte {
	b := le.AppendUint32(nil, id)
	b = le.AppendUint32(b, uint32(uint64(at)>>32))
	b = le.AppendUint32(b, uint32(at))
	b = le.AppendUint32(b, uint32(len(data)))
	b = le.AppendUint32(b, uint32(length))
	b = padded(append(b, data...))
	return block(blockPacket, option(append(b, options...), 0, ""))
}

// remarks are comments as options.
func remarks(comments []string) []byte {
	var b []byte
	for _, c := range comments {
		b = option(b, optComment, printable(c))
	}
	return b
}

// printable is what a reader may show of a text: UTF-8, as options must be, and
// short enough for one.
func printable(s string) string { return clip(Clean(s)) }

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
