package lab

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/moby/sys/capability"
	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/topology"
)

// A PrivilegeError says which privileges a run lacks.
type PrivilegeError struct {
	Root  bool // not even root
	Lacks []string
}

func (e *PrivilegeError) Error() string {
	return "this process lacks " + strings.Join(e.Lacks, ", ")
}

// needed are the capabilities that a run cannot do without, and for what.
var needed = []struct {
	cap capability.Cap
	why string
}{
	{capability.CAP_SYS_ADMIN, "to make namespaces"},
	{capability.CAP_NET_ADMIN, "to make links and to destroy sockets"},
	{capability.CAP_NET_RAW, "to capture packets"},
	{capability.CAP_SYS_PTRACE, "to look into the hosts' processes"},
	{capability.CAP_KILL, "to end them"},
}

// Preflight tells, in no time, whether this process may run experiments at all.
func Preflight() error {
	if uid := os.Geteuid(); uid != 0 {
		return &PrivilegeError{true, []string{fmt.Sprintf("root (its effective user id is %d)", uid)}}
	}
	caps, err := capability.NewPid2(0)
	if err == nil {
		err = caps.Load()
	}
	if err != nil {
		return fmt.Errorf("read own capabilities: %w", err)
	}
	var lacks []string
	for _, n := range needed {
		if !caps.Get(capability.EFFECTIVE, n.cap) {
			lacks = append(lacks, "CAP_"+strings.ToUpper(n.cap.String())+" ("+n.why+")")
		}
	}
	if len(lacks) > 0 {
		return &PrivilegeError{Lacks: lacks}
	}
	return nil
}

// Explain tells whether an error means that this machine or these privileges
// do not allow a run, and how to get what is missing.
func Explain(err error) (hint string, cannot bool) {
	if p, ok := errors.AsType[*PrivilegeError](err); ok {
		if p.Root {
			return "run it as root: sudo lab ...; or, without root, in virtual time: --warp", true
		}
		return "in a container: docker run --privileged, or use a virtual machine (Vagrantfile)", true
	}
	if m, ok := errors.AsType[*topology.MissingFeature](err); ok {
		return "load the module (modprobe " + m.Feature + "), or take a kernel that was built with it", true
	}
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return "something forbids it even to root: a container's seccomp or AppArmor profile, perhaps; lab doctor tells more", true
	case errors.Is(err, unix.ENOSPC):
		return "the machine's limit of namespaces is reached: see /proc/sys/user/max_net_namespaces and its neighbours", true
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ENOMEM), errors.Is(err, unix.EAGAIN):
		return "the machine is short of descriptors, processes or memory: run fewer at a time", true
	}
	return "", false
}
