package topology

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// A Command is a program to be run on a host.
type Command struct {
	// Path is the executable; it is looked up in the host's mount
	// namespace, which starts as a copy of lab's own.
	Path string
	Argv []string // with Argv[0]
	Env  []string // nil: none
	Dir  string   // "": "/"
	// Credential is whom it runs as, nil for lab's own user.
	Credential *Credential
	// Stdin, Stdout and Stderr stay the caller's; nil is /dev/null.
	Stdin, Stdout, Stderr *os.File
}

// A Credential is a user's.
type Credential struct {
	UID, GID uint32
	Groups   []uint32
}

// Self is the Path by which a program that a host runs is this very
// executable again, even if the file was replaced or removed meanwhile.
const Self = "/proc/self/exe"

// A Process is a program that a host's init started.
type Process struct {
	PID  int // in the host's own PID namespace
	Host *Host

	once   sync.Once
	done   chan struct{}
	status unix.WaitStatus
	lost   bool
}

// Done is closed when the process ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Status is how the process ended. ok is false while it has not, and stays
// false if its host's init died first: then it died with it, by SIGKILL.
func (p *Process) Status() (status unix.WaitStatus, ok bool) {
	select {
	case <-p.done:
		return p.status, !p.lost
	default:
		return 0, false
	}
}

func (p *Process) end(status unix.WaitStatus, lost bool) {
	p.once.Do(func() {
		p.status, p.lost = status, lost
		close(p.done)
	})
}

// A ProcessInfo is a line of a host's process table.
type ProcessInfo struct {
	PID    int
	Parent int
	State  byte // as proc_pid_stat(5) has it: 'R', 'S', 'T', 'Z'...
	Comm   string
	Argv   []string
	// Threads are those that have not ended, of a zombie 1: its parent can
	// wait for it only then.
	Threads int
	// Sockets are the inodes of the sockets that it holds.
	Sockets []uint32
}

// Processes reads the host's process table, its init left out, in the order
// of the ids. A process that ends meanwhile is left out too.
func (h *Host) Processes() ([]ProcessInfo, error) {
	// The init mounted its own /proc; this is the way into it from outside.
	root := fmt.Sprintf("/proc/%d/root/proc", h.initPID())
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, fmt.Errorf("read process table of %s: %w", h.Name, err)
	}
	var all []ProcessInfo
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == 1 {
			continue
		}
		if info, err := readProcess(filepath.Join(root, e.Name()), pid); err == nil {
			all = append(all, info)
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].PID < all[j].PID })
	return all, nil
}

// stopped counts the threads of a process, and those that are stopped.
func (h *Host) stopped(pid int) (stopped, all int) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/root/proc/%d/task/*/stat", h.initPID(), pid))
	if err != nil {
		return 0, 0
	}
	for _, task := range tasks {
		stat, err := os.ReadFile(task)
		if err != nil {
			continue // it ended
		}
		all++
		if info, err := parseStat(string(stat), pid); err == nil && info.State == 'T' {
			stopped++
		}
	}
	return stopped, all
}

func readProcess(dir string, pid int) (ProcessInfo, error) {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return ProcessInfo{}, err
	}
	info, err := parseStat(string(stat), pid)
	if err != nil {
		return ProcessInfo{}, err
	}
	if cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline")); err == nil && len(cmdline) > 0 {
		info.Argv = strings.Split(strings.TrimSuffix(string(cmdline), "\x00"), "\x00")
	}
	fds, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		return info, nil // it ended, or is a zombie: no descriptors
	}
	for _, fd := range fds {
		link, err := os.Readlink(filepath.Join(dir, "fd", fd.Name()))
		if err != nil {
			continue
		}
		var inode uint32
		if _, err := fmt.Sscanf(link, "socket:[%d]", &inode); err == nil {
			info.Sockets = append(info.Sockets, inode)
		}
	}
	return info, nil
}

// parseStat reads proc_pid_stat(5). The command is in parentheses and may
// contain any character, parentheses too: the last one ends it.
func parseStat(stat string, pid int) (ProcessInfo, error) {
	open, end := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if open < 0 || end < open {
		return ProcessInfo{}, errors.New("malformed stat")
	}
	fields := strings.Fields(stat[end+1:])
	const state, parent, threads = 0, 1, 17
	if len(fields) <= threads {
		return ProcessInfo{}, errors.New("malformed stat")
	}
	info := ProcessInfo{PID: pid, State: fields[state][0], Comm: stat[open+1 : end]}
	var err1, err2 error
	info.Parent, err1 = strconv.Atoi(fields[parent])
	info.Threads, err2 = strconv.Atoi(fields[threads])
	return info, errors.Join(err1, err2)
}

// Ended tells whether a process of the host is no more, or a zombie that its
// parent can wait for.
func (h *Host) Ended(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/root/proc/%d/stat", h.initPID(), pid))
	if err != nil {
		return true
	}
	info, err := parseStat(string(stat), pid)
	return err == nil && info.State == 'Z' && info.Threads <= 1
}
