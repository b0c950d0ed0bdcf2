package report

import (
	"fmt"
	"strings"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// Afterwards says what the kernel told the program that was told next: errors
// of further calls on its sockets, and a signal that ended it; "" where there
// was none of it, or it is not known.
func Afterwards(r *record.Record) string {
	d := &r.Detection
	if d.Error == "" || r.Demand != nil {
		return ""
	}
	var said []string
	times := map[string]int{}
	add := func(what string) {
		if times[what]++; times[what] == 1 {
			said = append(said, what)
		}
	}
	raised := "" // a signal, just before
	for i := range r.Events {
		e := &r.Events[i]
		if e.Time <= d.Time || e.Host != d.Host || e.PID != d.PID {
			continue
		}
		switch {
		case e.Process != nil && e.Kind == record.KindSignal && e.Process.Signal == "SIGPIPE":
			raised = " and SIGPIPE"
			if ended(r, i) == "SIGPIPE" { // then no call returns any more
				add("SIGPIPE at its next write, which ended it")
				return list(said, times)
			}
		case e.Syscall != nil && e.Syscall.Socket && e.Syscall.Error != "" && !passing(e.Syscall.Error):
			add(e.Syscall.Name + "() = " + e.Syscall.Error + raised)
			raised = ""
		}
	}
	return list(said, times)
}

// list names things, and how often each was there.
func list(names []string, times map[string]int) string {
	var all []string
	for _, name := range names {
		switch n := times[name]; {
		case n == 2:
			name += ", twice"
		case n > 2:
			name += fmt.Sprintf(", %d times", n)
		}
		all = append(all, name)
	}
	return strings.Join(all, "; ")
}

// ended is the signal that ended a process which did nothing else after an
// event of its own than return from the call it was in; "" if none did.
func ended(r *record.Record, after int) string {
	calls := 0
	for i := after + 1; i < len(r.Events); i++ {
		e := &r.Events[i]
		switch {
		case e.Host != r.Events[after].Host || e.PID != r.Events[after].PID:
		case e.Syscall != nil:
			if calls++; calls > 1 {
				return ""
			}
		case e.Process != nil && e.Kind == record.KindExit:
			return e.Process.Signal
		}
	}
	return ""
}

// passing tells errors that only ask to try again.
func passing(errno string) bool {
	return errno == "EAGAIN" || errno == "EINTR" || errno == "EINPROGRESS"
}
