package scenarios

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// eventForms lists what expect can wait for.
func eventForms() []Word {
	return []Word{
		{"CALL() [= RESULT]", "a system call on a TCP socket returns; RESULT: ok (more than 0, or 0 where that is success), EOF, or errno's name"},
		{"CALL(stdin) [= RESULT]", "the same on standard input"},
		{"blocked CALL()", "a system call is under way that began after the last thing that the script did; or CALL(stdin)"},
		{"socket STATE", "a TCP socket of the host reaches the state: LISTEN, ESTABLISHED, ...; gone: the connection is in no table any more"},
		{"sends PACKET", "a packet leaves the host"},
		{"receives PACKET", "a packet reaches the host"},
		{"retransmits", "the host's TCP sends again what was not acknowledged"},
		{"acknowledged", "all data that the host sent was acknowledged, some of it sent since the last thing that the script did"},
		{"timer NAME", "the connection's timer is retransmit, keepalive, probe, timewait or none"},
		{"error ERRNO", "the kernel sets the error of a socket"},
		{"prints TEXT...", "a line of output has TEXT in it"},
		{"exits [STATUS | SIGNAL]", "the program ends"},
		{"gets SIGNAL", "a signal is sent to a process"},
		{"reaps", "a process waited for a child that had ended"},
		{"zombies N", "N processes of the host have ended and were not waited for"},
	}
}

// states are the kernel's names (net/tcp_states.h).
var states = []string{
	"ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT",
	"LAST_ACK", "LISTEN", "CLOSING", NoSocket,
}

var timers = []string{"retransmit", "keepalive", "probe", "timewait", "none"}

// Calls are the system calls that are observed.
var Calls = []string{
	"read", "write", "readv", "writev", "preadv2", "pwritev2", "recvfrom", "sendto", "recvmsg", "sendmsg",
	"recvmmsg", "sendmmsg", "sendfile", "splice", "connect", "accept", "accept4",
	"listen", "bind", "shutdown", "close", "getsockopt", "poll", "ppoll", "select", "pselect6",
	"epoll_wait", "epoll_pwait", "epoll_pwait2", "epoll_ctl", "wait4", "waitid", "kill",
}

var callForm = regexp.MustCompile(`^([a-z0-9_]+)\((stdin)?\)$`)

// event reads WHO EVENT.
func (c *compiler) event(args []string) (Pattern, error) {
	p := Pattern{Who: args[0]}
	if err := c.who(p.Who); err != nil {
		return p, err
	}
	verb, rest := args[1], args[2:]
	one := func(what string) (string, error) {
		if len(rest) != 1 {
			return "", fmt.Errorf("%s takes %s", verb, what)
		}
		return rest[0], nil
	}
	none := func() error {
		if len(rest) != 0 {
			return fmt.Errorf("%s takes nothing", verb)
		}
		return nil
	}
	oneOf := func(what string, list []string) (string, error) {
		word, err := one("one " + what)
		if err == nil && !slices.Contains(list, word) {
			err = fmt.Errorf("%s %q: there are %s", what, word, strings.Join(list, ", "))
		}
		return word, err
	}
	var err error
	p.What = What(verb)
	onHost := false
	switch p.What {
	case Socket:
		p.State, err = oneOf("state", states)
		onHost = true
	case Blocked:
		var form string
		if form, err = one("a system call"); err == nil {
			p.Call, p.Input, err = call(form)
		}
	case Sends, Receives:
		if p.Packet, err = one("one packet"); err == nil && !isFlags(p.Packet) {
			_, err = oneOf("packet", wordNames(PacketKinds()))
		}
		onHost = true
	case Retransmits, Acknowledged:
		err = none()
		onHost = true
	case Reaps:
		err = none()
	case Timer:
		p.Timer, err = oneOf("timer", timers)
		onHost = true
	case Error:
		if p.Errno, err = one("an errno's name"); err == nil && !errnoName(p.Errno) {
			err = fmt.Errorf("no errno is called %q", p.Errno)
		}
		onHost = true
	case Prints:
		p.Text = strings.Join(rest, " ")
		if p.Text == "" {
			err = errors.New("prints what?")
		}
	case Exits:
		if len(rest) > 0 {
			if p.End, err = one("a status or a signal"); err == nil && unix.SignalNum(p.End) == 0 {
				_, err = number(p.End, 255)
			}
		}
		if err == nil {
			err = c.program(p.Who)
		}
	case Gets:
		if p.Signal, err = one("a signal"); err == nil && unix.SignalNum(p.Signal) == 0 {
			err = fmt.Errorf("no signal %q: such as SIGCHLD", p.Signal)
		}
	case Zombies:
		var n string
		if n, err = one("a number"); err == nil {
			p.Number, err = number(n, 10_000)
		}
		onHost = true
	default:
		if !callForm.MatchString(verb) {
			return p, fmt.Errorf("no event %q: there are %s", verb, names(eventForms()))
		}
		p.What = Call
		p.Call, p.Input, err = call(verb)
		if err == nil && len(rest) > 0 {
			if len(rest) != 2 || rest[0] != "=" {
				return p, fmt.Errorf("%s = RESULT", verb)
			}
			p.Result = rest[1]
			if p.Result != "ok" && p.Result != "EOF" && !errnoName(p.Result) {
				err = fmt.Errorf("result %q: ok, EOF or errno's name", p.Result)
			}
		}
	}
	if err == nil && onHost {
		err = c.host(p.Who)
	}
	return p, err
}

// isFlags tells a packet that is named by its flags: two at least, or it would
// be one of PacketKinds.
func isFlags(packet string) bool {
	names := strings.Split(packet, "+")
	for _, name := range names {
		if !slices.Contains([]string{"SYN", "FIN", "RST", "PSH", "ACK"}, name) {
			return false
		}
	}
	return len(names) > 1
}

func call(form string) (name string, input bool, err error) {
	parts := callForm.FindStringSubmatch(form)
	if parts == nil {
		return "", false, fmt.Errorf("%q: such as read() or read(stdin)", form)
	}
	if !slices.Contains(Calls, parts[1]) {
		return "", false, fmt.Errorf("system call %q is not observed; there are %s", parts[1], strings.Join(Calls, ", "))
	}
	return parts[1], parts[2] != "", nil
}

// errnoName tells whether errno(3) has the name.
func errnoName(name string) bool {
	for n := unix.Errno(1); n < 200; n++ {
		if unix.ErrnoName(n) == name {
			return true
		}
	}
	return false
}

func wordNames(list []Word) []string {
	var all []string
	for _, w := range list {
		all = append(all, w.Name)
	}
	return all
}
