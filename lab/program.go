package lab

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
	"golang.org/x/sys/unix"
)

// maxOutput bounds what is recorded of a program's stream, in octets.
const maxOutput = 1 << 20

// maxLine bounds a line of output in the record; what is longer is cut into several.
const maxLine = 4096

// A program is one that the scenario started, with its streams.
type program struct {
	name    string
	argv    []string
	process *topology.Process
	boot    int
	stdin   *os.File
	outputs sync.WaitGroup
	end     atomic.Pointer[time.Time] // when it was known to have ended
	files   []*os.File                // our ends
}

// startProgram runs an example program on a host.
func (e *Experiment) startProgram(s scenarios.Start) error {
	h, err := e.net.Host(s.Host)
	if err != nil {
		return err
	}
	argv := fillIn(s.Argv, e.serverAddr)
	p := &program{name: s.Name, argv: argv, boot: h.Boot()}
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			f.Close()
		}
	}()
	pipe := func() (r, w *os.File, err error) {
		if r, w, err = os.Pipe(); err != nil {
			return nil, nil, fmt.Errorf("make pipe: %w", err)
		}
		return r, w, nil
	}
	in, stdin, err := pipe()
	if err != nil {
		return err
	}
	theirs, p.stdin, p.files = append(theirs, in), stdin, append(p.files, stdin)
	var streams []*os.File
	for range 2 {
		r, w, err := pipe()
		if err != nil {
			p.close()
			return err
		}
		theirs, p.files, streams = append(theirs, w), append(p.files, r), append(streams, r)
	}
	p.process, err = h.Start(topology.Command{
		Path: topology.Self, Argv: argv, Env: []string{"GOMAXPROCS=1"},
		Stdin: theirs[0], Stdout: theirs[1], Stderr: theirs[2],
	})
	if err != nil {
		p.close()
		return err
	}
	for i, kind := range []string{record.KindStdout, record.KindStderr} {
		p.outputs.Go(func() { e.listen(p, kind, streams[i]) })
	}
	e.programs = append(e.programs, p)
	go func() {
		<-p.process.Done() // at the latest when the network is taken down
		now := time.Now()
		p.end.Store(&now)
		e.timeline.poke()
	}()
	return nil
}

// listen turns a stream of a program into events, a line each.
func (e *Experiment) listen(p *program, kind string, r io.Reader) {
	in := bufio.NewReaderSize(r, maxLine)
	for octets := 0; ; {
		line, err := in.ReadSlice('\n')
		if octets <= maxOutput && octets+len(line) > maxOutput {
			e.timeline.add(record.Event{
				Time: e.clock.Now(), Host: p.process.Host.Name, Boot: p.boot, Source: record.Output, Kind: kind,
				PID: p.process.PID, Comm: p.name, Text: fmt.Sprintf("(more than %d octets: the rest is not recorded)", maxOutput),
			})
		}
		octets += len(line)
		if len(line) > 0 && octets <= maxOutput {
			e.timeline.add(record.Event{
				Time: e.clock.Now(), Host: p.process.Host.Name, Boot: p.boot, Source: record.Output, Kind: kind,
				PID: p.process.PID, Comm: p.name,
				Text: strings.ToValidUTF8(strings.TrimSuffix(string(line), "\n"), "\uFFFD"),
			})
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return // end of file, or closed by close
		}
	}
}

// drainTimeout is how long the last lines of an ended program are waited for.
// Its children may hold its streams open.
const drainTimeout = 100 * time.Millisecond

// drainOutputs waits for the last lines of the programs that have ended.
func (e *Experiment) drainOutputs() {
	deadline := time.After(drainTimeout)
	for _, p := range e.programs {
		select {
		case <-p.process.Done():
		default:
			continue
		}
		drained := make(chan struct{})
		go func() { p.outputs.Wait(); close(drained) }() // at the latest at close
		select {
		case <-drained:
		case <-deadline:
			return
		}
	}
}

// fillIn replaces what stands for an address in a program's arguments: {server},
// and {any}, that of every interface with the server's port.
func fillIn(args []string, server netip.AddrPort) []string {
	every := netip.IPv4Unspecified()
	if server.Addr().Is6() {
		every = netip.IPv6Unspecified()
	}
	r := strings.NewReplacer("{server}", server.String(), "{any}", netip.AddrPortFrom(every, server.Port()).String())
	filled := make([]string, len(args))
	for i, a := range args {
		filled[i] = r.Replace(a)
	}
	return filled
}

// started returns a program by its name, nil if there is none.
func (e *Experiment) started(name string) *program {
	for _, p := range e.programs {
		if p.name == name {
			return p
		}
	}
	return nil
}

// find is started, with an error.
func (e *Experiment) find(name string) (*program, error) {
	if p := e.started(name); p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("no program %q was started", name)
}

// isHost tells whether a name is that of a host.
func (e *Experiment) isHost(name string) bool {
	_, err := e.net.Host(name)
	return err == nil
}

// ended tells whether, and when, the program ended.
func (p *program) ended() (at time.Time, ok bool) {
	if end := p.end.Load(); end != nil {
		return *end, true
	}
	return time.Time{}, false
}

// describe says how the program fared so far.
func (p *program) describe() record.Program {
	d := record.Program{Host: p.process.Host.Name, Name: p.name, Argv: p.argv, PID: p.process.PID, Exit: -1}
	status, ok := p.process.Status()
	select {
	case <-p.process.Done():
	default:
		d.Running = true
		return d
	}
	switch {
	case !ok: // its host went away under it
		d.Signal = "SIGKILL"
	case status.Signaled():
		d.Signal = unix.SignalName(status.Signal())
	default:
		d.Exit = status.ExitStatus()
	}
	return d
}

// close gives up our ends of the program's streams, which ends the listeners.
func (p *program) close() {
	for _, f := range p.files {
		f.Close()
	}
	p.outputs.Wait()
}
