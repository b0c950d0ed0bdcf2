package topology

import (
	"errors"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// A Command is a program to be run on a host.
type Command struct {
	// Path is the executable; it is looked up in the host's mount
	// namespace, which starts as a copy of lab's own, but not in PATH.
	Path string
	Argv []string // with Argv[0]
	Env  []string // nil: none
	Dir  string   // "": "/"
	// Credential is whom the program runs as; nil is as lab itself.
	Credential *Credential
	// Stdin, Stdout and Stderr stay the caller's; nil is /dev/null. A
	// terminal is not the program's controlling one: it can read and write
	// it, but gets no signals of it, and has no /dev/tty.
	Stdin, Stdout, Stderr *os.File
}

// A Credential is a user and the groups, by their numbers. A user other than 0
// has no capabilities, and enters Dir and executes Path by its own right. Nor
// can it open a pipe of the caller's again by /dev/stdout or /proc/self/fd,
// which is the caller's file, unless that gives it to the user (fchown).
type Credential struct {
	UID    uint32   `json:"uid"`
	GID    uint32   `json:"gid"`
	Groups []uint32 `json:"groups,omitempty"` // supplementary; nil: none
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
	all, err := h.readProcesses()
	if err != nil {
		return nil, fmt.Errorf("read process table of %s: %w", h.Name, err)
	}
	return all, nil
}

func (h *Host) readProcesses() ([]ProcessInfo, error) {
	proc, err := h.processTable()
	if err != nil {
		return nil, err
	}
	names, err := readNames(proc, ".")
	if err != nil {
		return nil, err
	}
	var all []ProcessInfo
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == 1 {
			continue
		}
		if info, err := readProcess(proc, pid); err == nil {
			all = append(all, info)
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].PID < all[j].PID })
	return all, nil
}

// processTable is the host's own /proc, which stays the init's.
func (h *Host) processTable() (*os.Root, error) {
	p, err := h.running()
	if err != nil {
		return nil, err
	}
	return p.processTable()
}

// stopped counts the threads of a process, and those that are stopped.
func (h *Host) stopped(pid int) (stopped, all int) {
	proc, err := h.processTable()
	if err != nil {
		return 0, 0
	}
	dir, err := proc.OpenRoot(strconv.Itoa(pid))
	if err != nil {
		return 0, 0
	}
	defer dir.Close()
	return countThreads(dir, "T")
}

// countThreads counts the threads of the process whose directory of proc(5) is
// given, and those that are in one of the states.
func countThreads(dir *os.Root, states string) (in, all int) {
	tasks, err := readNames(dir, "task")
	if err != nil {
		return 0, 0
	}
	for _, task := range tasks {
		stat, err := dir.ReadFile("task/" + task + "/stat")
		if err != nil {
			continue // it ended
		}
		all++
		if info, err := parseStat(string(stat), 0); err == nil && strings.IndexByte(states, info.State) >= 0 {
			in++
		}
	}
	return in, all
}

// readNames lists a directory, in no order.
func readNames(root *os.Root, name string) ([]string, error) {
	dir, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return dir.Readdirnames(-1)
}

// readProcess reads what a proc(5) tells of a process.
func readProcess(proc *os.Root, pid int) (ProcessInfo, error) {
	dir, err := proc.OpenRoot(strconv.Itoa(pid))
	if err != nil {
		return ProcessInfo{}, err
	}
	defer dir.Close()
	stat, err := dir.ReadFile("stat")
	if err != nil {
		return ProcessInfo{}, err
	}
	info, err := parseStat(string(stat), pid)
	if err != nil {
		return ProcessInfo{}, err
	}
	if cmdline, err := dir.ReadFile("cmdline"); err == nil && len(cmdline) > 0 {
		info.Argv = strings.Split(strings.TrimSuffix(string(cmdline), "\x00"), "\x00")
	}
	info.Sockets = readSockets(dir)
	return info, nil
}

// readSockets gives the inodes of the sockets among the descriptors of the
// process whose directory of proc(5) is given: none if it ended, or is a
// zombie. There may be thousands of descriptors, and pollers call this.
func readSockets(dir *os.Root) (inodes []uint32) {
	fds, err := dir.Open("fd")
	if err != nil {
		return nil
	}
	defer fds.Close()
	names, err := fds.Readdirnames(-1)
	if err != nil {
		return nil
	}
	buf := make([]byte, 64) // of a longer link the beginning: it is no socket's
	for _, name := range names {
		n, err := unix.Readlinkat(int(fds.Fd()), name, buf)
		if err != nil {
			continue
		}
		if inode, ok := socketInode(string(buf[:n])); ok {
			inodes = append(inodes, inode)
		}
	}
	return inodes
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
	proc, err := h.processTable()
	if err != nil {
		return true // with its host
	}
	stat, err := proc.ReadFile(strconv.Itoa(pid) + "/stat")
	if err != nil {
		return true
	}
	info, err := parseStat(string(stat), pid)
	return err == nil && info.ended()
}

// ended tells whether it is a zombie that its parent can wait for.
func (p ProcessInfo) ended() bool { return p.State == 'Z' && p.Threads <= 1 }
