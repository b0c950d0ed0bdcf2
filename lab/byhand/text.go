package byhand

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
)

// row writes a line of a table: programs choose their names, so that no cell may
// say anything to a terminal, or begin another cell.
func row(t io.Writer, cells ...any) {
	line := make([]string, len(cells))
	for i, cell := range cells {
		line[i] = report.Clean(fmt.Sprint(cell))
	}
	fmt.Fprintln(t, strings.Join(line, "\t"))
}

// Write writes a status for a person.
func (s *Status) Write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s: up for %v, path %s, supervisor %d\n", called(s.Name), time.Since(s.Since).Round(time.Second), s.Path, s.PID)
	if r := s.Recording; r != nil {
		fmt.Fprintf(t, "recording since %s: %d events, of %d that there is room for\n", r.Since.Format(time.TimeOnly), r.Events, r.Room)
	}
	if r := s.Unsaved; r != nil {
		fmt.Fprintf(t, "the recording since %s has ended, and is not saved: %s\n", r.Since.Format(time.TimeOnly), Command(s.Name, "record stop", "--out", "DIR"))
	}
	fmt.Fprintln(t)
	s.writeFaults(t)
	s.writeHosts(t)
	s.writeLinks(t)
	s.writeProcesses(t)
	s.writeSockets(t)
	return t.Flush()
}

func (s *Status) writeFaults(t io.Writer) {
	if len(s.Faults) == 0 {
		fmt.Fprintln(t, "no fault is in force")
		return
	}
	fmt.Fprintln(t, "FAULT\tHOST\tFOR\tWHAT")
	for _, f := range s.Faults {
		since := "-"
		if !f.Since.IsZero() {
			since = time.Since(f.Since).Round(time.Second).String()
		}
		row(t, dash(f.Kind), dash(f.Host), since, f.Text)
	}
}

func (s *Status) writeHosts(t io.Writer) {
	fmt.Fprintln(t, "\nHOST\tADDRESS\tGATEWAY\tBOOT\tSTATE\tNAMESPACES")
	for _, h := range s.Hosts {
		state, way := "up", fmt.Sprintf("sudo nsenter -a -t %d", h.PID)
		if h.Down {
			state, way = "down", "-"
		}
		if h.NetNS != "" && !h.Down {
			way += ", sudo ip netns exec " + h.NetNS
		}
		row(t, h.Name, dash(h.Address), dash(h.Gateway), h.Boot, state, way)
	}
	if m := s.Middle; m != nil {
		way := "sudo nsenter --net=" + m.Path
		if m.NetNS != "" {
			way += ", sudo ip netns exec " + m.NetNS
		}
		row(t, m.Name, "-", "-", "-", "no host", way)
	}
}

func (s *Status) writeLinks(t io.Writer) {
	fmt.Fprintln(t, "\nLINK\tINTERFACE\tTO\tSET\tSTATE")
	for _, l := range s.Links {
		set := "up"
		if !l.Up {
			set = "down"
		}
		row(t, l.Node, l.Name, l.Peer, set, l.State)
	}
}

func (s *Status) writeProcesses(t io.Writer) {
	fmt.Fprintln(t, "\nHOST\tPID\tPARENT\tSTATE\tCOMMAND")
	none := true
	for _, h := range s.Hosts {
		for _, p := range h.Processes {
			none = false
			command := strings.Join(p.Argv, " ")
			if command == "" { // a zombie
				command = "(" + p.Comm + ")"
			}
			row(t, h.Name, p.PID, p.Parent, p.State, command)
		}
		if h.Error != "" {
			row(t, h.Name, "-", "-", "-", "(not known: "+h.Error+")")
		}
	}
	if none {
		fmt.Fprintln(t, "-\t-\t-\t-\tnothing runs")
	}
}

func (s *Status) writeSockets(t io.Writer) {
	fmt.Fprintln(t, "\nHOST\tSTATE\tRECV-Q\tSEND-Q\tLOCAL\tPEER\tPROCESS\tTIMER")
	none := true
	for _, h := range s.Hosts {
		for _, one := range h.Sockets {
			none = false
			row(t, h.Name, one.State, one.RecvQueue, one.SendQueue, one.Local, one.Remote, pids(one.PIDs), timer(one))
		}
	}
	if none {
		fmt.Fprintln(t, "-\tno TCP socket\t\t\t\t\t\t")
	}
}

func pids(all []int) string {
	return dash(strings.Trim(strings.ReplaceAll(fmt.Sprint(all), " ", ","), "[]"))
}

// timer is what a socket waits for: which timer, when it fires, and how often it
// has.
func timer(row record.SocketRow) string {
	if row.Timer == "" {
		return "-"
	}
	return fmt.Sprintf("%s in %v, sent %d", row.Timer, time.Duration(row.Expires).Round(time.Millisecond), row.Retransmits)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// WriteUp tells whoever made the lab how to use it.
func (s *Status) WriteUp(w io.Writer) error {
	between := string(s.Path)
	if between == "direct" {
		between = "--"
	} else {
		between = "-- " + between + " --"
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s is up: client %s %s %s server\n", called(s.Name), s.Hosts[0].address(), between, s.Hosts[1].address())
	for _, use := range []struct{ verb, args, why string }{
		{"exec", "server -- echo-server {any:port}", "run a program on a host, in any terminal"},
		{"exec", "client -- echo-client {server:port}", "and its client, in another"},
		{"watch", "", "see what happens, in a third"},
		{"fault", "crash", "make the server's host crash; lab fault --help has more"},
		{"status", "", "see how things are"},
		{"down", "", "take it all down"},
	} {
		fmt.Fprintf(t, "  %s\t%s\n", strings.TrimSpace(Command(s.Name, use.verb, use.args)), use.why)
	}
	return t.Flush()
}

// address is the host's, without the prefix length.
func (h Host) address() string {
	address, _, _ := strings.Cut(h.Address, "/")
	return address
}

// WriteFaults writes what is in force.
func (s *Status) WriteFaults(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "in force:")
	s.writeFaults(t)
	return t.Flush()
}

// WriteList writes a line for each lab.
func WriteList(w io.Writer, up []*Lab) error {
	if len(up) == 0 {
		_, err := fmt.Fprintln(w, "no lab is up")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tUP FOR\tPATH\tPROCESSES\tFAULTS IN FORCE\tRECORDING\tSUPERVISOR")
	for _, l := range up {
		s, err := l.Status()
		if err != nil {
			row(t, l.Name, "-", "-", "-", err, "-", "-")
			continue
		}
		processes := 0
		for _, h := range s.Hosts {
			processes += len(h.Processes)
		}
		var faults []string
		for _, f := range s.Faults {
			faults = append(faults, strings.TrimSpace(f.Kind+" "+f.Host))
		}
		recording := "-"
		if s.Recording != nil {
			recording = "since " + s.Recording.Since.Format(time.TimeOnly)
		}
		row(t, s.Name, time.Since(s.Since).Round(time.Second), s.Path, processes, dash(strings.Join(faults, ", ")), recording, s.PID)
	}
	return t.Flush()
}
