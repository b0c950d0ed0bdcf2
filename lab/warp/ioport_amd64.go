package warp

// outb writes to an I/O port. The thread must be allowed to (iopl(2)).
func outb(port uint16, value uint8)

// outw writes to an I/O port of two bytes.
func outw(port uint16, value uint16)

// insb fills p from an I/O port, a byte at a time.
func insb(port uint16, p []byte)
