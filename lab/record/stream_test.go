package record

import "testing"

func TestStreams(t *testing.T) {
	segment := func(seq uint32, n, flags int) Event {
		return Event{Host: "client", Source: Wire, Kind: KindOut, Packet: &Packet{Proto: "tcp", Src: "a", Dst: "b", Seq: seq, Len: n, Flags: flags}}
	}
	const last = 1<<32 - 1
	var s Streams
	for i, c := range []struct {
		event Event
		want  StreamPart
	}{
		{segment(last-1, 0, FlagSYN), Fresh},
		{segment(last-1, 0, FlagSYN), SentAgain},
		{segment(last, 0, FlagACK), NotOfStream},
		{segment(last, 6, FlagACK), Fresh}, // beyond the number space's end
		{segment(last, 6, FlagACK), SentAgain},
		{segment(4, 0, FlagACK), Probe},
		{segment(5, 0, FlagACK), NotOfStream},
		{segment(5, 0, FlagACK|FlagFIN), Fresh},
		{segment(5, 0, FlagACK|FlagFIN), SentAgain},
		{segment(1, 0, FlagRST), NotOfStream},
		{segment(1000, 0, FlagACK), NotOfStream}, // some were not recorded
		{segment(1000, 6, FlagACK), Fresh},
		{segment(2000, 6, FlagACK), Fresh}, // some more
		{segment(2000, 6, FlagACK), SentAgain},
		{segment(2005, 0, FlagACK), Probe},
		{Event{Source: TCP, Kind: KindRetransmit}, NotOfStream},
	} {
		if got := s.Classify(&c.event); got != c.want {
			t.Errorf("%d: %v, want %v", i, got, c.want)
		}
	}
}
