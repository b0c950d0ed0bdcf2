package claims

import (
	"fmt"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// UNP 5.16: the server's host is shut down.

func shutdownClaims() []Claim {
	return []Claim{
		{
			ID:        "D1",
			Says:      "init sends SIGTERM, which can be caught, to every process, gives them 5 to 20 seconds, and sends SIGKILL, which cannot, to those that are left.",
			Scenarios: []string{"shutdown", "shutdown-graceful"},
			needs:     []string{ends, sent, forks},
			judge:     termThenKill,
		},
		{
			ID:        "D2",
			Says:      "SIGTERM ends a server that does not catch it, SIGKILL one that does not go; its descriptors are closed, and the rest is as when it is killed.",
			Scenarios: []string{"shutdown"},
			needs:     []string{wire, ends, sent, exits},
			judge:     asKilled,
		},
		{
			ID:        "D3",
			Says:      "Only select or poll lets the client know of it at once.",
			Scenarios: []string{"shutdown-poll", "shutdown"},
			needs:     []string{wire, exits},
			judge:     func(e *evidence) finding { return pollTells(e.run("shutdown-poll"), e.run("shutdown")) },
		},
	}
}

// byInit passes signals of a host's init.
func byInit(name string) test {
	return func(e *record.Event) bool { return signal(name)(e) && e.Process.Sender == 1 }
}

// living are the processes of the server that ran when the fault came.
func (r *run) living() []int {
	var pids []int
	for _, e := range r.find(on("server"), proc(record.KindExec), until(r.Fault.Time)) {
		if e.PID != 1 && r.first(on("server"), of(e.PID), exit, until(r.Fault.Time)) == nil {
			pids = append(pids, e.PID)
		}
	}
	return pids
}

func termThenKill(e *evidence) finding {
	r, caught := e.run("shutdown"), e.run("shutdown-graceful")
	pids := r.living()
	term := r.find(on("server"), byInit("SIGTERM"), r.fault)
	kill := r.find(on("server"), byInit("SIGKILL"), r.fault)
	if len(pids) == 0 || len(term) == 0 || len(kill) == 0 {
		return no(r.at(first(term)), "SIGTERM went to %d processes, SIGKILL to %d", len(term), len(kill))
	}
	// A signal that a process ignores is not generated: it was sent to all at
	// once, and shows only in those that do not.
	for _, pid := range pids {
		if len(keep(term, of(pid))) == 0 && len(keep(kill, of(pid))) == 0 {
			return no(moment{}, "process %d got neither signal", pid)
		}
		if end := r.first(on("server"), of(pid), exit, r.fault); end == nil || end.Process.Signal == "" {
			return no(r.at(end), "no signal ended process %d", pid)
		}
	}
	gap := kill[0].Time - term[len(term)-1].Time
	if gap < int64(4900*time.Millisecond) || gap > int64(20*time.Second) {
		return no(r.at(kill[0]), "SIGKILL came %s after SIGTERM", span(gap))
	}
	killed := r.first(on("server"), of(kill[0].PID), exit, since(kill[0].Time))
	if killed == nil || killed.Process.Signal != "SIGKILL" {
		return no(r.at(kill[0]), "SIGKILL did not end process %d", kill[0].PID)
	}
	got := caught.first(on("server"), byInit("SIGTERM"), caught.fault)
	if got == nil {
		return no(moment{}, "no SIGTERM came to the server that catches it")
	}
	end := caught.first(on("server"), of(got.PID), exit, since(got.Time))
	if end == nil || end.Process.Signal != "" || end.Process.Status != 0 {
		return no(caught.at(end), "the server that catches SIGTERM did not end by itself")
	}
	return yes(r.at(kill[0]), "The host's init is lab's, and does the same. Of %d processes SIGTERM ended %s; SIGKILL, %s later, the one that ignored it. The server that catches SIGTERM, in shutdown-graceful, exited with status 0",
		len(pids), number(len(pids)-len(kill)), span(gap))
}

func number(n int) string {
	if n >= 0 && n < 4 {
		return []string{"none", "one", "two", "three"}[n]
	}
	return fmt.Sprint(n)
}

func asKilled(e *evidence) finding {
	r := e.run("shutdown")
	end, fin, ack, wrong := r.halfClose()
	if wrong != "" {
		return no(r.at(end), "%s", wrong)
	}
	if end.Process.Signal != "SIGTERM" || len(r.find(on("server"), of(end.PID), byInit("SIGTERM"), r.fault)) == 0 {
		return no(r.at(end), "the process that held the connection was not ended by init's SIGTERM")
	}
	stubborn := r.first(on("server"), exit, since(end.Time), func(e *record.Event) bool { return e.Process.Signal == "SIGKILL" })
	if stubborn == nil {
		return no(r.at(end), "no process had to be killed")
	}
	line, rst, read := r.first(on("server"), in, data, r.fault), r.first(on("server"), out, flag(record.FlagRST), r.fault), r.told()
	if line == nil || rst == nil || read == nil || rst.Time < line.Time || line.Time < ack.Time || !endOfFile(read) {
		return no(r.at(read), "it did not go on as in A: data, RST, read() = 0")
	}
	return yes(r.at(fin), "The server's child ended by SIGTERM, one that ignores it by SIGKILL. Then as in A1 to A7: FIN %s after the end, its ACK; at the next line a RST, and read() = 0",
		span(fin.Time-end.Time))
}
