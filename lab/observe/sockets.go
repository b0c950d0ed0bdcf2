package observe

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/topology"
)

// timerNames are the values of idiag_timer (inet_sk_diag_fill). The kernel
// calls the tail loss probe and RACK's reordering timer retransmissions too,
// and "probe" is also what it waits for after 500 ms without local resources
// (TCP_RESOURCE_PROBE_INTERVAL): on an interface without carrier, for one.
var timerNames = [...]string{0: "", 1: "retransmit", 2: "keepalive", 3: "timewait", 4: "probe"}

// A diagSocket is a row with what tells sockets apart.
type diagSocket struct {
	cookie uint64
	row    record.SocketRow
}

// Sockets reads the host's TCP socket table, with the sockets that no process
// holds any more (orphans, TIME_WAIT) and the requests a listener has not
// completed (SYN_RECV). IPv4 addresses that an IPv6 socket uses are shown as
// such, which is how the wire shows them.
func Sockets(h Host) ([]record.SocketRow, error) {
	nl, err := h.Net.NetlinkHandle(unix.NETLINK_INET_DIAG)
	if err != nil {
		return nil, fmt.Errorf("read sockets of %s: %w", h.Name, err)
	}
	defer nl.Close()
	socks, err := dumpSockets(nl)
	if err != nil {
		return nil, fmt.Errorf("read sockets of %s: %w", h.Name, err)
	}
	rows := make([]record.SocketRow, len(socks))
	for i, s := range socks {
		rows[i] = s.row
	}
	return rows, nil
}

func dumpSockets(nl *netlink.Handle) ([]diagSocket, error) {
	var socks []diagSocket
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		dump, err := dumpFamily(nl, family)
		if err != nil {
			return nil, err
		}
		for _, d := range dump {
			socks = append(socks, socketRow(d))
		}
	}
	return socks, nil
}

func dumpFamily(nl *netlink.Handle, family uint8) (dump []*netlink.InetDiagTCPInfoResp, err error) {
	err = topology.RetryDump(func() (err error) {
		dump, err = nl.SocketDiagTCPInfo(family)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("dump TCP sockets by sock_diag: %w", err)
	}
	return dump, nil
}

func socketRow(d *netlink.InetDiagTCPInfoResp) diagSocket {
	m := d.InetDiagMsg
	row := record.SocketRow{
		Local:       endpoint(m.ID.Source, m.ID.SourcePort),
		Remote:      endpoint(m.ID.Destination, m.ID.DestinationPort),
		State:       tcpStateName(uint32(m.State)),
		RecvQueue:   int(m.RQueue),
		SendQueue:   int(m.WQueue),
		Timer:       name(timerNames[:], m.Timer),
		Retransmits: int(m.Retrans),
		Inode:       m.INode,
	}
	if m.Timer != 0 {
		row.Expires = int64(m.Expires) * int64(time.Millisecond)
	}
	// A listener's tcp_info has other things in these fields, and
	// TIME_WAIT and SYN_RECV have none.
	if info := d.TCPInfo; info != nil && m.State != netlink.TCP_LISTEN {
		row.Backoff = int(info.Backoff)
		row.RTO = int64(info.Rto) * int64(time.Microsecond)
		row.RTT = int64(info.Rtt) * int64(time.Microsecond)
		row.Received, row.Acked = info.Bytes_received, info.Bytes_acked
		row.Cwnd, row.Unacked = int(info.Snd_cwnd), int(info.Unacked)
		row.RTTVar = int64(info.Rttvar) * int64(time.Microsecond)
	}
	return diagSocket{cookie: uint64(m.ID.Cookie[1])<<32 | uint64(m.ID.Cookie[0]), row: row}
}

// name looks up a number of which a later kernel may have more.
func name(names []string, n uint8) string {
	if int(n) < len(names) {
		return names[n]
	}
	return fmt.Sprintf("%d", n)
}

func endpoint(ip net.IP, port uint16) string {
	a, _ := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(a.Unmap(), port).String()
}

// PollSockets reports the changes of state of the host's TCP sockets, as far
// as reading the socket table every so often shows them: the substitute for a
// kernel in which they cannot be traced. A state that does not last from one
// look to the next is not seen, and the time of an event is that of the look.
// The sockets found at first are reported as changes from CLOSE.
//
// PollSockets returns nil when ctx ends.
func PollSockets(ctx context.Context, clock Clock, h Host, every time.Duration, sink Sink) error {
	nl, err := h.Net.NetlinkHandle(unix.NETLINK_INET_DIAG)
	if err != nil {
		return fmt.Errorf("poll sockets of %s: %w", h.Name, err)
	}
	defer nl.Close()
	tick := time.NewTicker(every)
	defer tick.Stop()
	var last []diagSocket
	for {
		socks, err := dumpSockets(nl)
		if err != nil {
			return fmt.Errorf("poll sockets of %s: %w", h.Name, err)
		}
		now := clock.Now()
		for _, change := range stateChanges(last, socks) {
			sink(record.Event{
				Time: now, Host: h.Name, Boot: h.Boot, Source: record.Socket, Kind: record.KindState,
				Text: "seen by polling", State: &change,
			})
		}
		last = socks
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// stateChanges compares two dumps. It modifies after: a socket that became a
// TIME_WAIT mini-socket has a new cookie, and keeps its old one there.
func stateChanges(before, after []diagSocket) []record.State {
	type tuple struct{ local, remote string }
	old := make(map[uint64]diagSocket)
	byTuple := make(map[tuple]uint64)
	for _, s := range before {
		old[s.cookie] = s
		byTuple[tuple{s.row.Local, s.row.Remote}] = s.cookie
	}
	alive := make(map[uint64]bool)
	for _, s := range after {
		alive[s.cookie] = true
	}
	var changes []record.State
	for i := range after {
		s := &after[i]
		was, found := old[s.cookie]
		if !found {
			// The mini-socket also stands for FIN_WAIT2 (tw_substate).
			cookie, same := byTuple[tuple{s.row.Local, s.row.Remote}]
			if same && !alive[cookie] && (s.row.State == "TIME_WAIT" || s.row.State == "FIN_WAIT2") {
				was, found = old[cookie], true
				s.cookie = cookie
				alive[cookie] = true
			}
		}
		from := "CLOSE"
		if found {
			from = was.row.State
		}
		if from != s.row.State {
			changes = append(changes, record.State{
				Local: s.row.Local, Remote: s.row.Remote, From: from, To: s.row.State, Sock: s.cookie,
			})
		}
	}
	for _, s := range before {
		if !alive[s.cookie] && s.row.State != "CLOSE" {
			changes = append(changes, record.State{
				Local: s.row.Local, Remote: s.row.Remote, From: s.row.State, To: "CLOSE", Sock: s.cookie,
			})
		}
	}
	return changes
}
