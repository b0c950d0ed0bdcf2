package record

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// String says in a line what the call was and what came of it, as strace
// does: read(3) = -1 ECONNRESET is told as read() = ECONNRESET, for which
// descriptor it was says less than whether it was the connection.
func (c *Call) String() string {
	object := ""
	switch {
	case c.Arg != "":
		object = c.Arg
	case c.Socket:
	case c.FD == 0 && !c.Socket:
		object = "stdin"
	case c.FD == 1:
		object = "stdout"
	case c.FD == 2:
		object = "stderr"
	}
	return c.Name + "(" + object + ")"
}

// Result is what the call returned: a number, or errno's name.
func (c *Call) Result() string {
	if strings.HasPrefix(c.Error, "ERESTART") { // the kernel's own, never seen by a program
		return "interrupted in the kernel"
	}
	if c.Error != "" {
		return c.Error
	}
	return strconv.FormatInt(c.Ret, 10)
}

// EndOfFile tells the end of what can be read, which is that of a connection
// if Socket is set.
func (c *Call) EndOfFile() bool {
	if c.Error != "" || c.Ret != 0 || c.Empty {
		return false
	}
	switch c.Name {
	case "read", "readv", "preadv2", "recvfrom", "recvmsg", "recvmmsg":
		return true
	}
	return c.Name == "splice" && c.Arg == SpliceFrom
}

// Span gives a time with three significant digits, for a reader.
func Span(ns int64) string {
	d := time.Duration(ns)
	switch {
	case ns == math.MinInt64: // which cannot be negated
		return "-" + Span(math.MaxInt64)
	case d < 0:
		return "-" + Span(-ns)
	case d >= 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d >= time.Millisecond:
		return fmt.Sprintf("%.3g ms", float64(d)/1e6)
	}
	return fmt.Sprintf("%.3g µs", float64(d)/1e3)
}

// String says what happened, without when and where.
func (e *Event) String() string {
	switch {
	case e.Packet != nil:
		s := e.Packet.String()
		if e.Packet.Fate == FateLost {
			s += ", lost"
		}
		return s
	case e.State != nil && e.State.From == "":
		return e.State.To + " (in the socket table)"
	case e.State != nil:
		return e.State.From + " -> " + e.State.To
	case e.Syscall != nil:
		if e.Kind == KindEnter {
			return e.Syscall.String() + " blocked"
		}
		s := e.Syscall.String() + " = " + e.Syscall.Result()
		if e.Syscall.Socket && e.Syscall.EndOfFile() {
			s += " (end of file)"
		}
		return s
	case e.TCP != nil:
		return e.tcp()
	case e.Process != nil:
		return e.process()
	case len(e.Sockets) > 0:
		return count(len(e.Sockets), "socket")
	}
	return e.Text
}

func (e *Event) tcp() string {
	switch e.Kind {
	case KindTLP:
		return "tail loss probe"
	case KindRetransmit:
		if e.TCP.Retransmits == 0 { // those of the timer count themselves
			return cmp.Or(e.Text, "retransmit, not by the timer")
		}
		return fmt.Sprintf("retransmit %d", e.TCP.Retransmits)
	case KindRSTSent:
		return "sends RST"
	case KindRSTRecv:
		return "receives RST"
	case KindError:
		return "socket error " + e.TCP.Error
	}
	return "packet " + e.Text // KindDrop: dropped, and why
}

func (e *Event) process() string {
	p := e.Process
	who := fmt.Sprintf("%s[%d]", e.Comm, e.PID)
	if e.Comm == "" || e.Kind == KindExec {
		who = fmt.Sprintf("process %d", e.PID)
	}
	switch e.Kind {
	case KindExec:
		return who + " executes " + strings.Join(p.Argv, " ")
	case KindRunning:
		if len(p.Argv) > 0 {
			return fmt.Sprintf("process %d runs already: %s", e.PID, strings.Join(p.Argv, " "))
		}
		return who + " runs already"
	case KindFork:
		return fmt.Sprintf("process %d forks %d", p.Parent, e.PID)
	case KindSignal:
		return p.Signal + " to " + who
	case KindExit:
		if p.Signal != "" {
			return who + " ended by " + p.Signal
		}
		return fmt.Sprintf("%s exit %d", who, p.Status)
	case KindUnseen:
		return who + " is not seen whole: " + e.Text
	}
	return who
}

// Due says what timer of the socket runs and when it fires: "retransmit in
// 0.20 s", "" if none does.
func (s *SocketRow) Due() string {
	if s.Timer == "" || s.Expires <= 0 {
		return s.Timer
	}
	return fmt.Sprintf("%s in %.2f s", s.Timer, time.Duration(s.Expires).Seconds())
}

// Holders are the processes that hold the socket, with something between.
func (s *SocketRow) Holders(between string) string {
	var pids []string
	for _, pid := range s.PIDs {
		pids = append(pids, strconv.Itoa(pid))
	}
	return strings.Join(pids, between)
}
