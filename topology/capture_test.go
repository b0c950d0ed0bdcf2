package topology_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/topology"
)

// A capture collects what passes an interface.
type capture struct {
	mu     sync.Mutex
	frames []string
}

// newCapture captures on eth0 of a namespace until the test ends.
func newCapture(t *testing.T, ns *topology.Namespace) *capture {
	t.Helper()
	return captureOn(t, ns, "eth0")
}

func captureOn(t *testing.T, ns *topology.Namespace, name string) *capture {
	t.Helper()
	c := &capture{}
	fd := -1
	if err := ns.Do(func() error {
		i, err := net.InterfaceByName(name)
		if err != nil {
			return err
		}
		all := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL))
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: i.Index})
	}); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 10_000}); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		buf := make([]byte, 1<<16)
		start := time.Now()
		for {
			select {
			case <-stop:
				return
			default:
			}
			size, from, err := unix.Recvfrom(fd, buf, 0)
			if err != nil {
				continue // timeout, or the link went down
			}
			direction := "in"
			if from.(*unix.SockaddrLinklayer).Pkttype == unix.PACKET_OUTGOING {
				direction = "out"
			}
			c.mu.Lock()
			c.frames = append(c.frames, fmt.Sprintf("%.4f %s %s", time.Since(start).Seconds(), direction, describe(buf[:size])))
			c.mu.Unlock()
		}
	}()
	t.Cleanup(func() { close(stop); <-stopped; unix.Close(fd) })
	return c
}

// list gives the frames so far that contain all of the words.
func (c *capture) list(words ...string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []string
	for _, f := range c.frames {
		all := true
		for _, w := range words {
			all = all && strings.Contains(f, w)
		}
		if all {
			found = append(found, f)
		}
	}
	return found
}

// await waits for a frame that contains all of the words.
func (c *capture) await(t *testing.T, words ...string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for len(c.list(words...)) == 0 {
		if time.Now().After(deadline) {
			t.Fatalf("no frame with %q among\n%s", words, strings.Join(c.list(), "\n"))
		}
		time.Sleep(time.Millisecond)
	}
}

var icmp6Types = map[byte]string{
	1: "unreachable", 131: "MLDv1 report", 132: "MLDv1 done", 133: "router solicitation", 134: "router advertisement",
	135: "neighbour solicitation", 136: "neighbour advertisement", 137: "redirect", 143: "MLDv2 report",
}

// describe puts a frame into words: who to whom, what.
func describe(b []byte) string {
	src, payload := net.HardwareAddr(b[6:12]), b[14:]
	switch binary.BigEndian.Uint16(b[12:]) {
	case unix.ETH_P_ARP:
		op := "request"
		if payload[7] == 2 {
			op = "reply"
		}
		sip, tip := netip.AddrFrom4([4]byte(payload[14:18])), netip.AddrFrom4([4]byte(payload[24:28]))
		return fmt.Sprintf("%s ARP %s %s asks %s", src, op, sip, tip)
	case unix.ETH_P_IP:
		header := int(payload[0]&15) * 4
		from, to := netip.AddrFrom4([4]byte(payload[12:16])), netip.AddrFrom4([4]byte(payload[16:20]))
		return fmt.Sprintf("%s %s > %s %s", src, from, to, upper(payload[9], payload[header:]))
	case unix.ETH_P_IPV6:
		from, to := netip.AddrFrom16([16]byte(payload[8:24])), netip.AddrFrom16([16]byte(payload[24:40]))
		next, rest := payload[6], payload[40:]
		if next == 0 { // hop-by-hop options, before MLD
			next, rest = rest[0], rest[8+int(rest[1])*8:]
		}
		return fmt.Sprintf("%s %s > %s %s", src, from, to, upper(next, rest))
	default:
		return fmt.Sprintf("%s type %x", src, b[12:14])
	}
}

func upper(protocol byte, b []byte) string {
	switch protocol {
	case unix.IPPROTO_TCP:
		flags := ""
		for i, f := range "FSRPA" {
			if b[13]&(1<<i) != 0 {
				flags += string(f)
			}
		}
		return "TCP [" + flags + "]"
	case unix.IPPROTO_ICMP:
		return fmt.Sprintf("ICMP type %d code %d", b[0], b[1])
	case unix.IPPROTO_ICMPV6:
		return fmt.Sprintf("ICMPv6 %s type %d code %d", icmp6Types[b[0]], b[0], b[1])
	default:
		return fmt.Sprintf("protocol %d", protocol)
	}
}
