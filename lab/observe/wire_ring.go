package observe

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// With 16 blocks of 256 KiB there is room for 12 000 packets or more while the
// reader is not scheduled, with 4 of an idle host's for 3000.
const (
	ringBlocks    = 16
	idleBlocks    = 4
	ringBlockSize = 256 << 10
	// ringRetire is after how many milliseconds the kernel hands over a block
	// that is not full (tp_retire_blk_tov). It looks that often and hands
	// over a block that it saw the last time too: a packet is read after
	// twice as long at the latest.
	ringRetire = 8
)

// A packetRing is memory that the kernel writes a packet socket's frames to, in
// blocks (TPACKET_V3). It is the cheapest for those whose frames they are, and
// costs a timer interrupt every ringRetire.
type packetRing struct {
	blocks []byte // mapped
	next   int    // block that is read next
}

// newPacketRing gives the socket fd a ring of so many blocks.
func newPacketRing(fd, blockCount int) (*packetRing, error) {
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return nil, fmt.Errorf("choose TPACKET_V3: %w", err)
	}
	const frame = 2048 // the kernel checks that it divides a block, and does not use it
	err := unix.SetsockoptTpacketReq3(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &unix.TpacketReq3{
		Block_size: ringBlockSize, Block_nr: uint32(blockCount),
		Frame_size: frame, Frame_nr: uint32(blockCount * ringBlockSize / frame),
		Retire_blk_tov: ringRetire,
	})
	if err != nil {
		return nil, fmt.Errorf("make packet ring: %w", err)
	}
	// Not unix.Mmap: its Munmap would hold a lock of the process, which every
	// other Mmap needs, for the whole of release's wait.
	size := blockCount * ringBlockSize
	blocks, err := unix.MmapPtr(fd, 0, nil, uintptr(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map packet ring: %w", err)
	}
	return &packetRing{blocks: unsafe.Slice((*byte)(blocks), size)}, nil
}

// header is the descriptor of the i-th block (struct tpacket_block_desc).
func (r *packetRing) header(i int) *unix.TpacketHdrV1 {
	const offset = unsafe.Offsetof(unix.TpacketBlockDesc{}.Hdr)
	return (*unix.TpacketHdrV1)(unsafe.Pointer(&r.blocks[i*ringBlockSize+int(offset)]))
}

// drain reads the blocks that the kernel has handed over.
func (r *packetRing) drain(tell func(passing)) (blocks uint64, err error) {
	for {
		h := r.header(r.next)
		if atomic.LoadUint32(&h.Block_status)&unix.TP_STATUS_USER == 0 {
			return blocks, nil
		}
		readBlock(r.blocks[r.next*ringBlockSize:][:ringBlockSize], h, tell)
		// The kernel zeroes the number when it opens the block again; pending
		// looks at it before.
		atomic.StoreUint32(&h.Num_pkts, 0)
		atomic.StoreUint32(&h.Block_status, unix.TP_STATUS_KERNEL)
		r.next = (r.next + 1) % (len(r.blocks) / ringBlockSize)
		blocks++
	}
}

// pending tells whether the block that the kernel is filling has packets: it
// counts them in the block itself as they come (prb_fill_curr_block in
// net/packet/af_packet.c), and never hands over an empty one.
func (r *packetRing) pending() bool {
	return atomic.LoadUint32(&r.header(r.next).Num_pkts) != 0
}

// readBlock reads the packets of a block: a chain of struct tpacket3_hdr, each
// with a struct sockaddr_ll behind it.
func readBlock(block []byte, h *unix.TpacketHdrV1, tell func(passing)) {
	at := h.Offset_to_first_pkt
	for range h.Num_pkts {
		p := (*unix.Tpacket3Hdr)(unsafe.Pointer(&block[at]))
		from := (*unix.RawSockaddrLinklayer)(unsafe.Pointer(&block[at+unix.SizeofTpacket3Hdr]))
		tell(passing{
			stamp: int64(p.Sec)*1e9 + int64(p.Nsec), kind: from.Pkttype,
			frame: block[at+uint32(p.Mac):][:p.Snaplen], length: int(p.Len),
		})
		at += p.Next_offset
	}
}

// release gives the ring up, which takes the kernel two RCU grace periods, some
// 30 ms. They are not waited for.
func (r *packetRing) release() {
	go unix.MunmapPtr(unsafe.Pointer(&r.blocks[0]), uintptr(len(r.blocks)))
}
