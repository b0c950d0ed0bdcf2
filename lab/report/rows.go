package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// The rows of a capture stand between its packets and say what else happened:
// for Wireshark each is a message of syslog, on an interface of link type 252,
// whose packets name the dissector that is to read them.

// upperPDU comes before a message: two tags, that of the dissector's name and
// the end, each with its length (Wireshark's epan/exported_pdu.h).
const upperPDU = "\x00\x0c\x00\x08syslog\x00\x00" + "\x00\x00\x00\x00"

// The beginnings of messages: facility user, and how grave it is (RFC 5424
// section 6.2.1).
const (
	alert = "<9>"  // a fault
	info  = "<14>" // all others
)

// message is an event as the data of a packet of such an interface, nil if it
// has no row in a host's capture. A fault has one in every host's.
func message(r *record.Record, e *record.Event, host string) []byte {
	if e.Source == record.Fault {
		return []byte(upperPDU + alert + printable(faultName(e)+e.Text))
	}
	if e.Host != host {
		return nil
	}
	text := rowText(r, e)
	if text == "" {
		return nil
	}
	return []byte(upperPDU + info + printable(text))
}

// faultName comes before what a fault's event says.
func faultName(e *record.Event) string {
	switch e.Kind {
	case "heal":
		return "heal: "
	case "zero": // no fault, only the time that others count from
		return "time zero: "
	}
	return "fault " + e.Kind + ": "
}

// rowText says who did what, "" of what says nothing to a reader or is a packet.
func rowText(r *record.Record, e *record.Event) string {
	switch e.Source {
	case record.Wire:
		if e.Packet != nil || e.Time < r.Fault.Time && e.Link == record.LinkUp {
			return ""
		}
		return "link " + e.Link
	case record.Step:
		switch e.Kind {
		case "sockets", "start":
			return ""
		}
		return e.Text
	case record.Output:
		return e.Comm + " prints: " + e.Text
	case record.Syscall:
		return callText(e)
	case record.TCP:
		if e.Kind == record.KindDrop && meaningless(e.Text) {
			return ""
		}
		return "TCP: " + e.String() + connection(e.TCP.Local, e.TCP.Remote)
	case record.Socket:
		if e.State == nil {
			return ""
		}
		return "TCP: " + e.String() + connection(e.State.Local, e.State.Remote)
	case record.Process:
		if e.Kind == record.KindFork || e.PID == 1 {
			return "" // the init is lab's own
		}
	}
	return e.String()
}

// connection names a connection, as far as it is known.
func connection(local, remote string) string {
	if local == "" || remote == "" {
		return ""
	}
	return " (" + local + " - " + remote + ")"
}

// meaningless tells the reasons for which the kernel drops a packet that say
// nothing to a reader (enum skb_drop_reason).
func meaningless(text string) bool {
	_, reason, _ := strings.Cut(text, ": ")
	switch reason {
	case "QUEUE_PURGE", "NOT_SPECIFIED", "TCP_FLAGS":
		return true
	}
	return false
}

// callText tells a system call of a program that has to do with a connection,
// or waits for one, or for the user. What it does with its standard streams is
// told as its output and its user's input.
func callText(e *record.Event) string {
	c := e.Syscall
	switch c.Name {
	case "wait4", "poll", "ppoll", "select", "pselect6", "epoll_wait", "epoll_pwait", "epoll_pwait2":
		if c.Ret <= 0 {
			return ""
		}
	case "kill":
	default:
		if !c.Socket && !(c.FD == 0 && e.Kind == record.KindEnter) {
			return ""
		}
	}
	text := caller(e) + e.String()
	if e.Kind == record.KindCall && c.Duration >= int64(100*time.Millisecond) {
		text += ", blocked " + record.Span(c.Duration)
	}
	return text
}

// caller names a process whose call it is.
func caller(e *record.Event) string {
	if e.Comm == "" {
		return fmt.Sprintf("process %d: ", e.PID)
	}
	return fmt.Sprintf("%s[%d]: ", e.Comm, e.PID)
}
