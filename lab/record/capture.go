package record

// A Capture is what was kept of the frames that passed a host's end of its
// link. It goes with a record, and is no part of it.
type Capture struct {
	Host string
	// Snap is how many octets of a frame were kept at most.
	Snap       int
	Interfaces []Interface // one a boot, in their order
	Frames     []Frame     // in the order of their times
	// Left is how many frames there was no room for.
	Left uint64
}

// An Interface is a host's, in one of its boots.
type Interface struct {
	Name string
	Boot int
}

// A Frame is an Ethernet frame. It has an event of the source Wire in the
// record, with the same Time, Boot, and direction.
type Frame struct {
	Time   int64 // nanoseconds since the run began
	Boot   int
	Out    bool   // the host sent it
	Length int    // on the wire, in octets
	Data   []byte // its beginning
}
