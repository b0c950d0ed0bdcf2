package topology_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/topology"
)

// Nothing but the experiment's own is on the wire: neither at the start nor at
// a crash.
func TestIPv6IsQuiet(t *testing.T) {
	for _, path := range topology.Paths {
		t.Run(string(path), func(t *testing.T) {
			n := newNetwork(t, topology.Config{Path: path, Family: topology.IPv6})
			captures := []*capture{newCapture(t, n.Client.Namespace()), newCapture(t, n.Server.Namespace())}
			client, server := dial(t, n)
			if _, err := fmt.Fprintln(client, "hello"); err != nil {
				t.Fatal(err)
			}
			if _, err := bufio.NewReader(server).ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			if err := n.Crash(n.Server, func(string) {}); err != nil {
				t.Fatal(err)
			}
			// Reports by version 2 of MLD go on for some 25 ms.
			time.Sleep(100 * time.Millisecond)
			own := []string{"neighbour solicitation", "neighbour advertisement", "TCP [S]", "TCP [SA]", "TCP [A]", "TCP [PA]"}
			for _, c := range captures {
				c.await(t, "TCP [PA]")
				for _, frame := range c.list() {
					if !slices.ContainsFunc(own, func(s string) bool { return strings.HasSuffix(frame, s) || strings.Contains(frame, s+" type") }) {
						t.Error("noise:", frame)
					}
				}
			}
		})
	}
}

func TestIPv6NetworkHasNoIPv4(t *testing.T) {
	for _, path := range topology.Paths {
		n := newNetwork(t, topology.Config{Path: path, Family: topology.IPv6})
		for _, ns := range []*topology.Namespace{n.Client.Namespace(), n.Server.Namespace(), n.Middle()} {
			if ns == nil {
				continue
			}
			for _, addr := range addresses(t, ns) {
				if addr.Is4() {
					t.Errorf("%s: address %s", path, addr)
				}
			}
		}
	}
}

func TestIPv4NetworkHasNoIPv6(t *testing.T) {
	for _, path := range topology.Paths {
		n := newNetwork(t, topology.Config{Path: path})
		for _, ns := range []*topology.Namespace{n.Client.Namespace(), n.Server.Namespace(), n.Middle()} {
			if ns == nil {
				continue
			}
			for _, addr := range addresses(t, ns) {
				if !addr.Is4() {
					t.Errorf("%s: address %s", path, addr)
				}
			}
		}
	}
}

// addresses are those of all interfaces but the loopback.
func addresses(t *testing.T, ns *topology.Namespace) []netip.Addr {
	t.Helper()
	var all []netip.Addr
	if err := ns.Do(func() error {
		interfaces, err := net.Interfaces()
		if err != nil {
			return err
		}
		for _, i := range interfaces {
			addrs, err := i.Addrs()
			if err != nil {
				return err
			}
			for _, a := range addrs {
				addr, _ := netip.AddrFromSlice(a.(*net.IPNet).IP)
				if addr = addr.Unmap(); !addr.IsLoopback() {
					all = append(all, addr)
				}
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// A client that never spoke to the server resolves its address though it is
// dead, or cannot.
func TestDeadHostIsResolvedIfNetworkAnswers(t *testing.T) {
	t.Parallel()
	for _, family := range families {
		for _, answer := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s,answerARP=%v", family, answer), func(t *testing.T) {
				t.Parallel()
				n := newNetwork(t, topology.Config{Path: topology.Switch, Family: family, AnswerARP: answer})
				if err := n.Crash(n.Server, func(string) {}); err != nil {
					t.Fatal(err)
				}
				c := newCapture(t, n.Client.Namespace())
				timeout := 500 * time.Millisecond
				if !answer {
					timeout = 30 * time.Second // resolving takes three to fail
				}
				err := dialFrom(n.Client, netip.AddrPortFrom(n.Server.NIC.Address.Addr(), 9998), timeout)
				mac, state, errNeighbour := n.Neighbour("client")
				if errNeighbour != nil {
					t.Fatal(errNeighbour)
				}
				if !answer {
					if !errors.Is(err, unix.EHOSTUNREACH) || state != "FAILED" {
						t.Errorf("connect: %v, neighbour %s; want %v, FAILED", err, state, unix.EHOSTUNREACH)
					}
					return
				}
				c.await(t, "out", "TCP [S]")
				if mac != n.Server.NIC.MAC.String() || state != "REACHABLE" {
					t.Errorf("connect: %v, neighbour %s %s; want %s REACHABLE", err, mac, state, n.Server.NIC.MAC)
				}
			})
		}
	}
}

// The network answers for a dead client as well.
func TestDeadClientIsResolvedIfNetworkAnswers(t *testing.T) {
	for _, family := range families {
		t.Run(family.String(), func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t, topology.Config{Path: topology.Switch, Family: family, AnswerARP: true})
			if err := n.Crash(n.Client, func(string) {}); err != nil {
				t.Fatal(err)
			}
			c := newCapture(t, n.Server.Namespace())
			_ = dialFrom(n.Server, netip.AddrPortFrom(n.Client.NIC.Address.Addr(), 9998), 100*time.Millisecond)
			c.await(t, "out", "TCP [S]")
		})
	}
}

func dialFrom(h *topology.Host, to netip.AddrPort, timeout time.Duration) error {
	return h.Namespace().Do(func() error {
		c, err := net.DialTimeout("tcp", to.String(), timeout)
		if err == nil {
			c.Close()
		}
		return err
	})
}

// What the router says when it cannot forward, and that it says so again for
// the next segment.
func TestRouterSaysUnreachable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		family topology.Family
		name   string
		make   func(*topology.Network) error
		says   string
	}{
		{topology.IPv4, "host", (*topology.Network).HostUnreachable, "10.0.0.254 > 10.0.0.1 ICMP type 3 code 1"},
		{topology.IPv4, "net", (*topology.Network).NetUnreachable, "10.0.0.254 > 10.0.0.1 ICMP type 3 code 0"},
		{topology.IPv6, "host", (*topology.Network).HostUnreachable, "fd00::fe > fd00::1 ICMPv6 unreachable type 1 code 3"},
		{topology.IPv6, "net", (*topology.Network).NetUnreachable, "fd00::fe > fd00::1 ICMPv6 unreachable type 1 code 0"},
	} {
		t.Run(fmt.Sprint(c.family, ",", c.name), func(t *testing.T) {
			n := newNetwork(t, topology.Config{Path: topology.Router, Family: c.family})
			client, _ := dial(t, n)
			capture := newCapture(t, n.Client.Namespace())
			server := newCapture(t, n.Server.Namespace())
			for range 2 { // it may be asked for again
				if err := c.make(n); err != nil && c.name == "host" {
					t.Fatal(err)
				}
			}
			if _, err := fmt.Fprintln(client, "hello"); err != nil {
				t.Fatal(err)
			}
			deadline := time.Now().Add(20 * time.Second)
			for len(capture.list(c.says)) < 2 {
				if time.Now().After(deadline) {
					t.Fatalf("not twice %q:\n%s", c.says, strings.Join(capture.list(), "\n"))
				}
				time.Sleep(time.Millisecond)
			}
			if said := capture.list("unreachable"); c.family == topology.IPv6 && len(said) != len(capture.list(c.says)) {
				t.Errorf("other ICMP:\n%s", strings.Join(said, "\n"))
			}
			if came := server.list(); len(came) > 0 {
				t.Errorf("the server heard:\n%s", strings.Join(came, "\n"))
			}
		})
	}
}
