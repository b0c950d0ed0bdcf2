package byhand

import (
	"os"
	"time"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/topology"
)

// A Status is how a lab is, now.
type Status struct {
	Name    string        `json:"name"`
	PID     int           `json:"pid"` // the supervisor's
	Since   time.Time     `json:"since"`
	Command string        `json:"command"` // that makes such a lab
	Path    topology.Path `json:"path"`
	// Sysctls that were asked for, by node.
	Sysctls   map[string]map[string]string `json:"sysctls,omitempty"`
	Hosts     []Host                       `json:"hosts"`
	Middle    *Middle                      `json:"middle,omitempty"` // nil on a direct path
	Links     []topology.LinkState         `json:"links"`
	Faults    []lab.Force                  `json:"faults"` // in force
	Recording *Recording                   `json:"recording,omitempty"`
	Unsaved   *Recording                   `json:"unsaved,omitempty"`
	Watchers  int                          `json:"watchers"`
}

// ToSave is the recording that Stop would give; nil if there is none.
func (s *Status) ToSave() *Recording {
	if s.Recording != nil {
		return s.Recording
	}
	return s.Unsaved
}

// A Middle is the router or switch between the hosts: a network namespace, in
// which nothing runs.
type Middle struct {
	Name  string `json:"name"`
	Path  string `json:"path"`            // by which nsenter --net finds the namespace, while the lab is up
	NetNS string `json:"netns,omitempty"` // its name for iproute2
}

// middle is that of the lab, nil on a direct path.
func (s *supervisor) middle() *Middle {
	net := s.session.Network()
	if net.Middle() == nil {
		return nil
	}
	m := &Middle{Name: string(net.Path), Path: pathOf(net.Middle())}
	if s.netns != nil {
		m.NetNS = s.config.Name + "-" + m.Name
	}
	return m
}

// A Host is a host of a Status.
type Host struct {
	Name      string `json:"name"`
	Address   string `json:"address,omitempty"` // with the prefix length; "" for a standby that waits
	Gateway   string `json:"gateway,omitempty"`
	MAC       string `json:"mac"`
	Interface string `json:"interface"`
	Boot      int    `json:"boot"`
	Down      bool   `json:"down,omitempty"`
	// PID is that of the host's init, as the machine numbers it: nsenter finds the
	// host's namespaces by it. 0 if the host is down.
	PID   int    `json:"pid,omitempty"`
	NetNS string `json:"netns,omitempty"` // its name for iproute2
	// Processes and Sockets of a host that is up; Error says why they are not
	// known.
	Processes []Process          `json:"processes"`
	Sockets   []record.SocketRow `json:"sockets"`
	Error     string             `json:"error,omitempty"`
}

// A Process is one of a host, as that numbers it.
type Process struct {
	PID    int      `json:"pid"`
	Parent int      `json:"parent"`
	State  string   `json:"state"` // as proc_pid_stat(5) has it
	Comm   string   `json:"comm"`
	Argv   []string `json:"argv"`
}

func (s *supervisor) status() *Status {
	net := s.session.Network()
	st := &Status{
		Name: s.config.Name, PID: os.Getpid(), Since: s.started, Command: s.config.Command, Path: net.Path, Sysctls: s.config.Sysctls,
		Faults: s.session.InForce(), Hosts: []Host{}, Watchers: s.watching(),
	}
	r, unsaved := s.recordings()
	if r != nil {
		st.Recording = s.filled(r)
	}
	if unsaved != nil {
		st.Unsaved = &unsaved.Recording
	}
	s.session.Steady(func() { st.Links, _ = net.Links() }) // all are there
	st.Middle = s.middle()
	for _, h := range net.Hosts() {
		st.Hosts = append(st.Hosts, s.host(h))
	}
	return st
}

func (s *supervisor) host(h *topology.Host) Host {
	host := Host{
		Name: h.Name, MAC: h.NIC.MAC.String(), Interface: h.NIC.Name, Boot: h.Boot(), PID: h.InitPID(),
		Processes: []Process{}, Sockets: []record.SocketRow{},
	}
	if h.NIC.Address.IsValid() {
		host.Address = h.NIC.Address.String()
	}
	if h.NIC.Gateway.IsValid() {
		host.Gateway = h.NIC.Gateway.String()
	}
	if s.netns != nil {
		host.NetNS = s.config.Name + "-" + h.Name
	}
	if host.Down = host.PID == 0; host.Down {
		return host
	}
	processes, err := h.Processes()
	if err == nil {
		host.Sockets, err = s.session.Sockets(h)
	}
	if err != nil {
		host.Error = err.Error() // it may be going down
	}
	for _, p := range processes {
		host.Processes = append(host.Processes, Process{p.PID, p.Parent, string(p.State), p.Comm, p.Argv})
	}
	return host
}
