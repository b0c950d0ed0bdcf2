package lab

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/observe"
	"github.com/seed-6fefc909/tcplab/lab/programs"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
	"golang.org/x/sys/unix"
)

// A program is one that the scenario started, with its streams.
type program struct {
	name    string
	argv    []string
	own     bool   // it is no example program
	user    string // whom it runs as
	process *topology.Process
	boot    int
	sees    atomic.Pointer[Experiment] // whose record it is in
	stdin   *os.File                   // nil: nobody types
	outputs sync.WaitGroup
	end     atomic.Pointer[time.Time] // when it was known to have ended
	files   []*os.File                // our ends
	tty     *terminal                 // nil: it has none
	// tee gets what it writes, nil for nobody.
	tee func(kind string, line []byte)
}

// A launch says how a program is started beyond what a script's line says.
type launch struct {
	execution Execution
	typed     bool                           // its standard input is a pipe
	tee       func(kind string, line []byte) // as program.tee
}

// startProgram runs a program on a host: an example program, or the user's own.
func (e *Experiment) startProgram(s scenarios.Start) error {
	typed := programs.Known(s.Argv[0]) || e.scenario.ByHand || e.typesTo(s.Name)
	_, err := e.launch(s, launch{execution: e.options.Execution, typed: typed})
	return err
}

func (e *Experiment) launch(s scenarios.Start, l launch) (*program, error) {
	h, err := e.net.Host(s.Host)
	if err != nil {
		return nil, err
	}
	c, err := e.command(s, h, l.execution)
	if err != nil {
		return nil, err
	}
	p := &program{name: s.Name, argv: c.Argv, boot: h.Boot(), tee: l.tee}
	p.sees.Store(e)
	if !programs.Known(s.Argv[0]) {
		p.own, p.user = true, l.execution.Who()
	}
	theirs, outputs, err := connectStreams(p, &c, l)
	defer func() {
		for _, f := range theirs {
			f.Close()
		}
	}()
	if err != nil {
		p.close()
		return nil, err
	}
	if e.text && e.watch.tracing != nil {
		for _, f := range p.files {
			if err := e.watch.tracing.LeaveOut(f); err != nil {
				p.close()
				return nil, err
			}
		}
	}
	started := e.clock.Now()
	p.process, err = h.Start(c)
	if err != nil {
		p.close()
		if p.own {
			err = &OwnError{err.Error()}
		}
		return nil, err
	}
	for _, o := range outputs {
		p.outputs.Go(func() { p.listen(o.kind, o.r) })
	}
	if p.name == "client" {
		e.clientStart = started
	}
	e.runs(p)
	return p, nil
}

// runs makes a program known that was started.
func (e *Experiment) runs(p *program) {
	p.sees.Store(e)
	e.mu.Lock()
	e.programs = append(e.programs, p)
	e.mu.Unlock()
	e.forget()
	e.publish()
	go func() {
		<-p.process.Done() // at the latest when the network is taken down
		now := time.Now()
		p.end.Store(&now)
		poke := func() { p.sees.Load().timeline.poke() }
		poke()
		time.AfterFunc(lastWords, poke)
	}()
}

// launched are the programs so far, for whoever looks on.
func (e *Experiment) launched() []*program {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.programs
}

// command is what is executed for a start.
func (e *Experiment) command(s scenarios.Start, h *topology.Host, x Execution) (topology.Command, error) {
	at := places{server: e.serverAddr, client: e.net.Client.NIC.Address.Addr()}
	if slices.ContainsFunc(s.Argv, func(a string) bool { return strings.Contains(a, "{dir}") }) {
		var err error
		if at.dir, err = e.scratch(h, x.Credential); err != nil {
			return topology.Command{}, err
		}
	}
	return x.Command(at.fillIn(s.Argv))
}

// typesTo tells whether the scenario types something into a program.
func (e *Experiment) typesTo(name string) bool {
	return slices.ContainsFunc(e.scenario.Steps, func(step scenarios.Step) bool {
		switch s := step.(type) {
		case scenarios.Type:
			return s.Program == name
		case scenarios.CloseInput:
			return s.Program == name
		}
		return false
	})
}

// scratchPrefix begins the names of runs' directories; lab's process id follows.
const scratchPrefix = "lab-run-"

// scratch makes the host's directory of this run, for the owner of the
// program, nil for lab itself; Close removes it.
func (e *Experiment) scratch(h *topology.Host, owner *topology.Credential) (string, error) {
	made := e.scratchDir
	if made == "" {
		dir, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", scratchPrefix, os.Getpid()))
		if err != nil {
			return "", fmt.Errorf("make {dir}: %w", err)
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			return "", fmt.Errorf("make {dir}: %w", err)
		}
		e.scratchDir, made = dir, dir
	}
	dir := filepath.Join(made, h.Name)
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("make {dir}: %w", err)
	}
	if owner != nil {
		if err := os.Chown(dir, int(owner.UID), int(owner.GID)); err != nil {
			return "", fmt.Errorf("make {dir}: %w", err)
		}
	}
	return dir, nil
}

// listen turns a stream of a program into events, a line each, within a bound:
// what comes from the fault on has one of its own, and what another experiment
// sees.
func (p *program) listen(kind string, r io.Reader) {
	in := bufio.NewReaderSize(r, observe.MaxLine)
	octets, lines, said := 0, 0, false
	e, faulted := p.sees.Load(), false
	for {
		line, err := in.ReadSlice('\n')
		if other := p.sees.Load(); other != e || other.faulted.Load() != faulted {
			e, faulted = other, other.faulted.Load()
			octets, lines, said = 0, 0, false
		}
		octets, lines = octets+len(line), lines+1
		if p.tee != nil && len(line) > 0 {
			p.tee(kind, line)
		}
		room := octets <= observe.MaxOutput && lines <= observe.MaxLines || e.timeline.keep > 0
		ev := record.Event{
			Time: e.clock.Now(), Host: p.process.Host.Name, Boot: p.boot, Source: record.Output, Kind: kind,
			PID: p.process.PID, Comm: p.name,
		}
		switch {
		case room && len(line) > 0:
			ev.Text = strings.ToValidUTF8(strings.TrimRight(string(line), "\r\n"), "\uFFFD")
			e.timeline.add(ev)
		case !room && !said:
			said = true
			e.timeline.add(observe.TooMuch(ev, p.name))
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

// places are what stands in a program's arguments for something that is only
// known when it is started.
type places struct {
	server netip.AddrPort
	client netip.Addr
	dir    string
}

// fillIn puts them in: {server}, {client}, {port}, {any}, an address of any
// interface, {server:port} and {any:port}, and {dir}.
func (p places) fillIn(args []string) []string {
	every := netip.IPv4Unspecified()
	if p.server.Addr().Is6() {
		every = netip.IPv6Unspecified()
	}
	r := strings.NewReplacer(
		"{server:port}", p.server.String(), "{any:port}", netip.AddrPortFrom(every, p.server.Port()).String(),
		"{server}", p.server.Addr().String(), "{any}", every.String(), "{client}", p.client.String(),
		"{port}", strconv.Itoa(int(p.server.Port())), "{dir}", p.dir,
	)
	filled := make([]string, len(args))
	for i, a := range args {
		filled[i] = r.Replace(a)
	}
	return filled
}

// started returns the program that was started last under a name, nil if there
// is none.
func (e *Experiment) started(name string) *program {
	for _, p := range slices.Backward(e.launched()) {
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
	d := record.Program{Host: p.process.Host.Name, Name: p.name, Argv: p.argv, PID: p.process.PID, Own: p.own, User: p.user, Exit: -1}
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
	if p.tty != nil {
		p.tty.Close()
	}
	p.outputs.Wait()
}
