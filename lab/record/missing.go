package record

// A Missing is something that could not be observed in a run, and what that
// costs: it is what makes a verdict inconclusive instead of wrong.
type Missing struct {
	Observer string `json:"observer"` // "wire", "ebpf", "ebpf:tcp_send_reset", ...
	Why      string `json:"why"`
	Cost     string `json:"cost"`
}
