package warp

import (
	"bufio"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// A cpioWriter writes an initramfs: an archive in the kernel's "newc" form
// (Documentation/driver-api/early-userspace/buffer-format.rst).
type cpioWriter struct {
	w       *bufio.Writer
	written int64
	inode   uint32
}

func newCPIOWriter(w io.Writer) *cpioWriter {
	return &cpioWriter{w: bufio.NewWriterSize(w, 1<<20)}
}

// add writes one member. Name is without the leading slash, mode is that of
// stat(2), mtime is in seconds, and content gives size bytes.
func (c *cpioWriter) add(name string, mode uint32, mtime int64, size int64, content io.Reader) error {
	if size > 1<<32-1 {
		return fmt.Errorf("archive %s: %d bytes are more than an initramfs's file can have", name, size)
	}
	c.inode++
	links := 1
	if mode&unix.S_IFMT == unix.S_IFDIR {
		links = 2
	}
	if err := c.print("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		c.inode, mode, 0, 0, links, uint32(mtime), uint32(size), 0, 0, 0, 0, len(name)+1, 0, name); err != nil {
		return err
	}
	if err := c.pad(4); err != nil {
		return err
	}
	n, err := io.Copy(c.w, content)
	c.written += n
	if err != nil {
		return fmt.Errorf("archive %s: %w", name, err)
	}
	if n != size {
		return fmt.Errorf("archive %s: it had %d bytes, and then %d", name, size, n)
	}
	return c.pad(4)
}

// close ends the archive. It leaves the underlying writer open.
func (c *cpioWriter) close() error {
	c.inode = 0
	if err := c.add("TRAILER!!!", 0, 0, 0, eof{}); err != nil {
		return err
	}
	if err := c.pad(512); err != nil {
		return err
	}
	return c.w.Flush()
}

func (c *cpioWriter) print(format string, args ...any) error {
	n, err := fmt.Fprintf(c.w, format, args...)
	c.written += int64(n)
	return err
}

// pad fills up to a multiple of n, at most 512.
func (c *cpioWriter) pad(n int64) error {
	var zeros [512]byte
	more := -c.written & (n - 1)
	c.written += more
	_, err := c.w.Write(zeros[:more])
	return err
}

// eof is an empty file.
type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }
