package observe

import (
	"testing"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// What prints little at a time is told of for ever, what prints much is not.
func TestPrintersBound(t *testing.T) {
	for name, test := range map[string]struct {
		every time.Duration
		want  int // lines told
		muted bool
	}{
		"a line a second": {time.Second, 3 * MaxLines, false},
		"at once":         {time.Microsecond, MaxLines, true},
	} {
		muted, told := false, 0
		x := printers{mute: func(processID) { muted = true }, processes: map[processID]*printer{}}
		for i := range 3 * MaxLines {
			e := record.Event{Time: int64(i) * int64(test.every)}
			x.add(processID{}, e, bpfText{fd: 1, whole: 2, data: []byte("x\n")}, func(e record.Event) {
				if e.Source == record.Output {
					told++
				}
			})
		}
		if muted != test.muted || told != test.want {
			t.Errorf("%s: %d lines told, muted %v; want %d, %v", name, told, muted, test.want, test.muted)
		}
	}
}
