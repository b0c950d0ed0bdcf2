package topology

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// A pidNamespace holds a PID namespace's number. The kernel gives the number
// of a namespace that is gone to the next one, so that whoever observes
// processes by it would take a stranger's for the host's.
type pidNamespace struct {
	file  *os.File
	inode uint32
}

// openPIDNamespace opens the PID namespace of a process that the caller keeps
// from being reaped.
func openPIDNamespace(pid int) (*pidNamespace, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/ns/pid", pid))
	if err != nil {
		return nil, fmt.Errorf("open PID namespace: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		f.Close()
		return nil, fmt.Errorf("stat PID namespace: %w", err)
	}
	return &pidNamespace{f, uint32(st.Ino)}, nil
}

// close may be called again.
func (p *pidNamespace) close() error {
	if p.file == nil {
		return nil
	}
	err := p.file.Close()
	p.file = nil
	return err
}
