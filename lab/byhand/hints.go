package byhand

import (
	"errors"
	"strconv"
	"strings"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
)

// refusal explains why a line was not performed; nil if that lies neither in the
// line nor in how the lab is.
func (s *supervisor) refusal(line string, err error) *Error {
	name := s.config.Name
	if need, ok := errors.AsType[*scenarios.NeedError](err); ok {
		anew := s.anew()
		for _, line := range need.Build {
			anew += " --" + line
		}
		return usage(need, anew)
	}
	if down, ok := errors.AsType[*scenarios.DownError](err); ok {
		return s.hostDown(down, down.Host)
	}
	if errors.Is(err, lab.ErrDown) { // meanwhile
		return hostDown(err, name, "HOST")
	}
	if e, ok := errors.AsType[*scenarios.SyntaxError](err); ok {
		return usage(e.Err, "see lab fault --help")
	}
	if errors.Is(err, lab.ErrScenario) {
		return &Error{err.Error(), s.instead(line), Refused}
	}
	return nil
}

// anew is what is typed for such a lab in the place of this one.
func (s *supervisor) anew() string {
	return Command(s.config.Name, "down") + "; sudo " + s.config.Command
}

// hostDown is of a host that is down, perhaps for good.
func (s *supervisor) hostDown(err error, host string) *Error {
	for _, f := range s.session.InForce() {
		if f.Kind == "failover" && f.Host == host {
			return &Error{err.Error() + ", and the standby has its address", s.anew() + " makes a lab in which it is up", Refused}
		}
	}
	return hostDown(err, s.config.Name, host)
}

// hostDown is of a host of a lab that is down.
func hostDown(err error, name, host string) *Error {
	return &Error{err.Error(), Command(name, "fault", "reboot", host) + " boots it again", Refused}
}

// instead is what can be typed where a line found nothing to act upon.
func (s *supervisor) instead(line string) string {
	words := strings.Fields(strings.TrimPrefix(line, "fault "))
	kind, host, processes := words[0], "server", Command(s.config.Name, "status")+" shows the processes"
	if len(words) > 1 {
		host = words[1]
	}
	switch {
	case len(words) > 2:
		return processes
	case kind == "reboot":
		return ""
	case !scenarios.OfProcess(kind):
		return Command(s.config.Name, "status") + " shows the connections"
	}
	h, p := s.victim(kind, host)
	switch {
	case h == nil && kind == "thaw":
		return ""
	case h == nil:
		return "programs are started by " + Command(s.config.Name, "exec", "HOST", "--", "PROGRAM")
	}
	return Command(s.config.Name, "fault", kind, h.Name, strconv.Itoa(p.PID)) + " is about " + p.Comm + "; " + processes
}

// victim is a process that a fault of a kind could befall if it was named, and its
// host; nil if there is none. One that can be thawed may be on another host, if
// there is none on that.
func (s *supervisor) victim(kind, host string) (*topology.Host, topology.ProcessInfo) {
	var victim *topology.Host
	var process topology.ProcessInfo
	for _, h := range s.session.Network().Hosts() {
		if h.Name != host && (kind != "thaw" || victim != nil) {
			continue
		}
		all, _ := h.Processes() // of a host that is down there are none
		for _, p := range all {
			if kind == "thaw" && p.State == 'T' || kind != "thaw" && p.State != 'Z' {
				victim, process = h, p
				break
			}
		}
	}
	return victim, process
}
