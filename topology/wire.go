package topology

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of a wire's memory, each way. What is on its way is in blocks of
// octets; once a bound is reached the wire reads no more until the first
// frame left, and the kernel's buffer fills, which takes as much again.
const (
	wireBlock  = 256 << 10 // octets
	wireBlocks = 256       // 64 MiB on their way
	wireFrames = 1 << 17   // frames on their way, of whatever length
	wireBuffer = 32 << 20  // of the receiving socket; the kernel doubles it
	wireBatch  = 32        // frames read before those are sent that are due
)

// wireFrame is the longest frame that the kernel gives, with its virtio_net_hdr
// (10 octets): one that waits for segmentation.
const wireFrame = 10 + 14 + 1<<16

// A wire carries the frames between two ports of a namespace in user space: a
// packet socket on each, promiscuous, and a goroutine each way. Each frame
// goes with its virtio_net_hdr, so that a checksum or segmentation that is
// left to the device (of which there is none) stays left to it.
type wire struct {
	ways  [2]*way
	stop  int // eventfd: readable once the wire is to end
	ended sync.WaitGroup

	mu     sync.Mutex
	closed bool
}

// A way is one direction of a wire. Its goroutine owns all but the numbers
// under mu.
type way struct {
	from, to string
	in, out  int // packet sockets
	timer    int // timerfd: has no slack, other than a timeout of poll(2)
	stop     int // the wire's
	delay    time.Duration
	loss     float64
	random   *rand.Rand
	start    time.Time     // the origin of the times below,
	origin   time.Duration // and what CLOCK_MONOTONIC was then
	queue    frameQueue
	armed    time.Duration // what the timer is set to, 0: to nothing

	oob [64]byte // of the receiving socket: a stamp

	mu      sync.Mutex
	dropped uint64        // frames that the kernel's buffer, or the port, had no room for
	refused uint64        // frames for which the port was down, or without a carrier
	late    time.Duration // by which a frame left later than asked for, at most
	err     error         // what ended the goroutine
}

func startWire(ns *Namespace, d Delay) (delayer, error) {
	w := &wire{stop: -1}
	if err := w.open(ns, d); err != nil {
		return nil, errors.Join(err, w.closeAll())
	}
	for _, one := range w.ways {
		w.ended.Go(one.run)
	}
	return w, nil
}

func (w *wire) open(ns *Namespace, d Delay) (err error) {
	if w.stop, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("make eventfd: %w", err)
	}
	return ns.Do(func() error {
		for i, ports := range [2][2]string{{nearPort, farPort}, {farPort, nearPort}} {
			w.ways[i] = &way{
				from: ports[0], to: ports[1], in: -1, out: -1, timer: -1, stop: w.stop,
				delay: d.Time, loss: d.Loss, random: rand.New(rand.NewPCG(d.Seed, uint64(i))),
			}
			if err := w.ways[i].open(); err != nil {
				return fmt.Errorf("open wire from %s to %s: %w", ports[0], ports[1], err)
			}
		}
		return nil
	})
}

// open opens the way's descriptors in the calling thread's namespace.
func (w *way) open() (err error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return fmt.Errorf("read clock: %w", err)
	}
	w.start, w.origin = time.Now(), time.Duration(now.Nano())
	if w.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		return fmt.Errorf("make timer: %w", err)
	}
	if w.in, err = packetSocket(w.from, unix.ETH_P_ALL, unix.SOCK_NONBLOCK, []packetOption{
		{unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, wireBuffer, "set receive buffer"},
		{unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1, "ask for offload headers"},
		{unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1, "ignore outgoing frames"},
		{unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1, "ask for stamps"},
	}); err != nil {
		return err
	}
	// A socket of its own: the receiving one's errors are not the sender's.
	w.out, err = packetSocket(w.to, 0, 0, []packetOption{
		{unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1, "send offload headers"},
		{unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1, "bypass queueing"},
	})
	return err
}

type packetOption struct {
	level, name, value int
	what               string
}

// packetSocket opens a packet socket (packet(7)) that is bound to an interface
// of the calling thread's namespace. Nothing is queued before it is bound. One
// that receives all of its protocols is promiscuous.
func packetSocket(iface string, protocol uint16, flags int, options []packetOption) (_ int, err error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|flags, 0)
	if err != nil {
		return -1, missingFeature("packet sockets", fmt.Errorf("open packet socket: %w", err), unix.EAFNOSUPPORT)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	ifreq, err := unix.NewIfreq(iface)
	if err != nil {
		return -1, fmt.Errorf("find %s: %w", iface, err)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, ifreq); err != nil {
		return -1, fmt.Errorf("find %s: %w", iface, err)
	}
	index := int(ifreq.Uint32())
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return -1, fmt.Errorf("%s of packet socket: %w", o.what, err)
		}
	}
	if protocol != 0 {
		promiscuous := &unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC}
		if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, promiscuous); err != nil {
			return -1, fmt.Errorf("make %s promiscuous: %w", iface, err)
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(protocol), Ifindex: index}); err != nil {
		return -1, fmt.Errorf("bind packet socket to %s: %w", iface, err)
	}
	return fd, nil
}

// run carries frames until the wire is closed, in a thread of its own that goes
// before whatever else is to run: without, frames left up to half a second late
// while 45 runs began on 2 processors, which is as much as a prediction allows.
// The thread ends with the goroutine.
func (w *way) run() {
	runtime.LockOSThread()
	// Where that is refused the wire carries all the same, and check tells.
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1, Flags: unix.SCHED_FLAG_RESET_ON_FORK,
	}, 0)
	err := w.carry()
	if err != nil {
		w.mu.Lock()
		w.err = err
		w.mu.Unlock()
	}
}

func (w *way) carry() error {
	fds := []unix.PollFd{
		{Fd: int32(w.stop), Events: unix.POLLIN},
		{Fd: int32(w.timer), Events: unix.POLLIN},
		{Fd: int32(w.in), Events: unix.POLLIN},
	}
	for {
		fds[2].Fd = int32(w.in)
		if w.queue.full() {
			fds[2].Fd = -1 // not looked at
		}
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for frames: %w", err)
		}
		if fds[0].Revents != 0 {
			return nil
		}
		if err := w.receive(); err != nil {
			return fmt.Errorf("receive from %s: %w", w.from, err)
		}
		w.send()
		if err := w.arm(); err != nil {
			return fmt.Errorf("set timer: %w", err)
		}
	}
}

func (w *way) now() time.Duration { return w.origin + time.Since(w.start) }

// receive queues the frames that are there, but not more than a batch.
func (w *way) receive() error {
	for range wireBatch {
		if w.queue.full() {
			return nil
		}
		n, oob, _, _, err := unix.Recvmsg(w.in, w.queue.room(), w.oob[:], 0)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ENETDOWN):
			continue // the port went down, which is said once: it may come up again
		case err != nil:
			return err
		case w.random.Float64() < w.loss:
			continue
		}
		w.queue.push(n, w.now()-age(w.oob[:oob])+w.delay)
	}
	return nil
}

// age is how long a frame lay there before it was read, by its stamp: the delay
// counts from when the frame came, however busy the machine is. 0 if there is
// no stamp.
func age(oob []byte) time.Duration {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0
	}
	for _, m := range messages {
		if m.Header.Level != unix.SOL_SOCKET || m.Header.Type != unix.SCM_TIMESTAMPNS || len(m.Data) != 16 {
			continue
		}
		sec, nsec := binary.NativeEndian.Uint64(m.Data), binary.NativeEndian.Uint64(m.Data[8:])
		// The clock may have been set meanwhile.
		return min(max(0, time.Since(time.Unix(int64(sec), int64(nsec)))), time.Minute)
	}
	return 0
}

// send sends the frames that are due.
func (w *way) send() {
	for {
		frame, due := w.queue.first()
		now := w.now()
		if frame == nil || due > now {
			return
		}
		w.left(now - due)
		w.put(frame)
		w.queue.pop()
	}
}

// Times that a frame is offered to a port that has no room, and the time
// between two.
const (
	wireOffers = 100
	wirePause  = 50 * time.Microsecond
)

// put gives a frame to the port. If the port is down, or without a carrier,
// the frame is lost, as on any link that is cut.
func (w *way) put(frame []byte) {
	for range wireOffers {
		_, err := unix.Write(w.out, frame)
		switch {
		case err == nil:
			return
		case errors.Is(err, unix.ENETDOWN), errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV):
			w.refuse()
			return
		case errors.Is(err, unix.EINTR):
			continue
		case !errors.Is(err, unix.ENOBUFS):
			w.lost(1) // too long for the port, or out of memory
			return
		}
		// ENOBUFS (dev_direct_xmit's NET_XMIT_DROP) is said for both: no
		// carrier, and a full queue behind the veth (net.core.netdev_max_backlog).
		if up, err := carrier(w.out, w.to); err != nil || !up {
			w.refuse()
			return
		}
		time.Sleep(wirePause)
	}
	w.lost(1)
}

func (w *way) lost(n uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dropped += n
}

func (w *way) refuse() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refused++
}

// left notes by how much a frame left too late.
func (w *way) left(late time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.late = max(w.late, late)
}

// settle forgets what was refused while the network was built.
func (w *wire) settle() {
	for _, one := range w.ways {
		one.mu.Lock()
		one.refused = 0
		one.mu.Unlock()
	}
}

// arm sets the timer to the first frame's time.
func (w *way) arm() error {
	_, due := w.queue.first()
	if due == w.armed {
		return nil
	}
	w.armed = due
	return unix.TimerfdSettime(w.timer, unix.TFD_TIMER_ABSTIME, &unix.ItimerSpec{Value: unix.NsecToTimespec(int64(due))}, nil)
}

// check tells whether a way ended, or lost a frame that it was not asked to. After a cut it is right that ports refuse frames.
func (w *wire) check(cut bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	var errs []error
	for _, one := range w.ways {
		errs = append(errs, one.check(cut))
	}
	return errors.Join(errs...)
}

func (w *way) check(cut bool) error {
	stats, err := unix.GetsockoptTpacketStats(w.in, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return fmt.Errorf("read drops of %s: %w", w.from, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dropped += uint64(stats.Drops) // the kernel counts from 0 again
	if w.err != nil {
		return w.err
	}
	if w.dropped > 0 {
		return fmt.Errorf("%d frames from %s to %s were lost for want of room", w.dropped, w.from, w.to)
	}
	if w.refused > 0 && !cut {
		return fmt.Errorf("%d frames from %s to %s were lost: %[3]s was down, or without a carrier, though no link was cut", w.refused, w.from, w.to)
	}
	return nil
}

// lateness is by how much a frame left later than asked for, at most.
func (w *wire) lateness() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	most := time.Duration(0)
	for _, one := range w.ways {
		one.mu.Lock()
		most = max(most, one.late)
		one.mu.Unlock()
	}
	return most
}

// Close ends the goroutines; frames on their way are lost. It may be called
// again.
func (w *wire) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	if _, err := unix.Write(w.stop, []byte{1, 1, 1, 1, 1, 1, 1, 1}); err != nil {
		return fmt.Errorf("stop wire: %w", err)
	}
	w.ended.Wait()
	w.closed = true
	return w.closeAll()
}

func (w *wire) closeAll() error {
	fds := []int{w.stop}
	for _, one := range w.ways {
		if one != nil {
			fds = append(fds, one.in, one.out, one.timer)
		}
	}
	var errs []error
	for _, fd := range fds {
		if fd >= 0 {
			errs = append(errs, unix.Close(fd))
		}
	}
	return errors.Join(errs...)
}
