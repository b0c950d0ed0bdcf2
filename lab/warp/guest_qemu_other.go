//go:build !amd64

package warp

// newQEMUGuest is for the machine that QEMU's engine starts, which is an amd64.
func newQEMUGuest() guest { return nil }
