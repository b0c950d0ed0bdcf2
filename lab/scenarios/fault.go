package scenarios

import (
	"errors"
	"fmt"
	"strconv"

	"rsc.io/script"
)

func (c *compiler) fault(args []string) error {
	if len(args) == 0 {
		return script.ErrUsage
	}
	name, args := args[0], args[1:]
	kind := faultKind(name)
	if kind == nil {
		like, err := c.faultOf(name)
		if err != nil {
			return err
		}
		if len(args) > 0 {
			return fmt.Errorf("%s stands for %s: nothing follows it", name, like)
		}
		if kind = faultKind(like.Kind); kind.Host {
			args = []string{like.Host}
		}
	}
	f := Fault{line: c.line(), Kind: kind.Name}
	var err error
	switch {
	case !kind.Host && len(args) > 0:
		return fmt.Errorf("%s is about the network, and no host: nothing follows it", kind.Name)
	case !kind.Host:
	case len(args) == 0 && !c.scenario.Typed:
		return fmt.Errorf("%s of which host?", kind.Name)
	default:
		f.Host, f.PID, err = c.whom(args)
	}
	if err != nil {
		return err
	}
	if f.PID != 0 && !kind.Process {
		return fmt.Errorf("%s is about a host, and no process: %d does not belong there", kind.Name, f.PID)
	}
	if kind.Host {
		if err := c.befalls(kind, f.Host); err != nil {
			return err
		}
		c.down[f.Host] = kind.down
	}
	c.zero = true
	return c.add(f)
}

// befalls tells whether the host can be befallen. By hand one that is down can
// be booted.
func (c *compiler) befalls(kind *FaultKind, host string) error {
	if err := c.host(host); err != nil {
		return err
	}
	if kind.Name == "failover" && host != "server" {
		return errors.New("the standby takes over from the server, and from no other host")
	}
	if kind.Name == "reboot" && c.scenario.Typed {
		return nil
	}
	return c.alive(host)
}

// faultOf is the first fault of the built-in scenario of a name, for which that
// stands where a person types it.
func (c *compiler) faultOf(name string) (Fault, error) {
	if source, _ := Find(name); source != nil && c.scenario.Typed {
		s, err := source.Compile(Variant{Real: c.scenario.Real, Family: c.scenario.Family})
		if err != nil {
			return Fault{}, err
		}
		if faults := s.Faults(); len(faults) > 0 {
			return faults[0], c.samePlight(s, faults[0])
		}
		return Fault{}, fmt.Errorf("nothing goes away in the scenario %s: it has no fault", name)
	}
	var list []Word
	for _, k := range FaultKinds() {
		list = append(list, Word{k.Name, k.Summary})
	}
	if !c.scenario.Typed {
		return Fault{}, fmt.Errorf("no fault %q: there are %s", name, names(list))
	}
	list = TypedFaults()
	if near := nearestOf(name, list); near != "" {
		return Fault{}, fmt.Errorf("no fault %q, did you mean %s? There are %s", name, near, names(list))
	}
	return Fault{}, fmt.Errorf("no fault %q: there are %s", name, names(list))
}

// whom reads whom a line is about: a host or a program. A person may name a
// process of a host by its id, and leave the server out.
func (c *compiler) whom(args []string) (who string, pid int, err error) {
	if n := len(args); n > 1 || n > 0 && c.scenario.Typed {
		if pid, err = strconv.Atoi(args[n-1]); err == nil {
			args = args[:n-1]
		}
	}
	switch {
	case pid != 0 && !c.scenario.Typed:
		return "", 0, fmt.Errorf("process %d: a scenario does not know the ids of its processes; they are for a lab that stays up", pid)
	case pid < 0 || pid == 1:
		return "", 0, fmt.Errorf("process %d: no program has that id", pid)
	case len(args) == 0 && c.scenario.Typed:
		return "server", pid, nil
	case len(args) == 2 && pid == 0 && c.scenario.Typed:
		return "", 0, fmt.Errorf("%q is no process id: that is a number, which lab status tells", args[1])
	case len(args) == 2 && c.scenario.Typed:
		return "", 0, errors.New("a host and a process id follow, one each")
	case len(args) != 1:
		return "", 0, script.ErrUsage
	}
	return args[0], pid, nil
}

// samePlight tells what keeps a scenario's fault from being here what it is there:
// after a crash the client is told something else where the dead host's address is
// not resolved.
func (c *compiler) samePlight(s *Scenario, f Fault) error {
	if s.AnswerARP == c.scenario.AnswerARP || !f.Powers() {
		return nil
	}
	need, build := "a network that goes on resolving a dead host's address", "arp answered"
	if !s.AnswerARP {
		need, build = "a network in which a dead host's address is not resolved any more", "arp fails"
	}
	return &NeedError{Line: "fault " + s.Name, Need: need, Path: c.scenario.Path, Build: []string{build}}
}
