package labtest

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/record"
)

// A Seen is an event that met an expectation.
type Seen struct {
	*record.Event // nil where none was to be seen
	// AfterFault counts from the network's first fault, or from its beginning
	// if there was none.
	AfterFault time.Duration
}

// Fault makes a host, a process, or the way to it go away: "crash", "reboot",
// "shutdown", "kill" of a host; "unreachable-host" and others of the router,
// without one. The kinds are those of lab help scenario. It returns when the
// fault is in force.
func (n *Network) Fault(kind string, of ...*Host) {
	n.t.Helper()
	line := "fault " + kind
	for _, h := range of {
		line += " " + h.Name()
	}
	n.do(line)
}

// Heal lets the network do again what it did before the faults of its own.
func (n *Network) Heal() {
	n.t.Helper()
	n.do("heal")
}

// Expect waits for an event, in the words of a scenario: "server socket
// ESTABLISHED", "client receives RST", "-within 2s client retransmits". It
// must come, or have come, since the test's last step: a fault, the start of a
// command, a Mark; -since start looks further back. Without -within it is
// waited for for 30 s.
func (n *Network) Expect(event string) Seen {
	n.t.Helper()
	return n.do("expect " + event)
}

// NotSeen waits for a time, counted from the test's last step, in which no
// such event may be seen.
func (n *Network) NotSeen(during time.Duration, event string) {
	n.t.Helper()
	n.do(fmt.Sprintf("! expect -for %v %s", during, event))
}

// Do performs a line of a scenario, any but those that say what is built:
// "fault crash server", "type client hello", "! expect -since fault client
// receives FIN". lab help scenario lists them.
func (n *Network) Do(line string) Seen {
	n.t.Helper()
	return n.do(line)
}

// do performs a line that the caller of its caller asks for.
func (n *Network) do(text string) Seen {
	n.t.Helper()
	_, file, line, _ := runtime.Caller(2)
	done, err := n.session.Do(n.ctx, filepath.Base(file), line, text)
	n.sockets.bury(func(one socket) bool { return n.session.Alive(one.host.host, one.boot) })
	if err != nil {
		n.fail(text, err)
	}
	if done.Seen == nil {
		return Seen{}
	}
	return Seen{done.Seen, n.session.AfterFault(done.Seen)}
}

// fail ends the test at a line.
func (n *Network) fail(text string, err error) {
	n.t.Helper()
	if unmet, ok := errors.AsType[*lab.UnmetError](err); ok {
		if unmet.Unseen {
			lack(n.t, err)
			return
		}
		n.t.Fatalf("%v", err)
		return
	}
	if _, cannot := lab.Explain(err); cannot {
		lack(n.t, fmt.Errorf("%s: %w", text, err))
		return
	}
	err = plain(err)
	verb, _, _ := strings.Cut(text, " ")
	said := strings.TrimPrefix(err.Error(), text+": ") // by what is performed, or by the compiler
	n.t.Fatalf("%s: %s", text, strings.TrimPrefix(said, verb+": "))
}

// Record is what was seen until now, and judged.
func (n *Network) Record() *record.Record { return n.session.Finish() }
