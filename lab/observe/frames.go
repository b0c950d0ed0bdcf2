package observe

import (
	"cmp"
	"slices"
	"sync"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// Frames keeps the beginnings of the frames that pass the wire taps of a run,
// up to a number of octets in all; of those beyond only the number is kept. A
// nil *Frames keeps nothing and costs nothing.
type Frames struct {
	limit int

	mu    sync.Mutex
	used  int
	page  []byte // what is left of the one that is being filled
	hosts map[string]*record.Capture
}

// NewFrames makes room for a number of octets, which are allocated as they are
// needed.
func NewFrames(limit int) *Frames {
	return &Frames{limit: limit, hosts: map[string]*record.Capture{}}
}

// pageSize is how many octets are allocated at a time.
const pageSize = 64 << 10

// frameCost is what a frame takes beside its octets, about.
const frameCost = 64

// snapTCP is how much of a plain segment the tap lets through: the headers,
// or, where frames are kept, as much as of all others.
func (w *WireTap) snapTCP() uint32 {
	if w.host.Frames != nil {
		return snapLen
	}
	return snapTCP
}

// open notes a tap on a boot of a host, whose frames come from now on.
func (f *Frames) open(h Host) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.hosts[h.Name]
	if c == nil {
		c = &record.Capture{Host: h.Name, Snap: snapLen}
		f.hosts[h.Name] = c
	}
	c.Interfaces = append(c.Interfaces, record.Interface{Name: h.Iface, Boot: h.Boot})
}

// keep keeps a copy of a frame that became an event; length is what it
// measured on the wire.
func (f *Frames) keep(e *record.Event, frame []byte, length int) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.hosts[e.Host]
	if cost := len(frame) + frameCost; f.used+cost <= f.limit {
		f.used += cost
	} else {
		c.Left++
		return
	}
	if len(f.page) < len(frame) {
		f.page = make([]byte, pageSize)
	}
	kept := f.page[:len(frame):len(frame)]
	f.page = f.page[len(frame):]
	copy(kept, frame)
	c.Frames = append(c.Frames, record.Frame{
		Time: e.Time, Boot: e.Boot, Out: e.Kind == record.KindOut, Length: length, Data: kept,
	})
}

// Of is what was kept of a host, in the order of time; nil if it had no tap.
func (f *Frames) Of(host string) *record.Capture {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.hosts[host]
	if c == nil {
		return nil
	}
	own := *c
	own.Interfaces, own.Frames = slices.Clone(c.Interfaces), slices.Clone(c.Frames)
	slices.SortStableFunc(own.Frames, func(a, b record.Frame) int { return cmp.Compare(a.Time, b.Time) })
	return &own
}

// Left is how many frames there was no room for.
func (f *Frames) Left() (n uint64) {
	if f == nil {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.hosts {
		n += c.Left
	}
	return n
}
