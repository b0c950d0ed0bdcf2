package predict

import "time"

// Immediate predicts what needs no timer: an answer from a peer, or a FIN that
// is there already. after is the round trip that it takes, 0 if it was received
// before; errno is the error, or EOF; decider names what brings it, as in
// "RST". The answer to a write can be as fast as the write itself.
func Immediate(errno string, after time.Duration, decider, why string) Window {
	return Window{
		Error: errno, Errors: []string{errno}, Certain: true,
		Max: max(0, after), Decider: decider, Why: why,
	}
}

// Reset predicts a read after a write that the peer answers with RST: it
// rebooted, or its process is gone and left no FIN.
func Reset(rtt time.Duration) Window {
	return Immediate(ECONNRESET, rtt, "RST", "A RST answers the segment: whoever sent it, TCP takes it that the peer does not know the connection.")
}

// Closed predicts a read from a peer that sent FIN: end of file.
func Closed(rtt time.Duration) Window {
	return Immediate(EOF, rtt, "FIN", "The peer's FIN means that nothing more will come.")
}
