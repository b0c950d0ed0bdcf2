package warp

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// An ending is what a User-Mode Linux kernel tells of its processes when it is
// ended or panics (report_processes in kernel/uml.patch).
type ending struct {
	ran       time.Duration // by its clock
	computing guestProcess  // what it was at; its PID is 0 if it waited
	waiting   []guestProcess
}

// A guestProcess is one of a machine's.
type guestProcess struct {
	pid  int
	name string
}

func (p guestProcess) String() string { return fmt.Sprintf("%s (process %d)", p.name, p.pid) }

// readEnding finds it among the lines of a console. Process 1 is lab's own and
// is not told of.
func readEnding(lines []string) (e ending) {
	listed := map[int]bool{} // all but the kernel's own, which have some work at any time
	for _, line := range lines {
		kind, rest, ok := strings.Cut(line, ": ")
		if !ok {
			continue
		}
		switch kind {
		case "time":
			ms, err := strconv.ParseInt(strings.TrimSuffix(rest, " ms"), 10, 64)
			if err == nil {
				e.ran = time.Duration(ms) * time.Millisecond
			}
		case "computing":
			if p, ok := readProcess(rest); ok {
				e.computing = p
			}
		case "process":
			number, rest, _ := strings.Cut(rest, " ")
			state, name, _ := strings.Cut(rest, " ")
			p, ok := readProcess(number + " " + name)
			listed[p.pid] = true
			switch {
			case !ok:
			case state == "R":
				e.computing = p
			case state != "Z":
				e.waiting = append(e.waiting, p)
			}
		}
	}
	if !listed[e.computing.pid] {
		e.computing = guestProcess{}
	}
	return e
}

// patient is how long a machine's clock may have gone while its programs were
// not waiting: its start takes more than a minute of it.
const patient = 10 * time.Minute

// tell adds what the machine told.
func (e *LimitError) tell(end ending) {
	switch busy := end.computing; {
	case busy.pid > 0:
		e.Program, e.PID = busy.name, busy.pid
	case len(end.waiting) == 0:
	case end.ran > patient+e.Limit:
		e.Waiting, e.Virtual = end.waits(), end.ran
		e.Hint = "in the machine there is nobody else who could send a signal, type or connect"
	default: // lab was busy with what it wrote
		busy = end.waiting[len(end.waiting)-1]
		e.Program, e.PID = busy.name, busy.pid
	}
}

func readProcess(text string) (guestProcess, bool) {
	number, name, _ := strings.Cut(text, " ")
	pid, err := strconv.Atoi(number)
	return guestProcess{pid, name}, err == nil && pid > 1
}

// maxNamed bounds how many processes a message names.
const maxNamed = 5

// waits says what waits.
func (e ending) waits() string {
	var names []string
	for _, p := range e.waiting[:min(len(e.waiting), maxNamed)] {
		names = append(names, p.String())
	}
	if more := len(e.waiting) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}
