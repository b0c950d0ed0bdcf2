package observe

import _ "embed"

// traceObject is bpf/trace.bpf.c, compiled by scripts/bpf.
//
//go:embed bpf/trace_arm64.o
var traceObject []byte

// struct epoll_event.
const (
	epollEventSize = 16
	epollDataAt    = 8
)
