package observe

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// tracedConnectEnv makes "program" connect to these addresses.
const tracedConnectEnv = "OBSERVE_TEST_CONNECT"

// tracedConnect connects to all at once, with plain blocking calls. Where it
// succeeds it sends an octet and waits for an answer, elsewhere it shuts down
// what is not connected. That calls fail is what is looked at.
func tracedConnect(addrs []string) {
	var wg sync.WaitGroup
	for _, text := range addrs {
		addr := netip.MustParseAddrPort(text)
		var to unix.Sockaddr
		family := unix.AF_INET6
		if addr.Addr().Is4() {
			family, to = unix.AF_INET, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
		} else {
			to = &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()}
		}
		wg.Go(func() {
			s, err := unix.Socket(family, unix.SOCK_STREAM, 0)
			if err != nil {
				return
			}
			_ = unix.SetsockoptInt(s, unix.IPPROTO_TCP, unix.TCP_SYNCNT, 1)
			if err := unix.Connect(s, to); err != nil {
				_ = unix.Shutdown(s, unix.SHUT_WR)
				return
			}
			_, _ = unix.Write(s, []byte("x"))
			_, _ = unix.Read(s, make([]byte, 1))
		})
	}
	wg.Wait()
}

// A connect that fails is told with the address that it was for, which the
// socket has lost by then, and why; over IPv6 as over IPv4. And what TCP does
// over IPv6 is told with its addresses.
func TestTracerReportsConnects(t *testing.T) {
	const (
		local, local4       = "fd00:78::1", "10.78.0.1"
		open, closed        = "[fd00:78::2]:7000", "[fd00:78::2]:7001"
		nobody, silent      = "[fd00:78::9]:7000", "[fd00:78::8]:7000"
		noRoute, localhost  = "[fd00:99::1]:7000", "[::1]:7001"
		closed4, mapped     = "10.78.0.2:7001", "[::ffff:10.78.0.2]:7002"
		nobody4, silent4    = "10.78.0.9:7000", "10.78.0.8:7000"
		refused, hostUnr    = "-111 ECONNREFUSED", "-113 EHOSTUNREACH"
		netUnr, timedOut    = "-101 ENETUNREACH", "-110 ETIMEDOUT"
		notConnected, reset = "-107 ENOTCONN", "-104 ECONNRESET"
	)
	t.Setenv(tracedConnectEnv, strings.Join([]string{
		open, closed, nobody, silent, noRoute, localhost, closed4, mapped, nobody4, silent4,
	}, " "))
	h, start, cmd := testTracedHost(t)
	h.Iface = "eth0"
	server := Host{Name: "server", Boot: 1, Iface: "eth0", Net: testNamespace(t)}
	testLink(t, h.Net, "eth0", local4+"/24", server.Net, "eth0", "10.78.0.2/24")
	testSysctl(t, server.Net, "net/ipv6/conf/all/disable_ipv6", "0")
	testSysctl(t, server.Net, "net/ipv6/conf/eth0/disable_ipv6", "0")
	for _, family := range []string{"ipv4", "ipv6"} {
		testSysctl(t, h.Net, "net/"+family+"/neigh/eth0/mcast_solicit", "1")
	}
	hwaddr, _ := net.ParseMAC("02:00:00:00:00:99")
	for ns, addr := range map[Host]string{h: local, server: "fd00:78::2"} {
		nl, link := testNetlink(t, ns.Net), testFind(t, ns.Net, "eth0")
		a, err := netlink.ParseAddr(addr + "/64")
		if err != nil {
			t.Fatal(err)
		}
		a.Flags = unix.IFA_F_NODAD
		if err := nl.AddrAdd(link, a); err != nil {
			t.Fatal(err)
		}
		testSetLink(t, ns.Net, "lo", true)
		if ns != h {
			continue
		}
		for _, silent := range []string{silent, silent4} {
			err := nl.NeighSet(&netlink.Neigh{
				LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT,
				IP: netip.MustParseAddrPort(silent).Addr().AsSlice(), HardwareAddr: hwaddr,
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	l := testListen(t, server.Net, open)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return // then the test fails
		}
		_, _ = c.Read(make([]byte, 1))
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close() // a reset
	}()

	var log eventLog
	tracer := testTracer(t, testClock(t), log.add, h, server)
	start()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	testTracerFlush(t, tracer)

	var calls, shutdowns, tcp, states []string
	port := strings.NewReplacer() // of the connection's client end
	for _, e := range log.sorted() {
		if e.Kind == record.KindCall && e.Syscall.Remote == open && e.Syscall.Name == "write" {
			port = strings.NewReplacer(e.Syscall.Local, "CLIENT")
		}
	}
	for _, e := range log.sorted() {
		switch c := e.Syscall; {
		case c != nil && c.Socket && c.Name == "connect":
			calls = append(calls, strings.TrimRight(fmt.Sprintf("%s = %d %s", c.Arg, c.Ret, c.Error), " "))
		case c != nil && c.Socket && c.Name == "shutdown":
			shutdowns = append(shutdowns, fmt.Sprintf("%s = %d %s", c.Arg, c.Ret, c.Error))
		case c != nil && c.Name == "read" && c.Remote == open:
			if got := fmt.Sprintf("%d %s", c.Ret, c.Error); got != reset {
				t.Errorf("read: %s, want %s", got, reset)
			}
		case e.TCP != nil && e.Kind != record.KindDrop:
			// The port that connect took differs from run to run.
			at, _, _ := strings.Cut(port.Replace(e.TCP.Local), "]:")
			tcp = append(tcp, strings.Join(strings.Fields(fmt.Sprintf("%s %s %s > %s %s",
				e.Host, e.Kind, at, port.Replace(e.TCP.Remote), e.TCP.Error)), " "))
		case e.State != nil && (e.State.Remote == open || port.Replace(e.State.Remote) == "CLIENT"):
			states = append(states, fmt.Sprintf("%s %s>%s %s", e.Host, port.Replace(e.State.Local), port.Replace(e.State.Remote), e.State.To))
		}
	}
	slices.Sort(calls)
	want := []string{
		open + " = 0", closed + " = " + refused, nobody + " = " + hostUnr, silent + " = " + timedOut,
		noRoute + " = " + netUnr, localhost + " = " + refused, closed4 + " = " + refused,
		"10.78.0.2:7002 = " + refused, nobody4 + " = " + hostUnr, silent4 + " = " + timedOut,
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, calls); diff != "" {
		t.Errorf("connect (-want +got):\n%s", diff)
	}
	wantShutdowns := slices.Repeat([]string{"SHUT_WR = " + notConnected}, len(want)-1)
	if diff := cmp.Diff(wantShutdowns, shutdowns); diff != "" {
		t.Errorf("shutdown (-want +got):\n%s", diff)
	}
	wantStates := []string{
		// The local address is chosen after the state was set.
		"host >" + open + " SYN_SENT", "host CLIENT>" + open + " ESTABLISHED", "host CLIENT>" + open + " CLOSE",
		"server " + open + ">CLIENT SYN_RECV", "server " + open + ">CLIENT ESTABLISHED", "server " + open + ">CLIENT CLOSE",
	}
	slices.Sort(wantStates)
	slices.Sort(states)
	if diff := cmp.Diff(wantStates, states); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	for _, one := range []string{
		"host retransmit [" + local + " > " + silent,
		"host rst-received [" + local + " > " + closed,
		"host rst-received CLIENT > " + open,
		"server rst-sent [fd00:78::2 > CLIENT",
		"host error [" + local + " > " + nobody + " EHOSTUNREACH",
	} {
		if !slices.Contains(tcp, one) {
			t.Errorf("not reported: %s", one)
		}
	}
	slices.Sort(tcp)
	t.Log(strings.Join(tcp, "\n"))
}
