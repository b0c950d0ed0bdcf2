package scenarios

import (
	"fmt"
	"slices"
)

// Waiting says for a person what is waited for, or watched.
func (x Expect) Waiting() string {
	subject, verb := x.Event.words()
	if x.Times > 1 {
		verb += fmt.Sprintf(", %d times", x.Times)
	}
	switch {
	case x.Never && x.Within > 0:
		return fmt.Sprintf("for %v %s is not %s", x.Within, subject, verb)
	case x.Never:
		return subject + " was not " + verb
	}
	return "waiting for " + subject + " " + verb
}

// words says an event as a subject and an infinitive.
func (p Pattern) words() (subject, verb string) {
	who := p.Who
	if slices.Contains(Nodes, who) {
		who = "the " + who
	}
	switch p.What {
	case Call, Blocked:
		subject, verb = who+"'s "+p.Call+"()", "to return"
		if p.Input {
			subject += " of standard input"
		}
		switch {
		case p.What == Blocked:
			verb = "to block"
		case p.Result != "":
			verb += " " + p.Result
		}
		return subject, verb
	case Socket:
		if p.State == NoSocket {
			return who + "'s connection", "to be in no socket table any more"
		}
		return who + "'s socket", "to be in " + p.State
	case Sends:
		return who, "to send: " + p.Packet
	case Receives:
		return who, "to receive: " + p.Packet
	case Retransmits:
		return who + "'s TCP", "to send again"
	case Acknowledged:
		return "all that " + who + " sent", "to be acknowledged"
	case Timer:
		return who + "'s timer", "to be: " + p.Timer
	case Error:
		return who + "'s kernel", "to set " + p.Errno
	case Prints:
		return who, "to print: " + p.Text
	case Exits:
		if p.End != "" {
			return who, "to end with " + p.End
		}
		return who, "to end"
	case Gets:
		return who, "to get " + p.Signal
	case Reaps:
		return who, "to wait for a child that has ended"
	case Zombies:
		return who, fmt.Sprintf("to have %d zombies", p.Number)
	}
	return who, "to be seen: " + string(p.What)
}
