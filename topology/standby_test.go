package topology_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/topology"
)

// The client's next segment reaches the standby, whose kernel knows nothing of
// the connection.
func TestTakeOver(t *testing.T) {
	for _, family := range families {
		for _, answer := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,answerARP=%v", family, answer), func(t *testing.T) {
				n := newNetwork(t, topology.Config{Path: topology.Switch, Family: family, AnswerARP: answer, Standby: true})
				client, _ := dial(t, n)
				if h, err := n.Host("standby"); err != nil || h != n.Standby {
					t.Errorf("host %v, %v; want the standby", h, err)
				}
				if err := n.Crash(n.Server, func(string) {}); err != nil {
					t.Fatal(err)
				}
				c := newCapture(t, n.Client.Namespace())
				var notes []string
				if err := n.TakeOver(func(s string) { notes = append(notes, s) }); err != nil {
					t.Fatal(err)
				}
				if len(notes) != 2 || !strings.HasSuffix(notes[1], "is at 02:00:00:00:00:03") {
					t.Errorf("notes %q", notes)
				}
				announcement := "ARP request 10.0.0.2 asks 10.0.0.2"
				if family == topology.IPv6 {
					announcement = "fd00::2 > ff02::1 ICMPv6 neighbour advertisement"
				}
				c.await(t, "in 02:00:00:00:00:03", announcement)
				mac, state, err := n.Neighbour("client")
				if err != nil || mac != "02:00:00:00:00:03" {
					t.Errorf("client's neighbour is %s, %s, %v; want the standby", mac, state, err)
				}
				if _, err := fmt.Fprintln(client, "hello"); err != nil {
					t.Fatal(err)
				}
				if _, err := client.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
					t.Errorf("read: %v, want %v", err, unix.ECONNRESET)
				}
				if err := n.Check(); err != nil {
					t.Error(err)
				}
				if err := n.TakeOver(func(string) {}); err == nil {
					t.Error("took over twice")
				}
				// It is a host like any other now.
				if err := n.Crash(n.Standby, func(string) {}); err != nil {
					t.Fatal(err)
				}
				if err := n.Boot(n.Standby, func(string) {}); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

func TestStandbyWaitsInSilence(t *testing.T) {
	n := newNetwork(t, topology.Config{Path: topology.Switch, Standby: true})
	if n.Standby.NIC.Address.IsValid() {
		t.Errorf("address %s before it takes over", n.Standby.NIC.Address)
	}
	if state := linkState(t, n.Standby.Namespace(), "eth0"); state != "down" {
		t.Errorf("link is %s, want down", state)
	}
}

func TestConfigRefuses(t *testing.T) {
	for _, c := range []struct {
		config topology.Config
		says   string
	}{
		{topology.Config{Path: topology.Direct, Standby: true}, "needs a switch"},
		{topology.Config{Path: topology.Router, Standby: true}, "needs a switch"},
		{topology.Config{Path: topology.Switch, Family: 5}, "unknown family 5"},
	} {
		n, err := topology.New(c.config)
		if err == nil {
			n.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, want %q", c.config, err, c.says)
		}
	}
	n := newNetwork(t, topology.Config{Path: topology.Direct})
	if err := n.TakeOver(func(string) {}); err == nil || !strings.Contains(err.Error(), "no standby") {
		t.Errorf("take over without a standby: %v", err)
	}
}
