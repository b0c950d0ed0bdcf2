package topology_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/topology"
)

// silence is how long nothing must happen; patience how long something may
// take to.
const (
	silence  = 500 * time.Millisecond
	patience = 20 * time.Second
)

// arrives sends a line one way and tells whether it came within the time.
func arrives(t *testing.T, from, to net.Conn, line string, within time.Duration) bool {
	t.Helper()
	if _, err := io.WriteString(from, line); err != nil {
		t.Fatal(err)
	}
	return comes(t, to, line, within)
}

// comes tells whether exactly this is read within the time.
func comes(t *testing.T, to net.Conn, line string, within time.Duration) bool {
	t.Helper()
	if err := to.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(line))
	n, err := io.ReadFull(to, got)
	if errors.Is(err, unix.ETIMEDOUT) || (err != nil && !isTimeout(err)) || n != 0 && string(got) != line {
		t.Fatalf("read %q, %v; want %q", got[:n], err, line)
	}
	return err == nil
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout() && !errors.Is(err, unix.ETIMEDOUT)
}

func TestPartitionIsOneDirectionalAndSilent(t *testing.T) {
	t.Parallel()
	for _, path := range []topology.Path{topology.Switch, topology.Router} {
		for _, who := range []string{"client", "server"} {
			t.Run(fmt.Sprintf("%s,%s", path, who), func(t *testing.T) {
				t.Parallel()
				n := newNetwork(t, topology.Config{Path: path})
				client, server := dial(t, n)
				from, to := client, server
				if who == "server" {
					from, to = server, client
				}
				host, err := n.Host(who)
				if err != nil {
					t.Fatal(err)
				}
				if err := n.Partition(host); err != nil {
					t.Fatal(err)
				}
				if !arrives(t, to, from, "towards\n", patience) {
					t.Error("what is sent to the partitioned host does not arrive")
				}
				if arrives(t, from, to, "lost\n", silence) {
					t.Error("what the partitioned host sends arrives")
				}
				// Its kernel backs off, as it does only for what the network
				// loses, not for what it could not send itself.
				waitFor(t, "two retransmissions with backoff", func() bool {
					info := infoOf(t, from)
					return info.Retransmits >= 2 && info.Backoff >= 2
				})
				if comes(t, to, "lost\n", time.Millisecond) {
					t.Error("what the partitioned host retransmits arrives")
				}
				if err := n.Heal(); err != nil {
					t.Fatal(err)
				}
				if !comes(t, to, "lost\n", patience) {
					t.Error("healed, but what was sent does not arrive")
				}
				if !arrives(t, from, to, "again\n", patience) {
					t.Error("healed, but nothing new arrives")
				}
			})
		}
	}
}

// ARP passes a partition: the host is silent, not unreachable.
func TestPartitionLetsARPPass(t *testing.T) {
	t.Parallel()
	for _, path := range []topology.Path{topology.Switch, topology.Router} {
		t.Run(string(path), func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t, topology.Config{Path: path, Sysctls: map[string]map[string]string{
				"client": {"net.ipv4.tcp_syn_retries": "1", "net.ipv4.tcp_syn_linear_timeouts": "0"},
			}})
			for _, h := range []*topology.Host{n.Client, n.Server} {
				if err := n.Partition(h); err != nil {
					t.Fatal(err)
				}
			}
			if err := connectError(n); !errors.Is(err, unix.ETIMEDOUT) {
				t.Errorf("connect: %v, want %v", err, unix.ETIMEDOUT)
			}
			if path == topology.Router {
				return // the client asked for the router only
			}
			if mac, state, err := n.Neighbour("client"); err != nil || mac != n.Server.NIC.MAC.String() {
				t.Errorf("neighbour %s %s, %v; want %s", mac, state, err, n.Server.NIC.MAC)
			}
		})
	}
}

// waitFor waits until something is so.
func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s after %v", what, patience)
		}
	}
}

// connectError is what a connect to the server's closed port fails with.
func connectError(n *topology.Network) error {
	return n.Client.Namespace().Do(func() error {
		addr := net.JoinHostPort(n.Server.NIC.Address.Addr().String(), "9")
		conn, err := net.DialTimeout("tcp", addr, patience)
		if err == nil {
			conn.Close()
		}
		return err
	})
}

func TestRejections(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		with topology.Rejection
		want error
		// soft: an established connection goes on, as TCP says (RFC 1122,
		// 4.2.3.9), and is there when the network heals.
		soft bool
	}{
		{topology.RejectReset, unix.ECONNREFUSED, false},
		{topology.RejectHost, unix.EHOSTUNREACH, true},
		{topology.RejectNet, unix.ENETUNREACH, true},
		{topology.RejectProhibited, unix.EHOSTUNREACH, true},
	} {
		t.Run(string(c.with), func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t, topology.Config{Path: topology.Router})
			client, server := dial(t, n)
			if err := n.RejectAll(c.with); err != nil {
				t.Fatal(err)
			}
			// The port is closed: what comes of it at last would be a RST.
			if err := connectError(n); !errors.Is(err, c.want) {
				t.Errorf("connect: %v, want %v", err, c.want)
			}
			if !arrives(t, server, client, "towards\n", patience) {
				t.Error("what the server sends does not arrive")
			}
			if c.soft {
				if arrives(t, client, server, "lost\n", silence) {
					t.Error("what is rejected arrives")
				}
				if err := n.Heal(); err != nil {
					t.Fatal(err)
				}
				if !comes(t, server, "lost\n", patience) {
					t.Error("healed, but what was sent does not arrive")
				}
				return
			}
			// The acknowledgement of what the server sent was answered, too.
			if err := readError(t, client); !errors.Is(err, unix.ECONNRESET) {
				t.Errorf("read of an established connection: %v, want %v", err, unix.ECONNRESET)
			}
		})
	}
}

// The last rejection decides, and nothing is left of any after healing.
func TestRejectionsReplaceAndHeal(t *testing.T) {
	n := newNetwork(t, topology.Config{Path: topology.Router})
	for _, c := range []struct {
		with topology.Rejection
		want error
	}{{topology.RejectHost, unix.EHOSTUNREACH}, {topology.RejectNet, unix.ENETUNREACH}} {
		if err := n.RejectAll(c.with); err != nil {
			t.Fatal(err)
		}
		if err := connectError(n); !errors.Is(err, c.want) {
			t.Errorf("with %s: connect: %v, want %v", c.with, err, c.want)
		}
	}
	for range 2 { // again, with nothing to heal
		if err := n.Heal(); err != nil {
			t.Fatal(err)
		}
		dial(t, n)
	}
}

func TestHealRestoresRoutes(t *testing.T) {
	n := newNetwork(t, topology.Config{Path: topology.Router})
	before := routes(t, n)
	for _, c := range []struct {
		fault func() error
		want  error
	}{
		{n.HostUnreachable, unix.EHOSTUNREACH},
		{n.NetUnreachable, unix.ENETUNREACH},
	} {
		if err := c.fault(); err != nil {
			t.Fatal(err)
		}
		if err := connectError(n); !errors.Is(err, c.want) {
			t.Errorf("connect: %v, want %v", err, c.want)
		}
		if err := n.Heal(); err != nil {
			t.Fatal(err)
		}
		if after := routes(t, n); after != before {
			t.Errorf("routes after healing:\n%s\nbefore:\n%s", after, before)
		}
		dial(t, n)
	}
}

func TestFiltersSayWhatTheyNeed(t *testing.T) {
	direct := newNetwork(t, topology.Config{Path: topology.Direct})
	bridged := newNetwork(t, topology.Config{Path: topology.Switch})
	_, forgotten := bridged.ForgetFlows()
	_, noFirewall := topology.New(topology.Config{Path: topology.Switch, Firewall: topology.FirewallDrop})
	_, unknown := topology.New(topology.Config{Path: topology.Router, Firewall: "brick"})
	for _, c := range []struct {
		err  error
		says string
	}{
		{direct.Partition(direct.Client), "partition client: the path is direct, without a switch or router"},
		{direct.Heal(), "heal: the path is direct, without a switch or router"},
		{bridged.RejectAll(topology.RejectHost), "reject all with host: the path is switch, without a router"},
		{bridged.RejectAll("no"), `reject all with no: unknown rejection "no"`},
		{forgotten, "forget flows: the network has no firewall"},
		{noFirewall, "build network: firewall: the path is switch, without a router"},
		{unknown, `build network: firewall: unknown kind "brick"`},
	} {
		if c.err == nil || c.err.Error() != c.says {
			t.Errorf("error %v, want %s", c.err, c.says)
		}
	}
}

func TestFirewallKnowsItsFlows(t *testing.T) {
	t.Parallel()
	for _, kind := range []topology.Firewall{topology.FirewallDrop, topology.FirewallReset} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t, topology.Config{Path: topology.Router, Firewall: kind})
			client, server := dial(t, n)
			if !arrives(t, client, server, "there\n", patience) || !arrives(t, server, client, "back\n", patience) {
				t.Fatal("a known flow does not pass")
			}
			if err := connectError(n); !errors.Is(err, unix.ECONNREFUSED) {
				t.Errorf("connect to a closed port: %v, want %v", err, unix.ECONNREFUSED)
			}
			if flows, err := n.ForgetFlows(); err != nil || flows != 1 {
				t.Errorf("%d flows forgotten, %v; want 1: that which was refused is none", flows, err)
			}
			if kind == topology.FirewallReset {
				if _, err := io.WriteString(client, "lost\n"); err != nil {
					t.Fatal(err)
				}
				if err := readError(t, client); !errors.Is(err, unix.ECONNRESET) {
					t.Errorf("client's read: %v, want %v", err, unix.ECONNRESET)
				}
				// The server was told nothing until it says something.
				if _, err := io.WriteString(server, "lost\n"); err != nil {
					t.Fatal(err)
				}
				if err := readError(t, server); !errors.Is(err, unix.ECONNRESET) {
					t.Errorf("server's read: %v, want %v", err, unix.ECONNRESET)
				}
				return
			}
			// Neither side's segments make the flow known again for the
			// other's, first ones or retransmitted ones.
			for range 2 {
				if arrives(t, client, server, "lost\n", silence) || arrives(t, server, client, "lost\n", silence) {
					t.Error("a forgotten flow passes")
				}
			}
			waitFor(t, "retransmissions both ways", func() bool {
				return min(infoOf(t, client).Retransmits, infoOf(t, server).Retransmits) >= 2
			})
			if flows, err := n.ForgetFlows(); err != nil || flows != 0 {
				t.Errorf("%d flows known again, %v", flows, err)
			}
			dial(t, n) // a new one passes
		})
	}
}

func readError(t *testing.T, c net.Conn) error {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	_, err := c.Read(make([]byte, 1))
	return err
}

func infoOf(t *testing.T, c net.Conn) *unix.TCPInfo {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var info *unix.TCPInfo
	if e := raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.SOL_TCP, unix.TCP_INFO) }); e != nil || err != nil {
		t.Fatal(e, err)
	}
	return info
}

// routes describes the router's main table.
func routes(t *testing.T, n *topology.Network) string {
	t.Helper()
	h, err := n.Middle().NetlinkHandle(unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	list, err := h.RouteList(nil, unix.AF_UNSPEC)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, r := range list {
		fmt.Fprintln(&all, r)
	}
	return all.String()
}
