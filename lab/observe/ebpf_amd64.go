package observe

import _ "embed"

// traceObject is bpf/trace.bpf.c, compiled by scripts/bpf.
//
//go:embed bpf/trace_amd64.o
var traceObject []byte

// struct epoll_event, which is packed.
const (
	epollEventSize = 12
	epollDataAt    = 4
)
