//go:build !amd64 && !arm64

package observe

// traceObject is empty: the programs are compiled for amd64 and arm64 only.
var traceObject []byte

const (
	epollEventSize = 16
	epollDataAt    = 8
)
