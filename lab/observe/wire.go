package observe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/internal/virtualtime"
	"github.com/seed-6fefc909/tcplab/lab/record"
)

const (
	// snapLen is how much of a frame is kept: the longest headers, and some
	// payload. A frame of a bulk transfer, up to 64 KiB before segmentation,
	// would fill a block with four.
	snapLen = 256
	// snapTCP is how much of TCP over IPv4 without options, which is most:
	// the headers. What the ring costs is the memory that is filled.
	snapTCP = etherLen + ipv4Len + 60
)

// A WireTap records the packets that pass a host's interface.
type WireTap struct {
	clock Clock
	host  Host
	sink  Sink

	fd     int         // AF_PACKET socket
	filter *wireFilter // nil where the kernel refused it: then everything is recorded
	wake   int         // eventfd that ends the reader's sleep
	source frameSource

	// The reader's own.
	frames frameDecoder
	count  uint64 // of portions that were read

	done    chan struct{} // closed when the reader ended
	readErr error         // why, before its time; set before done is closed

	mu       sync.Mutex
	flushes  []*flush // not answered
	stopping bool

	close    sync.Once
	dropped  uint64
	spared   uint64
	gap      Gap
	ended    int64 // when Everything was called; 0: it was not, or Economize since
	deaf     int64 // until when it rested before Economize; 0: it did not
	rested   int64 // since when it hears nothing; 0: it hears, or did until Everything
	ifindex  int
	closeErr error
}

// A frameSource is where a tap reads what its socket hears. The kernel hands it
// over in portions.
type frameSource interface {
	// drain tells of the frames of all portions that have been handed over,
	// until tell returns, and returns how many portions these were.
	drain(tell func(passing)) (portions uint64, err error)
	// pending tells, after drain, whether there are frames that will come with
	// the next portion.
	pending() bool
	// release gives up what is there beside the socket.
	release()
}

// A passing is a frame that passed.
type passing struct {
	stamp  int64 // CLOCK_REALTIME, nanoseconds
	kind   uint8 // PACKET_OUTGOING and so on
	frame  []byte
	length int // on the wire; frame may be cut
}

// A Gap is a span of time in which an end did not record every segment, in
// nanoseconds since the run began. The zero value is none.
type Gap struct{ From, To int64 }

// A flush waits until the reader's count is at least until.
type flush struct {
	seen  bool // until is valid
	until uint64
	done  chan struct{}
}

// OpenWire starts to record what passes the interface h.Iface, which may be
// down. Every packet that it sends or receives after OpenWire returned becomes
// an event, stamped by the kernel as it passes; frames for another hardware
// address, which the host discards, do not. The events reach sink, from one
// goroutine, up to 16 ms later (at once where time is virtual), and not quite in
// order.
//
// The tap goes on when the interface goes down and up again, and falls silent
// when it is removed: a rebooted host needs a tap of its own.
//
// OpenWire waits for one RCU grace period, which the kernel puts between
// making the ring and using it.
func OpenWire(clock Clock, h Host, sink Sink) (*WireTap, error) {
	return openWire(clock, h, sink, virtualtime.On())
}

func openWire(clock Clock, h Host, sink Sink, virtual bool) (_ *WireTap, err error) {
	w := &WireTap{clock: clock, host: h, sink: sink, fd: -1, wake: -1, done: make(chan struct{})}
	defer func() {
		if err != nil {
			err = fmt.Errorf("tap %s of %s: %w", h.Iface, h.Name, err)
			w.release()
		}
	}()
	if w.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, fmt.Errorf("make eventfd: %w", err)
	}
	// Protocol 0: the socket hears nothing before it is bound, in particular
	// not the namespace's other interfaces.
	err = h.Net.Do(func() error {
		w.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open packet socket: %w", err)
	}
	if err := w.attachFilter(); err != nil {
		return nil, fmt.Errorf("limit packet capture to %d bytes: %w", snapLen, err)
	}
	source, err := newFrameSource(w.fd, h.Idle, virtual)
	if err != nil {
		return nil, err
	}
	w.source = source
	ifindex, err := interfaceIndex(w.fd, h.Iface)
	if err != nil {
		return nil, err
	}
	w.ifindex = ifindex
	if err := w.hear(unix.ETH_P_ALL); err != nil {
		return nil, err
	}
	h.Frames.open(h)
	go w.read()
	return w, nil
}

// hear binds the socket to the frames of an EtherType, or to all.
func (w *WireTap) hear(etherType uint16) error {
	protocol := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, etherType))
	if err := unix.Bind(w.fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: w.ifindex}); err != nil {
		return fmt.Errorf("bind packet socket: %w", err)
	}
	return nil
}

// etherNobody is an EtherType that nobody sends: that for experiments of a
// site's own (IEEE 802). A socket that is bound to it costs the interface's
// other frames nothing.
const etherNobody = 0x88b5

// Rest makes the tap deaf until Everything: so much passes that only a part of
// it would be recorded, and to look at it slows it down.
func (w *WireTap) Rest() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.filter == nil || w.fd < 0 || w.ended != 0 || w.rested != 0 {
		return nil
	}
	if err := w.hear(etherNobody); err != nil {
		return fmt.Errorf("rest from packets of %s: %w", w.host.Name, err)
	}
	w.rested = w.clock.Now()
	return nil
}

// interfaceIndex finds an interface of the namespace of the socket fd.
func interfaceIndex(fd int, name string) (int, error) {
	req, err := unix.NewIfreq(name)
	if err == nil {
		err = unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, req)
	}
	if err != nil {
		return 0, fmt.Errorf("find interface %s: %w", name, err)
	}
	return int(req.Uint32()), nil
}

// newFrameSource makes a ring or, where time is virtual, a queue.
func newFrameSource(fd int, idle, virtual bool) (frameSource, error) {
	if virtual {
		return newPacketQueue(fd)
	}
	if idle {
		return newPacketRing(fd, idleBlocks)
	}
	return newPacketRing(fd, ringBlocks)
}

// Flush returns when sink was given every packet that the kernel had put into
// the ring before the call. That takes no time when no packet is waiting, and
// 16 ms at most otherwise, until the kernel hands over the block that it is
// filling. Where time is virtual it takes none. It fails when ctx ends first, or
// the tap does.
func (w *WireTap) Flush(ctx context.Context) error {
	f := &flush{done: make(chan struct{})}
	w.mu.Lock()
	if !w.stopping {
		w.flushes = append(w.flushes, f)
		w.rouse()
	}
	w.mu.Unlock()
	var err error
	select {
	case <-f.done:
		return nil
	case <-w.done:
		if err = w.readErr; err == nil {
			err = errors.New("the tap was closed")
		}
	case <-ctx.Done():
		err = ctx.Err()
	}
	return fmt.Errorf("flush tap of %s: %w", w.host.Name, err)
}

// Close ends the recording and says how many packets were lost because the
// ring was full. A packet of the last 16 ms that was not flushed may be
// missing and is not counted. sink is not called any more after Close. It must
// not be called from sink.
//
// The kernel needs two RCU grace periods, some 30 ms, to give the ring up.
// Close does not wait for them; the namespace cannot end before.
func (w *WireTap) Close() (dropped uint64, err error) {
	w.close.Do(func() {
		w.mu.Lock()
		w.stopping = true
		w.rouse()
		w.mu.Unlock()
		<-w.done
		_, err := w.Dropped()
		_, _, err2 := w.Spared()
		w.closeErr = errors.Join(w.readErr, err, err2)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.release()
	})
	return w.dropped, w.closeErr
}

// Dropped is how many packets were lost so far because the ring was full. The
// tap must be open.
func (w *WireTap) Dropped() (uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	stats, err := unix.GetsockoptTpacketStatsV3(w.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return w.dropped, fmt.Errorf("read packet statistics of %s: %w", w.host.Name, err)
	}
	w.dropped += uint64(stats.Drops) // the kernel counts from 0 again
	return w.dropped, nil
}

// Everything ends the economy: from now on every packet is recorded. Until
// then, of the segments of a steady exchange some thousands are, and then some
// hundreds a second; the others are counted. Those that open, close or break a
// connection, repeat or probe always are, and all that is no TCP.
func (w *WireTap) Everything() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.filter == nil || w.fd < 0 || w.ended != 0 {
		return nil
	}
	err := w.filter.everything()
	if w.rested != 0 {
		err = errors.Join(err, w.hear(unix.ETH_P_ALL))
	}
	if err != nil {
		return fmt.Errorf("record every packet of %s: %w", w.host.Name, err)
	}
	w.ended = w.clock.Now()
	return nil
}

// Economize takes Everything back.
func (w *WireTap) Economize() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.filter == nil || w.fd < 0 || w.ended == 0 {
		return nil
	}
	if err := w.filter.economize(); err != nil {
		return fmt.Errorf("record a part of the packets of %s: %w", w.host.Name, err)
	}
	if w.rested != 0 {
		w.deaf = w.ended
	}
	w.ended, w.rested = 0, 0
	return nil
}

// Spared is how many segments were counted and not recorded, and when that was.
func (w *WireTap) Spared() (segments uint64, gap Gap, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.filter == nil || w.fd < 0 {
		return w.spared, w.gap, nil
	}
	n, err := w.filter.spared()
	if err != nil {
		return 0, Gap{}, fmt.Errorf("read count of packets of %s: %w", w.host.Name, err)
	}
	state, err := w.filter.state()
	if err != nil {
		return 0, Gap{}, fmt.Errorf("read count of packets of %s: %w", w.host.Name, err)
	}
	if w.spared = n; n > 0 {
		w.gap = Gap{w.clock.Monotonic(int64(state.First)), w.clock.Monotonic(int64(state.Last)) + maxJiffy}
		if w.rested != 0 {
			w.gap.To = w.clock.Now()
		}
		if w.ended != 0 {
			w.gap.To = min(w.gap.To, w.ended)
		}
		w.gap.To = max(w.gap.To, w.deaf)
	}
	return w.spared, w.gap, nil
}

// release gives up the descriptors at once. A ring's mapping keeps the socket
// alive until it goes, so that the wait for the kernel is there.
func (w *WireTap) release() {
	for _, fd := range []int{w.fd, w.wake} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	w.fd, w.wake = -1, -1
	if w.filter != nil {
		w.filter.close()
	}
	if w.source != nil {
		w.source.release()
	}
}

// rouse ends the reader's sleep. It is called with w.mu held, before stopping
// was seen to be set: the eventfd is open.
func (w *WireTap) rouse() {
	one := binary.NativeEndian.AppendUint64(nil, 1)
	_, _ = unix.Write(w.wake, one) // EAGAIN: the counter is full, so the reader is awake
}

// read is the reader.
func (w *WireTap) read() {
	defer close(w.done)
	fds := []unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}, {Fd: int32(w.wake), Events: unix.POLLIN}}
	for {
		w.mu.Lock()
		stop := w.stopping
		w.mu.Unlock()
		n, err := w.source.drain(w.packet)
		if err != nil {
			w.readErr = fmt.Errorf("receive packets of %s: %w", w.host.Name, err)
			return
		}
		w.count += n
		w.answer()
		if stop {
			return
		}
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			w.readErr = fmt.Errorf("wait for packets of %s: %w", w.host.Name, err)
			return
		}
		if fds[0].Revents&^unix.POLLIN != 0 {
			// ENETDOWN: the interface went down. Reading the error clears
			// it; the kernel resumes by itself when the interface is up.
			errno, err := unix.GetsockoptInt(w.fd, unix.SOL_SOCKET, unix.SO_ERROR)
			if err == nil && errno != 0 && unix.Errno(errno) != unix.ENETDOWN {
				err = unix.Errno(errno)
			}
			if err != nil {
				w.readErr = fmt.Errorf("receive packets of %s: %w", w.host.Name, err)
				return
			}
		}
		if fds[1].Revents != 0 {
			var counter [8]byte
			_, _ = unix.Read(w.wake, counter[:])
		}
	}
}

// answer settles the flushes, after drain found nothing to read. What a flush
// has to wait for can then only be in the next portion.
func (w *WireTap) answer() {
	pending := w.source.pending()
	w.mu.Lock()
	defer w.mu.Unlock()
	kept := w.flushes[:0]
	for _, f := range w.flushes {
		if !f.seen {
			f.seen, f.until = true, w.count
			if pending {
				f.until++
			}
		}
		if w.count >= f.until {
			close(f.done)
		} else {
			kept = append(kept, f)
		}
	}
	clear(w.flushes[len(kept):])
	w.flushes = kept
}

// packet makes an event of a frame.
func (w *WireTap) packet(p passing) {
	e := record.Event{
		Time: w.clock.Realtime(p.stamp), Host: w.host.Name, Boot: w.host.Boot, Source: record.Wire,
	}
	switch p.kind {
	case unix.PACKET_OUTGOING:
		e.Kind = record.KindOut
	case unix.PACKET_HOST, unix.PACKET_BROADCAST, unix.PACKET_MULTICAST:
		e.Kind = record.KindIn
	default:
		return
	}
	e.Packet, e.Text = w.frames.decode(p.frame, p.length)
	w.host.Frames.keep(&e, p.frame, p.length)
	w.sink(e)
}
