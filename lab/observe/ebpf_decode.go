package observe

import (
	"fmt"
	"maps"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// maxEnded bounds the processes that are known to have ended: an exit that comes
// twice does so at once.
const maxEnded = 4096

// A bpfDecoder turns the ring's records into events. It belongs to the
// reading goroutine.
type bpfDecoder struct {
	clock Clock
	tick  time.Duration // one jiffy

	rstReasons, dropReasons map[uint32]string

	// socks numbers the sockets. The kernel uses the address of a dead
	// socket again at once; a new life begins with a change from CLOSE or,
	// for what a listener accepts, from LISTEN.
	socks  map[uint64]bpfSocket
	nsocks uint64
	// ended are the processes whose exit was told: before Linux 6.16 it may
	// come twice (sched_process_exit in trace.bpf.c).
	ended map[processID]struct{}
	// told are the processes that do what is not seen, and what was said of them.
	told map[processID]map[int32]bool
	// process is that of the event that is decoded.
	process  processID
	epolls   epolls
	printers printers

	texts interner
	addrs addrCache
	calls slab[record.Call]
}

// A bpfSocket is what a socket is called, and whose it is.
type bpfSocket struct {
	serial uint64
	host   uint32
}

func newBPFDecoder(clock Clock, tick time.Duration) *bpfDecoder {
	return &bpfDecoder{
		clock: clock, tick: tick,
		socks: map[uint64]bpfSocket{}, ended: map[processID]struct{}{},
		told: map[processID]map[int32]bool{}, epolls: epolls{},
		printers: printers{processes: map[processID]*printer{}},
	}
}

// decode makes an event of a record. It is false for what is not to be told.
func (d *bpfDecoder) decode(head bpfHead, raw []byte) (record.Event, bool) {
	e := record.Event{
		Time: d.clock.Monotonic(head.time),
		PID:  int(head.pid),
		Comm: d.texts.text(head.comm),
	}
	if head.tid != head.pid {
		e.TID = int(head.tid)
	}
	d.process = processID{head.host, head.pid}
	ok := false
	switch head.kind {
	case bpfState, bpfError, bpfRetransmit, bpfRSTReceived, bpfRSTSent, bpfDrop:
		ok = d.sock(&e, head.kind, raw)
	case bpfEnter, bpfCall:
		ok = d.call(&e, head, raw)
	case bpfFork, bpfExit, bpfSignal, bpfUnseen, bpfExec:
		ok = d.task(&e, head, raw)
	}
	return e, ok
}

func (d *bpfDecoder) serial(sk uint64, fresh bool) uint64 {
	if sk == 0 {
		return 0
	}
	known, ok := d.socks[sk]
	if !ok || fresh {
		d.nsocks++
		known = bpfSocket{d.nsocks, d.process.host}
		d.socks[sk] = known
	}
	return known.serial
}

// drop forgets what is known of a host of which nothing comes any more.
func (d *bpfDecoder) drop(host uint32) {
	maps.DeleteFunc(d.socks, func(_ uint64, s bpfSocket) bool { return s.host == host })
	maps.DeleteFunc(d.ended, func(id processID, _ struct{}) bool { return id.host == host })
	maps.DeleteFunc(d.told, func(id processID, _ map[int32]bool) bool { return id.host == host })
	maps.DeleteFunc(d.epolls, func(id processID, _ map[epollKey]int) bool { return id.host == host })
	d.printers.drop(host)
}

func (d *bpfDecoder) sock(e *record.Event, kind uint32, raw []byte) bool {
	s, ok := decodeSock(raw)
	if !ok {
		return false
	}
	local, remote := d.addrs.texts(&s.ends)
	if kind == bpfState {
		const closed, listen = 7, 10
		e.Source, e.Kind = record.Socket, record.KindState
		e.State = &record.State{
			Local: local, Remote: remote,
			From: tcpStateName(uint32(s.from)), To: tcpStateName(uint32(s.to)), Cwnd: int(s.cwnd),
			Sock: d.serial(s.sk, s.from == closed || s.from == listen && s.to != closed),
		}
		return true
	}
	e.Source = record.TCP
	e.TCP = &record.TCPEvent{Local: local, Remote: remote, Sock: d.serial(s.sk, false)}
	if s.sk != 0 {
		e.TCP.State = tcpStateName(uint32(s.ends.state))
	}
	switch kind {
	case bpfError:
		e.Kind = record.KindError
		e.TCP.Error = bpfErrnoName(-int64(s.err))
		d.timers(e.TCP, &s)
	case bpfRetransmit:
		e.Kind, e.Text = retransmitKind(s.pending, s.ca)
		d.timers(e.TCP, &s)
		if s.err != 0 {
			e.TCP.Error = bpfErrnoName(int64(s.err))
			e.Text = "could not be sent"
		}
	case bpfRSTReceived:
		e.Kind = record.KindRSTRecv
	case bpfRSTSent:
		e.Kind = record.KindRSTSent
		e.Text = "by a socket"
		if s.sk == 0 {
			e.Text = "no socket for the segment"
		}
		e.Text += reasonText(d.rstReasons, s.reason)
	case bpfDrop:
		e.Kind = record.KindDrop
		e.Text = "dropped" + reasonText(d.dropReasons, s.reason)
	}
	return true
}

// timers fills in what the socket's timers, and its congestion window, were at
// the event. A retransmission
// by the timer is told with the RTO that has just expired and counts itself in
// Retransmits; the kernel doubles the RTO and increments Backoff only after
// the tracepoint (tcp_retransmit_timer in net/ipv4/tcp_timer.c).
func (d *bpfDecoder) timers(t *record.TCPEvent, s *bpfSock) {
	t.RTO = int64(s.rto) * int64(d.tick)
	t.Retransmits = int(s.retransmits)
	t.Backoff = int(s.backoff)
	t.Cwnd = int(s.cwnd)
}

// retransmitKind tells why a segment was sent again. The timer's handler
// (tcp_write_timer_handler) leaves icsk_pending at ICSK_TIME_LOSS_PROBE while
// it sends the probe, and clears it before it calls tcp_retransmit_timer. An
// acknowledgement that comes while a probe is scheduled may retransmit too,
// but only in the states Recovery and Loss, in which no probe is ever
// scheduled; icsk_retransmits, which is 0 for it as for a probe, does not
// tell them apart. A probe that sends new data is no retransmission and is
// not traced at all.
func retransmitKind(pending, ca uint8) (kind, text string) {
	const lossProbe, recovery = 5, 3 // ICSK_TIME_LOSS_PROBE, TCP_CA_Recovery
	switch {
	case pending == lossProbe && ca < recovery:
		return record.KindTLP, ""
	case pending == 0:
		return record.KindRetransmit, ""
	case ca == recovery:
		return record.KindRetransmit, "fast retransmit"
	}
	return record.KindRetransmit, "after an acknowledgement or an ICMP error, not the timer"
}

func reasonText(names map[uint32]string, reason uint32) string {
	switch name := names[reason]; {
	case name != "":
		return ": " + name
	case reason != 0:
		return fmt.Sprintf(": reason %d", reason)
	}
	return ""
}

func (d *bpfDecoder) call(e *record.Event, head bpfHead, raw []byte) bool {
	c, ok := decodeSyscall(raw)
	if !ok {
		return false
	}
	returned := head.kind == bpfCall
	e.Source, e.Kind = record.Syscall, record.KindEnter
	e.Syscall = d.calls.take()
	e.Syscall.Local, e.Syscall.Remote = d.addrs.texts(&c.ends)
	d.fillCall(e.Syscall, &c, returned)
	if returned {
		e.Kind = record.KindCall
		e.Syscall.Duration = head.time - c.start
		if c.call == callEpollCtl {
			d.epolls.control(d.process, &c)
		}
		if c.ret <= -512 && c.ret >= -516 {
			e.Text = "interrupted"
		}
	}
	return true
}

func (d *bpfDecoder) task(e *record.Event, head bpfHead, raw []byte) bool {
	e.Source = record.Process
	e.Process = &record.ProcEvent{}
	id := d.process
	if head.kind == bpfExec {
		argv, ok := decodeExec(raw)
		e.Kind, e.Process.Argv = record.KindExec, argv
		return ok
	}
	peer, number, ok := decodeProc(raw)
	if !ok {
		return false
	}
	switch head.kind {
	case bpfFork:
		delete(d.ended, id)
		delete(d.told, id)
		d.epolls.fork(processID{head.host, peer}, id)
		e.Kind, e.Process.Parent = record.KindFork, int(peer)
	case bpfExit:
		if _, twice := d.ended[id]; twice {
			return false
		}
		if len(d.ended) >= maxEnded {
			clear(d.ended)
		}
		d.ended[id] = struct{}{}
		delete(d.epolls, id)
		e.Kind = record.KindExit
		e.TID = 0 // of whichever thread was the last
		if sig := number & 0x7f; sig != 0 {
			e.Process.Signal = signalName(int(sig))
		} else {
			e.Process.Status = int(number>>8) & 0xff
		}
	case bpfSignal:
		e.Kind = record.KindSignal
		e.Process.Signal, e.Process.Sender = signalName(int(number)), int(peer)
	case bpfUnseen:
		if d.told[id][number] {
			return false
		}
		if d.told[id] == nil {
			d.told[id] = map[int32]bool{}
		}
		d.told[id][number] = true
		e.Kind, e.Text, e.TID = record.KindUnseen, unseenText(number), 0
	}
	return true
}

// unseenText says what a process does that is not seen: enum unseen of
// bpf/event.h.
func unseenText(what int32) string {
	const ioURing, compat = 1, 2
	switch what {
	case ioURing:
		return "io_uring: what it reads and writes through its ring is not seen"
	case compat:
		return "32-bit system calls: they are not decoded"
	}
	return fmt.Sprintf("unseen %d", what)
}
