package programs

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// A lineReader reads lines with as few reads as there are (UNP's readline).
type lineReader struct {
	fd  int
	buf []byte
}

// next returns the next line with its newline, or what is left without one at
// the end of file, or nil there.
func (r *lineReader) next() ([]byte, error) {
	for {
		if line := r.line(); line != nil {
			return line, nil
		}
		n, err := r.fill()
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return r.rest(), nil
		}
	}
}

// line returns the next line if it was read already.
func (r *lineReader) line() []byte {
	i := bytes.IndexByte(r.buf, '\n')
	if i < 0 {
		return nil
	}
	line := r.buf[:i+1]
	r.buf = r.buf[i+1:]
	return line
}

// rest returns what was read and not returned yet, or nil.
func (r *lineReader) rest() []byte {
	if len(r.buf) == 0 {
		return nil
	}
	rest := r.buf
	r.buf = nil
	return rest
}

// fill reads once. It returns 0 at the end of file.
func (r *lineReader) fill() (int, error) {
	chunk := make([]byte, 4096)
	n, err := retry(func() (int, error) { return unix.Read(r.fd, chunk) })
	if err == nil {
		r.buf = append(r.buf, chunk[:n]...)
	}
	return n, err
}
