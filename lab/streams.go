package lab

import (
	"fmt"
	"io"
	"os"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/topology"
)

// An output is a stream that a program writes.
type output struct {
	kind string // record.KindStdout or record.KindStderr
	r    io.Reader
}

// connectStreams gives a program its standard streams. theirs are the
// program's ends, to be closed once it has them, whatever the error.
func connectStreams(p *program, c *topology.Command, l launch) (theirs []*os.File, outputs []output, err error) {
	x := l.execution
	if p.own && p.name == "client" && x.Terminal != nil && isTerminal(x.Terminal) {
		return x.connectTerminal(p, c)
	}
	pipe := func() (r, w *os.File, err error) {
		if r, w, err = os.Pipe(); err != nil {
			return nil, nil, fmt.Errorf("make pipe: %w", err)
		}
		return r, w, nil
	}
	switch {
	case !l.typed:
		if p.name != "client" {
			break
		}
		input, owned, err := x.input()
		if err != nil {
			return theirs, nil, err
		}
		if c.Stdin = input; owned {
			theirs = append(theirs, input)
		}
	default:
		in, stdin, err := pipe()
		if err != nil {
			return theirs, nil, err
		}
		theirs, p.stdin, p.files = append(theirs, in), stdin, append(p.files, stdin)
		c.Stdin = in
	}
	for _, stream := range []struct {
		kind  string
		their **os.File
	}{{record.KindStdout, &c.Stdout}, {record.KindStderr, &c.Stderr}} {
		r, w, err := pipe()
		if err != nil {
			return theirs, nil, err
		}
		theirs, p.files = append(theirs, w), append(p.files, r)
		outputs = append(outputs, output{stream.kind, r})
		if err := give(w, c.Credential); err != nil {
			return theirs, nil, err
		}
		*stream.their = w
	}
	return theirs, outputs, nil
}

// connectTerminal gives a program a terminal of its own.
func (x Execution) connectTerminal(p *program, c *topology.Command) (theirs []*os.File, outputs []output, err error) {
	if p.tty, err = openTerminal(x.Terminal); err != nil {
		return nil, nil, err
	}
	if err := give(p.tty.slave, c.Credential); err != nil {
		return nil, nil, err
	}
	c.Stdin, c.Stdout, c.Stderr = p.tty.slave, p.tty.slave, p.tty.slave
	return []*os.File{p.tty.slave}, []output{{record.KindStdout, p.tty.output(x.Tee)}}, nil
}

// give makes a stream that of the program's user: some open /dev/stderr anew.
func give(f *os.File, c *topology.Credential) error {
	if c == nil {
		return nil
	}
	if err := f.Chown(int(c.UID), int(c.GID)); err != nil {
		return fmt.Errorf("give the program its streams: %w", err)
	}
	return nil
}
