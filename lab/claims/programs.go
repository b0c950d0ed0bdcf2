package claims

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// The example programs, and the orderly close.

func programClaims() []Claim {
	return []Claim{
		{
			ID:        "P1",
			Says:      "The echo server is concurrent: it listens at port 9998 of any address with a backlog of 1024 and forks for each connection. The parent then closes the connection; the child has no listening socket.",
			Scenarios: []string{"hang"},
			needs:     []string{enters, exits, forks, tables},
			judge:     concurrent,
		},
		{
			ID:        "P2",
			Says:      "The child writes back what it reads. A read that a signal interrupts begins again; end of file is the child's end.",
			Scenarios: []string{"hang"},
			needs:     []string{enters, exits, ends, sent},
			judge:     echoes,
		},
		{
			ID:        "P3",
			Says:      "At SIGCHLD the parent waits until no ended child is left, and names each; interrupted calls restart (SA_RESTART). Of five that end at once none stays a zombie, as some would with a single wait.",
			Scenarios: []string{"zombies-reaped", "zombies", "kill"},
			needs:     []string{enters, exits, forks, ends, sent},
			judge:     reapsAll,
		},
		{
			ID:        "P4",
			Says:      "The client sends each line that its user types, and prints the echo. When the connection reads 0 it complains that the server is gone.",
			Scenarios: []string{"kill"},
			needs:     []string{enters, exits},
			judge:     clientLoop,
		},
		{
			ID:        "P5",
			Says:      "Without any fault: a three-way handshake, the echo, and, as exit closes all sockets, a close in four segments.",
			Scenarios: []string{"close"},
			needs:     []string{wire, exits, ends},
			judge:     orderly,
		},
	}
}

func concurrent(e *evidence) finding {
	r := e.run("hang")
	address := "0.0.0.0:9998"
	if r.Family == 6 {
		address = "[::]:9998"
	}
	bind := r.first(on("server"), call("bind"), succeeded)
	if bind == nil || bind.Syscall.Arg != address {
		return no(r.at(bind), "no bind(%s) was seen", address)
	}
	listen := r.first(on("server"), of(bind.PID), call("listen"), succeeded)
	if listen == nil || listen.Syscall.Arg != "1024" {
		return no(r.at(listen), "no listen(1024) was seen")
	}
	child, shut, seen := r.served()
	if shut == nil {
		return no(moment{}, "%s", seen)
	}
	// While the child lives, who holds what.
	listening, row := r.socket("server", func(s record.SocketRow) bool { return s.State == "LISTEN" })
	_, conn := r.socket("server", func(s record.SocketRow) bool { return s.State == "ESTABLISHED" })
	if row == nil || conn == nil {
		return unseen("bind(%s), listen(1024), %s; but no socket table shows who holds the sockets", address, seen)
	}
	listening.text = fmt.Sprintf("socket table: process %s LISTEN, %s ESTABLISHED", holders(row), holders(conn))
	if !slices.Equal(row.PIDs, []int{bind.PID}) || !slices.Equal(conn.PIDs, []int{child.PID}) {
		return no(listening, "bind(%s), listen(1024), %s; but the listening socket is held by %s, the connection by %s", address, seen, holders(row), holders(conn))
	}
	return yes(listening, "bind(%s), listen(1024), %s. Then the parent holds the listening socket alone, and the child the connection", address, seen)
}

// holders are the processes that hold a socket.
func holders(s *record.SocketRow) string {
	var all []string
	for _, pid := range s.PIDs {
		all = append(all, strconv.Itoa(pid))
	}
	if len(all) == 0 {
		return "nobody"
	}
	return strings.Join(all, " and ")
}

// served finds the child that the server forked for the first connection, and
// the parent's close of that.
func (r *run) served() (child, shut *record.Event, seen string) {
	accept := r.first(on("server"), call("accept4", "accept"), succeeded)
	if accept == nil {
		return nil, nil, "nothing was accepted"
	}
	child = r.first(on("server"), childOf(accept.PID), since(accept.Time))
	if child == nil {
		return nil, nil, "no child was forked after accept4()"
	}
	shut = r.first(on("server"), call("close"), of(accept.PID), fd(int(accept.Syscall.Ret)), since(child.Time))
	if shut == nil {
		return child, nil, "the parent did not close the connection"
	}
	return child, shut, fmt.Sprintf("accept4() = %d, fork of process %d, and close(%[1]d) in the parent", accept.Syscall.Ret, child.PID)
}

func echoes(e *evidence) finding {
	r := e.run("hang")
	child := r.Fault.PID
	stopped := r.first(on("server"), of(child), call("read"), interrupted)
	if stopped == nil {
		return no(moment{}, "no read() of the child was interrupted")
	}
	// The kernel restarts the call: what is seen next is its result.
	read := r.first(on("server"), of(child), call("read"), since(stopped.Time+1))
	if read == nil || !moved(read) {
		return no(r.at(read), "the interrupted read() did not begin again")
	}
	for _, got := range r.find(on("server"), of(child), call("read"), moved) {
		answer := r.first(on("server"), of(child), call("write"), since(got.Time))
		if answer == nil || answer.Syscall.Data != got.Syscall.Data || answer.Syscall.Ret != got.Syscall.Ret {
			return no(r.at(got), "what the child read, it did not write back")
		}
	}
	eof := r.first(on("server"), of(child), call("read"), endOfFile)
	end := r.first(on("server"), of(child), exit)
	if eof == nil || end == nil || end.Time < eof.Time || end.Process.Signal != "" || end.Process.Status != 0 {
		return no(r.at(end), "the child did not end by itself at end of file")
	}
	return yes(r.at(read), "All that was read was written back. SIGSTOP interrupted a read(); after SIGCONT the kernel began it again by itself (ERESTARTSYS), and it returned %d octets. At end of file: exit 0", read.Syscall.Ret)
}

// reaped are the children of the server that ended after the fault, and its
// waits that returned one.
func (r *run) reaped() (ended, waited []*record.Event) {
	accept := r.first(on("server"), call("accept4", "accept"), succeeded)
	if accept == nil {
		return nil, nil
	}
	for _, child := range r.find(on("server"), childOf(accept.PID)) {
		ended = append(ended, r.find(on("server"), exit, of(child.PID), r.fault)...)
		waited = append(waited, r.find(on("server"), call("wait4"), of(accept.PID), r.fault, func(e *record.Event) bool {
			return e.Syscall.Ret == int64(child.PID)
		})...)
	}
	slices.SortStableFunc(waited, func(a, b *record.Event) int { return cmp.Compare(a.Time, b.Time) })
	return ended, waited
}

func reapsAll(e *evidence) finding {
	all, once, kill := e.run("zombies-reaped"), e.run("zombies"), e.run("kill")
	ended, waited := all.reaped()
	if len(ended) < 2 || len(waited) != len(ended) {
		return no(moment{}, "%d children ended, and the parent waited for %d", len(ended), len(waited))
	}
	last := all.at(waited[len(waited)-1])
	told := all.find(on("server"), signal("SIGCHLD"), of(waited[0].PID), all.fault, until(waited[0].Time))
	if len(told) == 0 {
		return no(last, "no SIGCHLD came before the parent waited")
	}
	for _, w := range waited {
		line := fmt.Sprintf("child %d exit\n", w.Syscall.Ret)
		if all.first(on("server"), of(w.PID), call("write"), since(w.Time), with(line)) == nil {
			return no(all.at(w), "the parent did not print the end of child %d", w.Syscall.Ret)
		}
	}
	endedOnce, waitedOnce := once.reaped()
	if len(waitedOnce) == 0 || len(waitedOnce) >= len(endedOnce) {
		return no(last, "with a single wait %d children ended, and the parent waited for %d", len(endedOnce), len(waitedOnce))
	}
	accept := kill.first(on("server"), call("accept4", "accept"), interrupted, kill.fault)
	if accept == nil {
		return unseen("no accept4() was interrupted, so whether it restarts does not show")
	}
	if kill.first(on("server"), of(accept.PID), call("accept4", "accept"), failed("EINTR")) != nil ||
		kill.first(on("server"), of(accept.PID), since(accept.Time), func(e *record.Event) bool {
			return e.Syscall != nil && e.Syscall.Name == accept.Syscall.Name && entered(e) >= accept.Time && !interrupted(e)
		}) == nil {
		return no(kill.at(accept), "the interrupted accept4() did not begin again")
	}
	return yes(last, "%d children ended while the parent was stopped; then wait4() returned %d times, and each was printed. With a single wait: %d of %d, the rest stayed zombies. In kill, SIGCHLD interrupted accept4(), which the kernel restarted",
		len(ended), len(waited), len(waitedOnce), len(endedOnce))
}

func clientLoop(e *evidence) finding {
	r := e.run("kill")
	typed := r.first(on("client"), of(r.clientPID), call("read"), fd(0), moved)
	if typed == nil {
		return no(moment{}, "the client read nothing of its user")
	}
	line := typed.Syscall.Data
	sent := r.first(r.conn, call("write"), with(line), since(typed.Time))
	if sent == nil {
		return no(r.at(typed), "the client did not send what was typed")
	}
	echo := r.first(r.conn, call("read"), with(line), since(sent.Time))
	if echo == nil {
		return no(r.at(sent), "the client did not read the echo")
	}
	printed := r.first(on("client"), of(r.clientPID), call("write"), fd(1), with(line), since(echo.Time))
	if printed == nil {
		return no(r.at(echo), "the client did not print the echo")
	}
	eof := r.first(r.conn, r.fault, call("read"), endOfFile)
	if eof == nil {
		return no(moment{}, "the connection never read 0")
	}
	complaint := r.first(on("client"), of(r.clientPID), call("write"), since(eof.Time), with("server terminated prematurely\n"))
	if complaint == nil {
		return no(r.at(eof), "the client did not complain")
	}
	return yes(moment{r, complaint, "write(stdout): server terminated prematurely"},
		"read(stdin), write(), read(), write(stdout): the same %d octets each time. After read() = 0 it printed “server terminated prematurely”, its own words for it", len(line))
}

func orderly(e *evidence) finding {
	r := e.run("close")
	all := r.find(out, tcp)
	if len(all) < 3 || all[0].Host != "client" || all[0].Packet.Flags != record.FlagSYN ||
		all[1].Host != "server" || all[1].Packet.Flags != record.FlagSYN|record.FlagACK ||
		all[2].Host != "client" || all[2].Packet.Flags != record.FlagACK {
		return no(r.at(first(all)), "the connection did not begin with SYN, SYN+ACK, ACK")
	}
	sent := r.first(r.conn, call("write"), moved)
	if sent == nil || r.first(r.conn, call("read"), with(sent.Syscall.Data)) == nil {
		return no(r.at(sent), "the line was not echoed")
	}
	end := r.first(on("client"), of(r.clientPID), exit)
	fin1, fin2 := r.first(on("client"), out, flag(record.FlagFIN)), r.first(on("server"), out, flag(record.FlagFIN))
	if end == nil || fin1 == nil || fin2 == nil || fin1.Time < end.Time || fin2.Time < fin1.Time {
		return no(r.at(fin1), "the client did not exit and then send a FIN that the server answered with its own")
	}
	ack1, ack2 := r.acknowledges("server", fin1), r.acknowledges("client", fin2)
	if ack1 == nil || ack2 == nil || ack1.Time > fin2.Time {
		return no(r.at(fin2), "not both FINs were acknowledged")
	}
	if ack1 == fin2 {
		return linux(moment{r, fin2, "FIN+ACK"},
			"A FIN is acknowledged like data, and that may wait for something to go along with (RFC 1122 4.2.3.2; tcp_fin only schedules the ACK). The server's child read end of file and exited sooner, so its FIN carried the ACK (RFC 9293 3.6). A slower program makes it four.",
			"SYN, SYN+ACK, ACK; the echo; but three segments to close: FIN, FIN+ACK, ACK. The server's FIN left %s after the client's came", span(fin2.Time-fin1.Time))
	}
	return yes(r.at(ack1), "SYN, SYN+ACK, ACK; the echo; after exit: FIN, ACK, FIN, ACK. The first ACK left %s before the server's own FIN", span(fin2.Time-ack1.Time))
}
