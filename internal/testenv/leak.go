package testenv

import (
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// patience is how long what is ending may take to have ended.
const patience = 10 * time.Second

// Main runs a package's tests and returns the exit status for its TestMain. If
// the tests passed it then proves that they left nothing behind: no
// descriptor, no goroutine, no thread in another network namespace, no
// process of this executable or child of this process, no network interface
// and no mount that was not there before.
func Main(m interface{ Run() int }) int {
	before := take()
	status := m.Run()
	if status != 0 {
		return status
	}
	if left := before.waitClean(patience); len(left) > 0 {
		fmt.Fprintf(os.Stderr, "the tests passed, but after %v this is left:\n  %s\n", patience, strings.Join(left, "\n  "))
		return 1
	}
	return 0
}

// A State is what a process has that tests could leave behind.
type State struct {
	fds        map[string]int // by what they are open on; sockets without their numbers
	interfaces []string
	mounts     []string
	processes  []string
	goroutines []string // as their stacks begin: "goroutine 7"
}

// Take notes what there is now, to compare with later.
func Take() *State { return take() }

func take() *State {
	return &State{fds: descriptors(), interfaces: interfaces(), mounts: mounts(), processes: processes(), goroutines: numbers(goroutines())}
}

// Left waits until nothing is left of what came after the State was taken,
// and names what still is after a while.
func (s *State) Left() []string { return s.waitClean(patience) }

func (s *State) waitClean(timeout time.Duration) []string {
	deadline := time.Now().Add(timeout)
	for {
		left := s.left()
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
		runtime.GC() // what only a finalizer would close is closed, too; but not for long
		time.Sleep(10 * time.Millisecond)
	}
}

func (s *State) left() []string {
	var left []string
	for what, n := range descriptors() {
		if more := n - s.fds[what]; more > 0 {
			left = append(left, fmt.Sprintf("%d descriptors of %s", more, what))
		}
	}
	stacks := goroutines()
	for i, number := range numbers(stacks) {
		if !slices.Contains(s.goroutines, number) {
			left = append(left, stacks[i])
		}
	}
	left = append(left, strayThreads()...)
	for _, p := range processes() {
		if !slices.Contains(s.processes, p) {
			left = append(left, p)
		}
	}
	for _, name := range interfaces() {
		if !slices.Contains(s.interfaces, name) {
			left = append(left, "network interface "+name)
		}
	}
	for _, m := range mounts() {
		if !slices.Contains(s.mounts, m) {
			left = append(left, "mount "+m)
		}
	}
	slices.Sort(left)
	return left
}

// processes are those of this executable, and this process's children. Of a
// fuzzer there are others than this one from the beginning on.
func processes() []string { return append(Processes("/proc/self/exe"), children()...) }

// descriptors counts this process's open files by what they are. Those that
// the runtime keeps for itself (its poller's) and that of the look itself do
// not count.
func descriptors() map[string]int {
	counts := map[string]int{}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return counts
	}
	for _, e := range entries {
		what, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err != nil || what == "anon_inode:[eventpoll]" || what == "anon_inode:[eventfd]" || strings.HasSuffix(what, "/fd") {
			continue
		}
		if kind, _, numbered := strings.Cut(what, ":["); numbered && kind != "anon_inode" {
			what = kind // the number is another each time
		}
		counts[what]++
	}
	return counts
}

// goroutines describes those that belong neither to the runtime nor to the
// testing package nor to this look.
func goroutines() []string {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var left []string
	for _, stack := range strings.Split(string(buf), "\n\n") {
		mine := strings.Contains(stack, "testenv.goroutines(")
		signals := strings.Contains(stack, "os/signal.signal_recv") || strings.Contains(stack, "os/signal.loop")
		waits := strings.Contains(stack, "testing.(*M).Run") || strings.Contains(stack, "testing.(*T).Run(") ||
			strings.Contains(stack, "testing.(*M).startAlarm") || strings.Contains(stack, "testing.runTests") ||
			strings.Contains(stack, "testing.(*T).Parallel(") || strings.Contains(stack, "testing.(*F).") ||
			strings.Contains(stack, "internal/fuzz.")
		if !mine && !signals && !waits {
			left = append(left, "goroutine:\n    "+strings.ReplaceAll(strings.TrimSpace(stack), "\n", "\n    "))
		}
	}
	return left
}

// numbers are what goroutines are called.
func numbers(stacks []string) []string {
	var all []string
	for _, s := range stacks {
		number, _, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(s, "goroutine:")), " [")
		all = append(all, number)
	}
	return all
}

// strayThreads are this process's threads that are in another network
// namespace than its first: the runtime would run any goroutine there.
func strayThreads() []string {
	home, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return nil
	}
	tasks, err := filepath.Glob("/proc/self/task/*/ns/net")
	if err != nil {
		return nil
	}
	var stray []string
	for _, task := range tasks {
		if ns, err := os.Readlink(task); err == nil && ns != home {
			stray = append(stray, fmt.Sprintf("thread %s in network namespace %s, not %s", strings.Split(task, "/")[4], ns, home))
		}
	}
	return stray
}

// Processes describes every process but this one that executes the file, in
// whatever namespace it is. A zombie executes nothing any more.
func Processes(executable string) []string {
	want, err := os.Stat(executable)
	if err != nil {
		return []string{"cannot tell processes: " + err.Error()}
	}
	var found []string
	for pid := range pids() {
		dir := "/proc/" + strconv.Itoa(pid)
		if got, err := os.Stat(dir + "/exe"); err != nil || !os.SameFile(got, want) {
			continue
		}
		argv, _ := os.ReadFile(dir + "/cmdline")
		found = append(found, fmt.Sprintf("process %d: %s", pid, strings.ReplaceAll(string(argv), "\x00", " ")))
	}
	return found
}

// children describes this process's children, the ended ones that nobody
// waited for included.
func children() []string {
	var found []string
	for pid := range pids() {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		head, fields, ok := strings.Cut(string(stat), ") ")
		if f := strings.Fields(fields); ok && len(f) > 1 && f[1] == strconv.Itoa(os.Getpid()) {
			_, comm, _ := strings.Cut(head, "(")
			found = append(found, fmt.Sprintf("child %d (%s), state %s", pid, comm, f[0]))
		}
	}
	return found
}

// pids are all processes but this one.
func pids() map[int]bool {
	all := map[int]bool{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return all
	}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && pid != os.Getpid() {
			all[pid] = true
		}
	}
	return all
}

func interfaces() []string {
	all, err := net.Interfaces()
	if err != nil {
		return nil
	}
	names := make([]string, len(all))
	for i, one := range all {
		names[i] = one.Name
	}
	return names
}

// mounts are this process's, by mount point and what is mounted there.
func mounts() []string {
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	all := map[string]bool{}
	for line := range strings.Lines(string(info)) {
		if f := strings.Fields(line); len(f) > 4 {
			all[f[4]+" of device "+f[2]] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}
