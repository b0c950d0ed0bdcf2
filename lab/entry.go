package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed-6fefc909/tcplab/lab/programs"
	"github.com/seed-6fefc909/tcplab/topology"
)

// An Entry is a program that another process of the machine is about to run on
// a host, in that process's own terminal (topology.Enter). What it writes there
// is not seen here, but by the observers.
type Entry struct {
	Argv []string // {server:port} and the like are filled in
	// Door is the host's; the receiver closes it.
	Door *os.File

	session *Session
	host    *topology.Host
	program *program
}

// Admit lets another process run a program on a host. User is whose it is, for
// the record. It is a step. The error wraps ErrDown if the host is down.
func (s *Session) Admit(host, user string, argv []string) (*Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, err := s.e.net.Host(host)
	if err != nil {
		return nil, err
	}
	if !s.Alive(h, h.Boot()) {
		return nil, fmt.Errorf("%s: %w", host, ErrDown)
	}
	name := s.unused(host, argv[0])
	if err := s.lines.Program(name, host); err != nil {
		return nil, err
	}
	at := places{server: s.e.serverAddr, client: s.e.net.Client.NIC.Address.Addr()}
	argv = at.fillIn(argv)
	p := &program{name: name, argv: argv, boot: h.Boot()}
	if !programs.Known(argv[0]) {
		p.own, p.user = true, user
	}
	door, err := h.Door()
	if err != nil {
		return nil, err
	}
	s.e.mark("start", host, "start "+host+" "+strings.Join(argv, " "))
	return &Entry{Argv: argv, Door: door, session: s, host: h, program: p}, nil
}

// unused finds a name for a program that no other has, or only one that has
// ended: that of its host, or else its own. It needs mu.
func (s *Session) unused(host, path string) string {
	base := filepath.Base(path)
	for i := 0; ; i++ {
		name := fmt.Sprintf("%s-%d", base, i)
		switch i {
		case 0:
			name = host
		case 1:
			name = base
		}
		runs := func(p *program) bool {
			select {
			case <-p.process.Done():
				return false
			default:
				return p.name == name
			}
		}
		if !slices.ContainsFunc(s.e.programs, runs) && !(i > 0 && s.e.isHost(name)) {
			return name
		}
	}
}

// Started adopts the program, which runs by that process id on the host. It waits
// for no step: one that takes the host down waits for whoever has entered it. The
// caller is to Enlist the program then. The error wraps ErrDown if the host went
// down meanwhile.
func (e *Entry) Started(pid int) (*Program, error) {
	p := e.program
	var err error
	if p.process, err = e.host.Adopt(p.boot, pid); err != nil {
		return nil, err
	}
	return &Program{p}, nil
}

// Enlist makes the program that was started known to the experiment. It is a step.
func (e *Entry) Enlist() {
	e.session.mu.Lock()
	defer e.session.mu.Unlock()
	e.session.e.runs(e.program)
}
