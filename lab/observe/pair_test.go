package observe

import (
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/topology"
)

// testNamespace is an empty namespace without IPv6's background noise.
func testNamespace(t testing.TB) *topology.Namespace {
	t.Helper()
	ns, err := topology.NewNamespace()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ns.Close(); err != nil {
			t.Error(err)
		}
	})
	testSysctl(t, ns, "net/ipv6/conf/all/disable_ipv6", "1")
	testSysctl(t, ns, "net/ipv6/conf/default/disable_ipv6", "1")
	return ns
}

func testSysctl(t testing.TB, ns *topology.Namespace, path, value string) {
	t.Helper()
	err := ns.Do(func() error { return os.WriteFile("/proc/sys/"+path, []byte(value), 0) })
	if err != nil {
		t.Fatal(err)
	}
}

// testLink connects two namespaces by a veth pair and waits until it is up.
func testLink(t testing.TB, a *topology.Namespace, ifA, addrA string, b *topology.Namespace, ifB, addrB string) {
	t.Helper()
	ha := testNetlink(t, a)
	veth := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: ifA}, PeerName: ifB, PeerNamespace: netlink.NsFd(b.FD()),
	}
	if err := ha.LinkAdd(veth); err != nil {
		t.Fatalf("create veth pair: %v", err)
	}
	testAddress(t, ha, ifA, addrA)
	testAddress(t, testNetlink(t, b), ifB, addrB)
	testWaitUp(t, a, ifA)
	testWaitUp(t, b, ifB)
}

func testNetlink(t testing.TB, ns *topology.Namespace) *netlink.Handle {
	t.Helper()
	h, err := ns.NetlinkHandle(unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func testAddress(t testing.TB, h *netlink.Handle, iface, addr string) {
	t.Helper()
	a, err := netlink.ParseAddr(addr)
	if err != nil {
		t.Fatal(err)
	}
	link, err := h.LinkByName(iface)
	if err != nil {
		t.Fatalf("find %s: %v", iface, err)
	}
	if err := h.AddrAdd(link, a); err != nil {
		t.Fatalf("add %s to %s: %v", addr, iface, err)
	}
	if err := h.LinkSetUp(link); err != nil {
		t.Fatalf("set %s up: %v", iface, err)
	}
}

// testSetLink sets an interface up or down.
func testSetLink(t testing.TB, ns *topology.Namespace, iface string, up bool) {
	t.Helper()
	h := testNetlink(t, ns)
	link, err := h.LinkByName(iface)
	if err != nil {
		t.Fatalf("find %s: %v", iface, err)
	}
	set := h.LinkSetDown
	if up {
		set = h.LinkSetUp
	}
	if err := set(link); err != nil {
		t.Fatalf("set %s up=%t: %v", iface, up, err)
	}
}

// testWaitUp waits until an interface is operational; kernels before 6.8 take
// a second for that.
func testWaitUp(t testing.TB, ns *topology.Namespace, iface string) {
	t.Helper()
	h := testNetlink(t, ns)
	testEventually(t, iface+" is up", func() bool {
		link, err := h.LinkByName(iface)
		return err == nil && link.Attrs().OperState == netlink.OperUp
	})
}

// testEventually waits up to 5 s for a condition.
func testEventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for !f() {
		if time.Now().After(deadline) {
			t.Fatalf("not after 5 s: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// testPair is two connected hosts, 10.77.0.1 and 10.77.0.2.
func testPair(t testing.TB) (client, server Host) {
	t.Helper()
	testenv.NeedRoot(t)
	client = Host{Name: "client", Boot: 1, Iface: "eth0", Net: testNamespace(t)}
	server = Host{Name: "server", Boot: 1, Iface: "eth0", Net: testNamespace(t)}
	testLink(t, client.Net, "eth0", "10.77.0.1/24", server.Net, "eth0", "10.77.0.2/24")
	return client, server
}

// testClock starts a clock.
func testClock(t testing.TB) Clock {
	t.Helper()
	clock, err := NewClock()
	if err != nil {
		t.Fatal(err)
	}
	return clock
}

// An eventLog is a sink that keeps everything.
type eventLog struct {
	mu     sync.Mutex
	events []record.Event
}

func (l *eventLog) add(e record.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

// sorted is what was seen so far, in the order of time.
func (l *eventLog) sorted() []record.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	events := append([]record.Event(nil), l.events...)
	record.Sort(events)
	return events
}

func (l *eventLog) count(match func(record.Event) bool) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if match(e) {
			n++
		}
	}
	return n
}

// testListen is a TCP listener inside of a namespace.
func testListen(t testing.TB, ns *topology.Namespace, addr string) (l net.Listener) {
	t.Helper()
	err := ns.Do(func() (err error) {
		l, err = net.Listen("tcp", addr)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// testDial is a TCP connection from inside of a namespace.
func testDial(t testing.TB, ns *topology.Namespace, addr string) (c net.Conn) {
	t.Helper()
	err := ns.Do(func() (err error) {
		c, err = net.Dial("tcp", addr)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// testFind is an interface of a namespace.
func testFind(t testing.TB, ns *topology.Namespace, iface string) netlink.Link {
	t.Helper()
	link, err := testNetlink(t, ns).LinkByName(iface)
	if err != nil {
		t.Fatalf("find %s: %v", iface, err)
	}
	return link
}

// testRoute sets a namespace's default route.
func testRoute(t testing.TB, ns *topology.Namespace, via string) {
	t.Helper()
	if err := testNetlink(t, ns).RouteAdd(&netlink.Route{Gw: net.ParseIP(via)}); err != nil {
		t.Fatalf("add route via %s: %v", via, err)
	}
}
