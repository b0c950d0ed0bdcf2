package topology_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/topology"
)

// roundTrips measures those of a line over TCP, in order of length.
func roundTrips(t testing.TB, client, server net.Conn, times int) []time.Duration {
	t.Helper()
	go io.Copy(server, server) // until the connection ends
	all := make([]time.Duration, times)
	answer := make([]byte, 6)
	for i := range all {
		start := time.Now()
		if _, err := io.WriteString(client, "hello\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(client, answer); err != nil {
			t.Fatal(err)
		}
		all[i] = time.Since(start)
	}
	slices.Sort(all)
	return all
}

func TestDelayIsAddedEachWay(t *testing.T) {
	for _, path := range topology.Paths {
		t.Run(string(path), func(t *testing.T) {
			t.Parallel()
			const oneWay = 20 * time.Millisecond
			n := newNetwork(t, topology.Config{Path: path, Delay: topology.Delay{Time: oneWay}})
			if n.DelayedBy != "netem" && n.DelayedBy != "a wire in user space" {
				t.Errorf("delayed by %q", n.DelayedBy)
			}
			client, server := dial(t, n)
			all := roundTrips(t, client, server, 20)
			// Never less; more only as the machine is slow.
			if first, median := all[0], all[len(all)/2]; first < 2*oneWay || median > 2*oneWay+oneWay/2 {
				t.Errorf("round trip %v at least, median %v; want %v, and up to %v", first, median, 2*oneWay, 2*oneWay+oneWay/2)
			}
			if err := n.Check(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestNoDelayNoBox(t *testing.T) {
	n := newNetwork(t, topology.Config{Path: topology.Direct, Delay: topology.Delay{Seed: 1}})
	if n.DelayedBy != "" {
		t.Errorf("delayed by %q", n.DelayedBy)
	}
}

func TestImpossibleDelays(t *testing.T) {
	for _, d := range []topology.Delay{{Time: -1}, {Time: time.Hour}, {Loss: -0.1}, {Loss: 1.1}} {
		n, err := topology.New(topology.Config{Path: topology.Direct, Delay: d})
		if err == nil {
			n.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "not within 0 to ") {
			t.Errorf("%+v: error %v", d, err)
		}
	}
}

// With a box between, not even a direct path's client sees what the server's
// link does.
func TestBoxKeepsClientsCarrier(t *testing.T) {
	for _, path := range topology.Paths {
		t.Run(string(path), func(t *testing.T) {
			n := newNetwork(t, topology.Config{Path: path, Delay: topology.Delay{Time: time.Millisecond}})
			dial(t, n)
			if err := n.Crash(n.Server, func(string) {}); err != nil {
				t.Fatal(err)
			}
			if err := n.Client.Namespace().Do(func() error {
				i, err := net.InterfaceByName("eth0")
				if err == nil && i.Flags&net.FlagRunning == 0 {
					err = fmt.Errorf("client's eth0 is %s, want running", i.Flags)
				}
				return err
			}); err != nil {
				t.Error(err)
			}
			if err := n.Boot(n.Server, func(string) {}); err != nil {
				t.Fatal(err)
			}
			dial(t, n) // the wire took up its work again
			if err := n.Crash(n.Client, func(string) {}); err != nil {
				t.Fatal(err)
			}
			if err := n.Boot(n.Client, func(string) {}); err != nil {
				t.Fatal(err)
			}
			dial(t, n)
			if err := n.Check(); err != nil {
				t.Error(err)
			}
		})
	}
}

// experimental is an EtherType for local use (IEEE 802), which no kernel answers.
const experimental = 0x88b5

// A station sends and receives frames of that type at a host.
type station struct {
	fd   int
	from net.HardwareAddr
}

func newStation(t *testing.T, h *topology.Host) *station {
	t.Helper()
	s := &station{from: h.NIC.MAC}
	if err := h.Namespace().Do(func() (err error) {
		i, err := net.InterfaceByName(h.NIC.Name)
		if err != nil {
			return err
		}
		if s.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20); err != nil {
			return err
		}
		if err := unix.SetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
			return err
		}
		protocol := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, experimental))
		return unix.Bind(s.fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: i.Index})
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(s.fd) })
	return s
}

// send sends frames with the numbers 0 to n-1 to another station.
func (s *station) send(t *testing.T, to *station, n int) {
	t.Helper()
	frame := slices.Concat(to.from, s.from, binary.BigEndian.AppendUint16(nil, experimental), make([]byte, 46))
	for i := range n {
		binary.BigEndian.PutUint32(frame[14:], uint32(i))
		if _, err := unix.Write(s.fd, frame); err != nil {
			t.Fatalf("send frame %d: %v", i, err)
		}
	}
}

// receive reads the numbers of frames until none came for a time, which is short
// once there were enough.
func (s *station) receive(t *testing.T, quiet time.Duration, enough int) []int {
	t.Helper()
	patience := func(d time.Duration) {
		timeout := unix.NsecToTimeval(int64(d))
		if err := unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
			t.Fatal(err)
		}
	}
	patience(quiet)
	var numbers []int
	frame := make([]byte, 2048)
	for {
		n, err := unix.Read(s.fd, frame)
		if errors.Is(err, unix.EAGAIN) {
			return numbers
		}
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n < 18 {
			t.Fatalf("read %d octets, %v", n, err)
		}
		if numbers = append(numbers, int(binary.BigEndian.Uint32(frame[14:]))); len(numbers) == enough {
			patience(100 * time.Millisecond) // for what must not come
		}
	}
}

func TestBurstArrivesInOrder(t *testing.T) {
	const frames = 10_000
	n := newNetwork(t, topology.Config{Path: topology.Switch, Delay: topology.Delay{Time: 100 * time.Millisecond}})
	client, server := newStation(t, n.Client), newStation(t, n.Server)
	client.send(t, server, frames)
	server.send(t, client, frames)
	for name, got := range map[string][]int{"client": client.receive(t, 2*time.Second, frames), "server": server.receive(t, 2*time.Second, frames)} {
		if len(got) != frames || !slices.IsSorted(got) {
			t.Errorf("%s: %d frames, in order: %v; want %d", name, len(got), slices.IsSorted(got), frames)
		}
	}
	if err := n.Check(); err != nil {
		t.Error(err)
	}
}

func TestLossIsSeeded(t *testing.T) {
	t.Parallel()
	const frames = 3_000
	arrived := func(seed uint64) map[string][]int {
		n := newNetwork(t, topology.Config{Path: topology.Direct, Delay: topology.Delay{Loss: 0.05, Seed: seed}})
		client, server := newStation(t, n.Client), newStation(t, n.Server)
		client.send(t, server, frames)
		server.send(t, client, frames)
		return map[string][]int{"client": client.receive(t, time.Second, frames), "server": server.receive(t, time.Second, frames)}
	}
	first, again, other := arrived(1), arrived(1), arrived(2)
	for who, got := range first {
		// 5 standard deviations of a binomial distribution are 60.
		if lost := frames - len(got); lost < 90 || lost > 210 {
			t.Errorf("%s: %d of %d lost, want 5 %%", who, lost, frames)
		}
	}
	if !maps.EqualFunc(first, again, slices.Equal) {
		t.Error("the same seed loses other frames")
	}
	if slices.Equal(first["client"], other["client"]) {
		t.Error("another seed loses the same frames")
	}
	if slices.Equal(first["client"], first["server"]) {
		t.Error("both directions lose the same frames")
	}
}

// A bulk transfer arrives whole, both ways at once, whatever the segments'
// checksums were left to.
func TestBulkThroughDelay(t *testing.T) {
	n := newNetwork(t, topology.Config{Path: topology.Router, Delay: topology.Delay{Time: time.Millisecond}})
	client, server := dial(t, n)
	data := make([]byte, 32<<20)
	if _, err := rand.Read(data); err != nil {
		t.Fatal(err)
	}
	sums := make(chan [sha256.Size]byte, 2)
	for from, to := range map[net.Conn]net.Conn{client: server, server: client} {
		go func() {
			if _, err := from.Write(data); err != nil {
				t.Error(err)
			}
		}()
		go func() {
			got := make([]byte, len(data))
			if _, err := io.ReadFull(to, got); err != nil {
				t.Error(err)
			}
			sums <- sha256.Sum256(got)
		}()
	}
	for range 2 {
		if sum, want := <-sums, sha256.Sum256(data); !bytes.Equal(sum[:], want[:]) {
			t.Error("what arrived is not what was sent")
		}
	}
	if err := n.Check(); err != nil {
		t.Error(err)
	}
}

// A capture at the far end shows segments whose checksum is right, or left to
// the device and right once that is done.
func TestChecksumsAtFarEnd(t *testing.T) {
	for _, offload := range []bool{true, false} {
		t.Run(fmt.Sprintf("offload=%v", offload), func(t *testing.T) {
			n := newNetwork(t, topology.Config{Path: topology.Direct, Delay: topology.Delay{Time: time.Millisecond}})
			if !offload {
				turnChecksumOffloadOff(t, n.Client)
			}
			capture := captureIPv4(t, n.Server)
			client, server := dial(t, n)
			if _, err := io.WriteString(client, "an odd number of octets"); err != nil {
				t.Fatal(err)
			}
			if _, err := bufio.NewReader(server).Peek(23); err != nil {
				t.Fatal(err)
			}
			var segments, partial int
			buf := make([]byte, 1<<16)
			for {
				length, err := unix.Read(capture, buf)
				if errors.Is(err, unix.EAGAIN) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				header, frame := buf[:10], buf[10:length]
				ip := frame[14:]
				ip = ip[:binary.BigEndian.Uint16(ip[2:])]
				tcp := ip[int(ip[0]&15)*4:]
				segments++
				if header[0]&unix.VIRTIO_NET_HDR_F_NEEDS_CSUM != 0 {
					partial++
					at, field := binary.NativeEndian.Uint16(header[6:]), binary.NativeEndian.Uint16(header[8:])
					sum := ^onesSum(frame[at:][:len(tcp)], 0)
					binary.BigEndian.PutUint16(frame[at+field:], sum)
				}
				pseudo := slices.Concat(ip[12:20], []byte{0, unix.IPPROTO_TCP}, binary.BigEndian.AppendUint16(nil, uint16(len(tcp))))
				if sum := onesSum(tcp, onesSum(pseudo, 0)); sum != 0xffff {
					t.Errorf("segment of %d octets: checksum adds up to %#x", len(tcp), sum)
				}
			}
			if segments < 3 {
				t.Errorf("%d segments captured, want SYN, ACK and data at least", segments)
			}
			if !offload && partial > 0 {
				t.Errorf("%d of %d segments without a checksum, though nothing is offloaded", partial, segments)
			}
		})
	}
}

// onesSum adds 16-bit words as RFC 1071 does.
func onesSum(b []byte, start uint16) uint16 {
	sum := uint32(start)
	for i, octet := range b {
		if i%2 == 0 {
			sum += uint32(octet) << 8
		} else {
			sum += uint32(octet)
		}
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}

// captureIPv4 opens a packet socket at the host's card that receives IPv4
// packets with their virtio_net_hdr.
func captureIPv4(t *testing.T, h *topology.Host) (fd int) {
	t.Helper()
	if err := h.Namespace().Do(func() error {
		i, err := net.InterfaceByName(h.NIC.Name)
		if err != nil {
			return err
		}
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
			return err
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1); err != nil {
			return err
		}
		protocol := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_IP))
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: i.Index})
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// turnChecksumOffloadOff lets the host's kernel finish every checksum itself
// (ETHTOOL_STXCSUM).
func turnChecksumOffloadOff(t *testing.T, h *topology.Host) {
	t.Helper()
	value := struct{ command, data uint32 }{command: unix.ETHTOOL_STXCSUM}
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&value)}
	copy(request.name[:], h.NIC.Name)
	if err := h.Namespace().Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
			return errno
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
