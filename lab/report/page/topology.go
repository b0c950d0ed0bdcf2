package page

import (
	"fmt"
	"html/template"
	"slices"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// A network is drawn with the place where the fault struck, and says so in
// words.
type network struct {
	Drawing template.HTML
	Faults  []strike
	None    string // why there are none
}

// A strike is a fault: what it was, where, and what it did when.
type strike struct {
	Kind, Where string
	Moments     []moment
	Back        *moment // when what it took was there again, nil if it never was
}

type moment struct{ At, Text string }

func networkOf(r *record.Record) network {
	n := network{Drawing: draw(r)}
	faults := faultsOf(r)
	switch {
	case len(faults) > 0:
	case r.Fault.Kind == "" && !r.ByHand:
		n.None = "The run did not come to its fault."
	default:
		n.None = "There was no fault."
	}
	for i, f := range faults {
		s := strike{Kind: plain(f.Kind), Where: plain(where(r, f))}
		for j := range r.Events {
			e := &r.Events[j]
			ours := e.Source == record.Fault && e.Kind == f.Kind && e.Host == f.Host && e.Time >= f.Time &&
				(i+1 == len(faults) || e.Time < faults[i+1].Time)
			if ours {
				s.Moments = append(s.Moments, moment{since(r, e.Time), bounded(e.Text, maxText)})
			}
		}
		if f.Back > 0 {
			s.Back = &moment{since(r, f.Back), backOf(f)}
		}
		n.Faults = append(n.Faults, s)
	}
	return n
}

// backOf says what was there again after a fault.
func backOf(f record.FaultInfo) string {
	switch {
	case f.Kind == "failover":
		return "the address was answered again, by the standby"
	case placeOf(f) == atMachine:
		return "the host was there again"
	}
	return "the fault was over"
}

// faultsOf are those of the run, the first one first; none where there was no
// fault.
func faultsOf(r *record.Record) []record.FaultInfo {
	return slices.DeleteFunc(append([]record.FaultInfo{r.Fault}, r.Later...), func(f record.FaultInfo) bool {
		return f.Kind == "" || f.Kind == "zero"
	})
}

// A place is where a fault strikes.
type place int

const (
	elsewhere place = iota
	atProcess
	atSocket
	atMachine
	atWay    // in the middle, what comes from the host
	atMiddle // in the middle, what is for the server
)

// placeOf knows the faults by their kinds.
func placeOf(f record.FaultInfo) place {
	switch f.Kind {
	case "kill", "kill-unread", "hang", "shutdown":
		return atProcess
	case "destroy":
		return atSocket
	case "crash", "power-off", "reboot", "failover":
		return atMachine
	case "partition":
		return atWay
	case "unreachable-host", "unreachable-net", "reject-reset", "reject-prohibited", "forget-flow":
		return atMiddle
	}
	return elsewhere
}

// where says it in words.
func where(r *record.Record, f record.FaultInfo) string {
	host := "the " + f.Host
	if f.Host == "" {
		host = "the network"
	}
	switch placeOf(f) {
	case atProcess:
		switch {
		case f.Kind == "shutdown":
			return "at every process of " + host
		case f.PID > 0:
			return fmt.Sprintf("at process %d of %s, which held the connection", f.PID, host)
		}
		return "at the process of " + host + " that held the connection"
	case atSocket:
		return "at the connection's socket on " + host
	case atMachine:
		return "at the machine of " + host + ", its link included"
	case atWay:
		return "in the " + r.Path + ": nothing that comes from " + host + " gets through"
	case atMiddle:
		if f.Kind == "forget-flow" {
			return "in the router's firewall"
		}
		return "in the router, at what is for the server"
	}
	return "at " + host
}
