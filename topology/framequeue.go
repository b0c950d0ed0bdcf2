package topology

import "time"

// A frameQueue holds frames in the order in which they came, in blocks that
// are used again: frames are read into it in place. Its bounds are those of a
// wire (wireBlocks, wireFrames).
type frameQueue struct {
	frames []queued // from head on
	head   int
	blocks int // in use, the last one included
	last   *block
	spare  *block // one is kept, so that a trickle allocates nothing
}

type queued struct {
	due    time.Duration // CLOCK_MONOTONIC
	block  *block
	offset int
	length int
}

type block struct {
	octets [wireBlock]byte
	used   int
	frames int // not yet popped
}

// full tells that nothing more may be pushed before something was popped.
func (q *frameQueue) full() bool {
	if len(q.frames)-q.head >= wireFrames {
		return true
	}
	return q.blocks >= wireBlocks && len(q.last.octets)-q.last.used < wireFrame
}

// room is where the next frame goes, long enough for any. The queue must not
// be full.
func (q *frameQueue) room() []byte {
	if q.last == nil || len(q.last.octets)-q.last.used < wireFrame {
		q.last, q.spare = q.spare, nil
		if q.last == nil {
			q.last = new(block)
		}
		q.blocks++
	}
	return q.last.octets[q.last.used:]
}

// push makes the first n octets of room a frame.
func (q *frameQueue) push(n int, due time.Duration) {
	if q.head > 0 && len(q.frames) == cap(q.frames) {
		// The rest goes to the front instead of into a longer array, unless
		// that would be done again soon.
		if rest := len(q.frames) - q.head; rest <= cap(q.frames)/2 {
			copy(q.frames, q.frames[q.head:])
			q.frames, q.head = q.frames[:rest], 0
		}
	}
	q.frames = append(q.frames, queued{due, q.last, q.last.used, n})
	q.last.used += n
	q.last.frames++
}

// first is the frame that came first and when it is due, nil and 0 if there is
// none.
func (q *frameQueue) first() ([]byte, time.Duration) {
	if q.head == len(q.frames) {
		return nil, 0
	}
	f := q.frames[q.head]
	return f.block.octets[f.offset:][:f.length], f.due
}

// pop takes the first frame away; what first gave is not to be used any more.
func (q *frameQueue) pop() {
	b := q.frames[q.head].block
	q.frames[q.head] = queued{}
	if q.head++; q.head == len(q.frames) {
		q.frames, q.head = q.frames[:0], 0
	}
	if b.frames--; b.frames > 0 {
		return
	}
	b.used = 0
	if b != q.last {
		q.blocks--
		q.spare = b
	}
}
