package report

import (
	"fmt"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/ladder"
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

// message is the event of an index as the data of a packet of such an
// interface, nil if it has no row in a host's capture. A fault has one in every
// host's.
func message(r *record.Record, i int, host string) []byte {
	e := &r.Events[i]
	text := ladder.Text(r, i)
	if text == "" || e.Packet != nil || e.Host != host && e.Source != record.Fault {
		return nil
	}
	gravity := info
	switch e.Source {
	case record.Fault:
		if e.Kind != "zero" { // that is none
			gravity = alert
		}
	case record.Output:
		text = e.Comm + " prints: " + e.Text
	case record.Syscall:
		text = caller(e) + text
	case record.TCP:
		text = "TCP: " + text + connection(e.TCP.Local, e.TCP.Remote)
	case record.Socket:
		text = "TCP: " + text + connection(e.State.Local, e.State.Remote)
	}
	return []byte(upperPDU + gravity + printable(text))
}

// caller names the process whose call an event is.
func caller(e *record.Event) string {
	if e.Comm == "" {
		return fmt.Sprintf("process %d: ", e.PID)
	}
	return fmt.Sprintf("%s[%d]: ", e.Comm, e.PID)
}

// connection names one, as far as it is known.
func connection(local, remote string) string {
	if local == "" || remote == "" {
		return ""
	}
	return " (" + local + " - " + remote + ")"
}
