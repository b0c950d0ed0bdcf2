package topology

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
)

// Only what the kernel lacks lets the next engine be tried.
func TestFirstEngineThatThereIs(t *testing.T) {
	missing := &MissingFeature{"moon", unix.ENOENT}
	for _, c := range []struct {
		name    string
		errs    []error // of the engines a, b, ...
		started string
		says    []string // of the error
	}{
		{"first", []error{nil, nil}, "a", nil},
		{"second", []error{missing, nil}, "b", nil},
		{"broken", []error{unix.EPERM, nil}, "", []string{"delay by a: operation not permitted"}},
		{"second broken", []error{missing, unix.EPERM}, "", []string{"delay by b: operation not permitted"}},
		{"none", []error{missing, missing}, "", []string{"delay by a: ", "delay by b: ", "seems to have no moon"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var engines []delayEngine
			for i, err := range c.errs {
				engines = append(engines, delayEngine{string(rune('a' + i)), func(*Namespace, Delay) (delayer, error) {
					return netem{}, err
				}})
			}
			_, started, err := startFirst(engines, nil, Delay{})
			if started != c.started || (err == nil) != (c.says == nil) {
				t.Errorf("started %q, error %v; want %q", started, err, c.started)
			}
			for _, want := range c.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %v does not say %q", err, want)
				}
			}
		})
	}
}

func TestLossesAreTheWires(t *testing.T) {
	for d, want := range map[Delay][]string{
		{Time: 1}:            {byNetem, byWire},
		{Time: 1, Loss: 0.1}: {byWire},
	} {
		var names []string
		for _, e := range d.engines() {
			names = append(names, e.name)
		}
		if strings.Join(names, " ") != strings.Join(want, " ") {
			t.Errorf("%+v: engines %q, want %q", d, names, want)
		}
	}
}

// newTestNetwork builds a network for one test.
func newTestNetwork(t *testing.T, c Config) *Network {
	t.Helper()
	testenv.NeedRoot(t)
	n, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error("close:", err)
		}
	})
	return n
}

// exchange carries a line from the client to the server, or tells what
// prevented it.
func exchange(n *Network) error {
	var l net.Listener
	address := n.Server.NIC.Address.Addr().String()
	if err := n.Server.Namespace().Do(func() (err error) {
		l, err = net.Listen("tcp", net.JoinHostPort(address, "9997"))
		return err
	}); err != nil {
		return err
	}
	defer l.Close()
	var client net.Conn
	if err := n.Client.Namespace().Do(func() (err error) {
		client, err = net.DialTimeout("tcp", l.Addr().String(), 3*time.Second)
		return err
	}); err != nil {
		return err
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		return err
	}
	defer server.Close()
	if _, err := io.WriteString(client, "hello\n"); err != nil {
		return err
	}
	_, err = io.ReadFull(server, make([]byte, 6))
	return err
}

// The bridge that netem would delay carries what the wire carried, and a kernel
// without netem leaves no part of it behind.
func TestBridgeInPlaceOfWire(t *testing.T) {
	t.Parallel()
	n := newTestNetwork(t, Config{Path: Direct, Delay: Delay{Loss: 1e-9}})
	if n.DelayedBy != byWire {
		t.Fatalf("delayed by %q, want %q", n.DelayedBy, byWire)
	}
	if err := exchange(n); err != nil {
		t.Fatal(err)
	}
	if err := n.delay.engine.Close(); err != nil {
		t.Fatal(err)
	}
	if err := exchange(n); err == nil {
		t.Error("the wire carries though it is closed")
	}
	started, err := startNetem(n.delay.ns, Delay{Time: time.Microsecond})
	if err != nil {
		if _, ok := errors.AsType[*MissingFeature](err); !ok {
			t.Fatalf("start netem: %v, want it, or a missing feature", err)
		}
		h, err := n.delay.ns.NetlinkHandle(unix.NETLINK_ROUTE)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		if _, err := h.LinkByName(bridgeName); err == nil {
			t.Error("no netem, but a bridge was left")
		}
		if err := bridgePorts(h); err != nil {
			t.Fatal(err)
		}
	} else {
		n.delay.engine = started
	}
	if err := exchange(n); err != nil {
		t.Errorf("through the bridge: %v", err)
	}
}

// Nothing but the hosts' own frames is ever on a delayed link, whichever
// engine delays it.
func TestBoxIsQuiet(t *testing.T) {
	for _, path := range Paths {
		t.Run(string(path), func(t *testing.T) {
			t.Parallel()
			n := newTestNetwork(t, Config{Path: path, Delay: Delay{Time: time.Millisecond}})
			time.Sleep(500 * time.Millisecond) // what is not there cannot be waited for
			for _, at := range []end{n.Client.end(), n.Server.end(), n.delay.port(nearPort), n.delay.port(farPort)} {
				if err := at.ns.withLink(at.name, func(_ *netlink.Handle, link netlink.Link) error {
					if s := link.Attrs().Statistics; s.RxPackets != 0 || s.TxPackets != 0 {
						t.Errorf("%s: %d frames received, %d sent; want none", at.name, s.RxPackets, s.TxPackets)
					}
					return nil
				}); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// A port that goes down and up again carries again, and the frames lost
// meanwhile are not the box's fault.
func TestWireSurvivesPortsGoingDown(t *testing.T) {
	t.Parallel()
	n := newTestNetwork(t, Config{Path: Direct, Delay: Delay{Loss: 1e-9}})
	for _, port := range []string{nearPort, farPort} {
		if err := n.delay.ns.setDown(port); err != nil {
			t.Fatal(err)
		}
		if err := exchange(n); err == nil {
			t.Errorf("%s is down, but carries", port)
		}
		if err := n.delay.ns.withLink(port, mute); err != nil {
			t.Fatal(err)
		}
		if err := n.waitUp(n.Client); err != nil {
			t.Fatal(err)
		}
		if err := exchange(n); err != nil {
			t.Errorf("%s is up again: %v", port, err)
		}
	}
	// So are those for a port without a carrier.
	if err := n.CutLink(n.Server); err != nil {
		t.Fatal(err)
	}
	if err := exchange(n); err == nil {
		t.Error("the server's link is cut, but carries")
	}
	if err := n.Check(); err != nil {
		t.Error(err)
	}
}

// A wire that ended, or had no room, says so.
func TestCheckTellsOfWire(t *testing.T) {
	n := newTestNetwork(t, Config{Path: Direct, Delay: Delay{Loss: 1e-9}})
	w := n.delay.engine.(*wire)
	w.ways[0].lost(3)
	if err := n.Check(); err == nil || !strings.Contains(err.Error(), "3 frames from near to far were lost") {
		t.Errorf("error %v", err)
	}
	w.ways[0].dropped = 0
	// One that held a frame back for long.
	w.ways[1].left(1200 * time.Millisecond)
	if late := n.Lateness(); late < 1200*time.Millisecond {
		t.Errorf("late by %v, want 1.2 s at least", late)
	}
	// One whose port is down, though no fault was to do that.
	if err := n.delay.ns.setDown(farPort); err != nil {
		t.Fatal(err)
	}
	if err := exchange(n); err == nil {
		t.Error("the port is down, but carries")
	}
	if err := n.Check(); err == nil || !strings.Contains(err.Error(), "though no link was cut") {
		t.Errorf("error %v", err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if err := n.delay.check(false); err != nil {
		t.Errorf("closed, but %v", err)
	}
}

// The delay counts from when a frame came, not from when it was read.
func TestAgeOfAFrame(t *testing.T) {
	n := newTestNetwork(t, Config{Path: Direct, Delay: Delay{Loss: 1e-9}})
	var fd int
	if err := n.delay.ns.Do(func() (err error) {
		fd, err = packetSocket(nearPort, unix.ETH_P_ALL, 0, []packetOption{{unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1, "ask for stamps"}})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := exchange(n); err != nil {
		t.Fatal(err)
	}
	const pause = 200 * time.Millisecond
	time.Sleep(pause)
	oob := make([]byte, 64)
	_, size, _, _, err := unix.Recvmsg(fd, make([]byte, 2000), oob, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := age(oob[:size]); got < pause || got > time.Minute/2 {
		t.Errorf("age %v, want %v and a little", got, pause)
	}
	if got := age(nil); got != 0 {
		t.Errorf("age %v without a stamp", got)
	}
}

func TestFrameQueue(t *testing.T) {
	var q frameQueue
	push := func(n int, due time.Duration) {
		room := q.room()
		if len(room) < wireFrame {
			t.Fatalf("room for %d octets only", len(room))
		}
		room[0] = byte(due)
		q.push(n, due)
	}
	next := func(n int, want time.Duration) {
		t.Helper()
		frame, due := q.first()
		if len(frame) != n || due != want || frame[0] != byte(want) {
			t.Fatalf("frame of %d octets due at %d, want %d at %d", len(frame), due, n, want)
		}
		q.pop()
	}
	// Full by octets.
	count := 0
	for ; !q.full(); count++ {
		push(50_000, time.Duration(count+1))
	}
	if octets := count * 50_000; octets > wireBlocks*wireBlock || octets < wireBlocks*wireBlock/2 || q.blocks != wireBlocks {
		t.Errorf("full with %d octets in %d blocks", octets, q.blocks)
	}
	// In order, while others come.
	for i := range 3 * count {
		next(50_000, time.Duration(i+1))
		push(50_000, time.Duration(count+i+1))
	}
	for i := range count {
		next(50_000, time.Duration(3*count+i+1))
	}
	if frame, _ := q.first(); frame != nil || q.blocks != 1 {
		t.Errorf("empty, with %d octets and %d blocks", len(frame), q.blocks)
	}
	// Full by number.
	for count = 0; !q.full(); count++ {
		push(60, time.Duration(count+1))
	}
	if count != wireFrames {
		t.Errorf("full with %d frames, want %d", count, wireFrames)
	}
	for i := range 3 * count {
		next(60, time.Duration(i+1))
		push(60, time.Duration(count+i+1))
	}
	if cap(q.frames) > 4*wireFrames {
		t.Errorf("an array for %d frames, though there are never more than %d", cap(q.frames), wireFrames)
	}
}
