package programs

import (
	"bytes"
	"flag"
	"net/netip"

	"golang.org/x/sys/unix"
)

const clientName = "echo-client"

// clientMain is the echo client (UNP's str_cli): it reads a line from its
// standard input, writes it to the server, reads the echo, prints it. It is
// blocked in one read at a time: while it waits for its user it does not
// look at its connection.
func clientMain(args []string) int {
	flags := flag.NewFlagSet(clientName, flag.ContinueOnError)
	persist := flags.Bool("persist", false, "go on with the next line after an error, instead of ending")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	server, err := netip.ParseAddrPort(flags.Arg(0))
	if err != nil {
		complain("usage: "+clientName+" [-persist] ADDRESS:PORT", err)
		return 2
	}
	conn, err := socket(server.Addr())
	if err != nil {
		complain("socket", err)
		return 1
	}
	if _, err := retry(func() (int, error) { return 0, unix.Connect(conn, sockaddr(server)) }); err != nil {
		complain("connect", err)
		return 1
	}
	c := client{input: lineReader{fd: 0}, echo: lineReader{fd: conn}, conn: conn}
	status := 0
	for {
		line, err := c.input.next()
		if err != nil {
			complain("read standard input", err)
			return 1
		}
		if line == nil {
			return status
		}
		if c.exchange(line) {
			continue
		}
		status = 1
		if !*persist {
			return status
		}
	}
}

type client struct {
	input, echo lineReader
	conn        int
}

// exchange sends a line and prints its echo. It says what went wrong and
// returns false if something did.
func (c *client) exchange(line []byte) bool {
	if err := writeAll(c.conn, line); err != nil {
		complain("write", err)
		return false
	}
	echo, err := c.echo.next()
	if err != nil {
		complain("read", err)
		return false
	}
	if echo == nil {
		say("server terminated prematurely")
		return false
	}
	_ = writeAll(1, echo) // nobody is there to be told
	return true
}

// A lineReader reads lines with as few blocking reads as there are (UNP's
// readline).
type lineReader struct {
	fd  int
	buf []byte
}

// next returns the next line with its newline, or what is left without one at
// the end of file, or nil there.
func (r *lineReader) next() ([]byte, error) {
	for {
		if i := bytes.IndexByte(r.buf, '\n'); i >= 0 {
			line := r.buf[:i+1]
			r.buf = r.buf[i+1:]
			return line, nil
		}
		chunk := make([]byte, 4096)
		n, err := retry(func() (int, error) { return unix.Read(r.fd, chunk) })
		if err != nil {
			return nil, err
		}
		if n == 0 {
			if len(r.buf) == 0 {
				return nil, nil
			}
			rest := r.buf
			r.buf = nil
			return rest, nil
		}
		r.buf = append(r.buf, chunk[:n]...)
	}
}
