package observe

import (
	"context"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

func TestStateChanges(t *testing.T) {
	const (
		here, there = "10.0.0.1:4242", "10.0.1.2:9998"
		other       = "10.0.0.1:4343"
	)
	sock := func(cookie uint64, local, state string) diagSocket {
		return diagSocket{cookie, record.SocketRow{Local: local, Remote: there, State: state}}
	}
	change := func(cookie uint64, local, from, to string) record.State {
		return record.State{Local: local, Remote: there, From: from, To: to, Sock: cookie}
	}
	tests := []struct {
		name  string
		dumps [][]diagSocket
		want  []record.State
	}{
		{
			name: "a connection's life", dumps: [][]diagSocket{
				{sock(1, here, "SYN_SENT")}, {sock(1, here, "ESTABLISHED")}, {sock(1, here, "ESTABLISHED")}, {},
			},
			want: []record.State{
				change(1, here, "CLOSE", "SYN_SENT"), change(1, here, "SYN_SENT", "ESTABLISHED"), change(1, here, "ESTABLISHED", "CLOSE"),
			},
		},
		{
			name: "the mini-socket of TIME_WAIT is the same connection", dumps: [][]diagSocket{
				{sock(1, here, "ESTABLISHED")}, {sock(5, here, "FIN_WAIT2")}, {sock(5, here, "TIME_WAIT")}, {sock(5, here, "TIME_WAIT")}, {},
			},
			want: []record.State{
				change(1, here, "CLOSE", "ESTABLISHED"), change(1, here, "ESTABLISHED", "FIN_WAIT2"),
				change(1, here, "FIN_WAIT2", "TIME_WAIT"), change(1, here, "TIME_WAIT", "CLOSE"),
			},
		},
		{
			name: "a new connection of the same addresses", dumps: [][]diagSocket{
				{sock(1, here, "ESTABLISHED")}, {sock(2, here, "ESTABLISHED")},
			},
			want: []record.State{
				change(1, here, "CLOSE", "ESTABLISHED"), change(2, here, "CLOSE", "ESTABLISHED"), change(1, here, "ESTABLISHED", "CLOSE"),
			},
		},
		{
			name: "two sockets", dumps: [][]diagSocket{
				{sock(1, here, "ESTABLISHED"), sock(2, other, "SYN_SENT")}, {sock(2, other, "SYN_SENT"), sock(1, here, "CLOSE_WAIT")},
			},
			want: []record.State{
				change(1, here, "CLOSE", "ESTABLISHED"), change(2, other, "CLOSE", "SYN_SENT"), change(1, here, "ESTABLISHED", "CLOSE_WAIT"),
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []record.State
			var last []diagSocket
			for _, dump := range tt.dumps {
				got = append(got, stateChanges(last, dump)...)
				last = dump
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

// testRow finds the one row of a host's table with these addresses.
func testRow(t *testing.T, h Host, local, remote string) (row record.SocketRow, found bool) {
	t.Helper()
	rows, err := Sockets(h)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.Local == local && r.Remote == remote {
			if found {
				t.Errorf("two rows of %s %s", local, remote)
			}
			row, found = r, true
		}
	}
	return row, found
}

func TestSockets(t *testing.T) {
	client, server := testPair(t)
	const addr, anyone = "10.77.0.2:9998", "0.0.0.0:0"
	l := testListen(t, server.Net, addr)
	c := testDial(t, client.Net, addr)
	local := c.LocalAddr().String()

	listener, ok := testRow(t, server, addr, anyone)
	if !ok || listener.State != "LISTEN" || listener.RecvQueue != 1 || listener.SendQueue == 0 || listener.Inode == 0 {
		t.Errorf("listener: %+v, want one connection that was not accepted, and a backlog", listener)
	}

	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("line 1\n")); err != nil {
		t.Fatal(err)
	}
	testEventually(t, "7 octets wait at the server", func() bool {
		row, _ := testRow(t, server, addr, local)
		return row.RecvQueue == 7
	})
	row, _ := testRow(t, client, local, addr)
	ignore := cmpopts.IgnoreFields(record.SocketRow{}, "RTT", "RTTVar", "RTO", "Cwnd", "Inode", "Timer", "Expires")
	if diff := cmp.Diff(record.SocketRow{Local: local, Remote: addr, State: "ESTABLISHED", Acked: 8}, row, ignore); diff != "" {
		t.Errorf("client (-want +got):\n%s", diff)
	}
	// The least RTO is 200 ms, and a veth's round trip far below.
	if row.RTO < 200e6 || row.RTO > 300e6 || row.RTT <= 0 || row.RTT > 100e6 || row.RTTVar <= 0 || row.Inode == 0 {
		t.Errorf("client: RTO %d, RTT %d, RTTVar %d, inode %d", row.RTO, row.RTT, row.RTTVar, row.Inode)
	}

	// TCP_INIT_CWND; whether one segment lets it grow, the congestion control
	// decides.
	if row.Cwnd < 10 || row.Cwnd > 11 {
		t.Errorf("client: a congestion window of %d segments", row.Cwnd)
	}

	// The server no longer knows its address; what the client writes is sent
	// again and again. (Without a carrier nothing would be sent, and the timer
	// would be the one for a lack of local resources.)
	nl, eth0 := testNetlink(t, server.Net), testFind(t, server.Net, "eth0")
	address, err := netlink.ParseAddr("10.77.0.2/24")
	if err != nil {
		t.Fatal(err)
	}
	if err := nl.AddrDel(eth0, address); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("line 2\n")); err != nil {
		t.Fatal(err)
	}
	testEventually(t, "the client retransmitted twice", func() bool {
		row, _ = testRow(t, client, local, addr)
		return row.Retransmits >= 2
	})
	if row.Timer != "retransmit" || row.Expires <= 0 || row.Expires > row.RTO || row.Backoff < 1 || row.SendQueue != 7 || row.RTO < 400e6 || row.Cwnd != 1 || row.Unacked != 1 {
		t.Errorf("client after two retransmissions: %+v", row)
	}
	if err := nl.AddrAdd(eth0, address); err != nil {
		t.Fatal(err)
	}
	testEventually(t, "the second line arrives", func() bool {
		row, _ := testRow(t, server, addr, local)
		return row.RecvQueue == 14
	})

	buf := make([]byte, 14)
	if _, err := s.Read(buf); err != nil {
		t.Fatal(err)
	}
	c.Close()
	testEventually(t, "the server knows of the end", func() bool {
		row, _ := testRow(t, server, addr, local)
		return row.State == "CLOSE_WAIT"
	})
	s.Close()
	testEventually(t, "the client waits", func() bool {
		row, _ = testRow(t, client, local, addr)
		return row.State == "TIME_WAIT"
	})
	if row.Timer != "timewait" || row.Expires <= 0 || row.Expires > 60e9 || row.Inode != 0 {
		t.Errorf("TIME_WAIT: %+v", row)
	}
}

// A client that is deaf to the SYN+ACK leaves the server with a request.
func TestSocketsHalfOpen(t *testing.T) {
	client, server := testPair(t)
	const addr = "10.77.0.2:9998"
	testListen(t, server.Net, addr)
	ctx, cancel := context.WithCancel(context.Background())
	deaf := func(_, _ string, c syscall.RawConn) (err error) {
		filter := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0}
		prog := unix.SockFprog{Len: 1, Filter: &filter}
		if e := c.Control(func(fd uintptr) {
			err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog)
		}); e != nil {
			return e
		}
		return err
	}
	done := make(chan error, 1)
	go func() {
		done <- client.Net.Do(func() error {
			d := net.Dialer{Control: deaf, LocalAddr: &net.TCPAddr{IP: net.IPv4(10, 77, 0, 1), Port: 4242}}
			c, err := d.DialContext(ctx, "tcp", addr)
			if err == nil {
				c.Close()
			}
			return err
		})
	}()
	defer func() {
		cancel()
		if err := <-done; err == nil {
			t.Error("the client connected")
		}
	}()
	var row record.SocketRow
	testEventually(t, "the server has half a connection", func() bool {
		row, _ = testRow(t, server, addr, "10.77.0.1:4242")
		return row.State == "SYN_RECV"
	})
	if row.Timer != "retransmit" || row.Expires <= 0 || row.Expires > int64(3*time.Second) {
		t.Errorf("server: %+v", row)
	}
	row, _ = testRow(t, client, "10.77.0.1:4242", addr)
	if row.State != "SYN_SENT" || row.Timer != "retransmit" || row.RTO < int64(time.Second) {
		t.Errorf("client: %+v", row)
	}
}

func TestPollSockets(t *testing.T) {
	client, server := testPair(t)
	const addr = "10.77.0.2:9998"
	l := testListen(t, server.Net, addr)
	var events eventLog
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	clock := testClock(t)
	go func() { done <- PollSockets(ctx, clock, client, 2*time.Millisecond, events.add) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	sees := func(to string) {
		t.Helper()
		testEventually(t, "the poll shows "+to, func() bool {
			return events.count(func(e record.Event) bool { return e.State.To == to }) > 0
		})
	}
	c := testDial(t, client.Net, addr)
	sees("ESTABLISHED")
	c.Close()
	sees("FIN_WAIT2")
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	sees("TIME_WAIT")
	socks := make(map[uint64]bool)
	for _, e := range events.sorted() {
		if e.Source != record.Socket || e.Kind != record.KindState || e.Host != "client" || e.State.Remote != addr {
			t.Errorf("event %+v %+v", e, *e.State)
		}
		socks[e.State.Sock] = true
	}
	if len(socks) != 1 {
		t.Errorf("one connection was seen as %d sockets", len(socks))
	}
}
