package observe

import "hash/maphash"

// What observers tell repeats itself, a hundred thousand times a second at
// worst: the texts in it are made once, and what is kept is allocated many at
// a time.

// An interner gives equal bytes the same text, most of the time. It is
// bounded: of the texts that share a place the last one is kept.
type interner [256]string

func (in *interner) text(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	known := &in[byte(maphash.Bytes(hashSeed, b))]
	if *known != string(b) {
		*known = string(b)
	}
	return *known
}

// An addrCache keeps the texts of pairs of addresses, bounded in the same way.
type addrCache [256]struct {
	raw           [bpfAddrsSize]byte
	local, remote string
}

func (c *addrCache) texts(e *bpfEnds) (local, remote string) {
	known := &c[byte(maphash.Bytes(hashSeed, e.raw[:]))]
	if known.raw != e.raw {
		known.raw = e.raw
		known.local, known.remote = e.addrs()
	}
	return known.local, known.remote
}

// A slab allocates in blocks.
type slab[T any] []T

func (s *slab[T]) take() *T {
	if len(*s) == 0 {
		*s = make([]T, 64)
	}
	one := &(*s)[0]
	*s = (*s)[1:]
	return one
}
